"""SSM: parameters, secret and plain, and sessions that forward a port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import AwsError
from .values import Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .service import Service

#: How many parameters one call takes.
_AT_ONCE = 10


class Parameters:
    """Systems Manager."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def read(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return the values of those parameters that exist, decrypted."""
        found: dict[str, str] = {}
        for start in range(0, len(names), _AT_ONCE):
            some = list(names[start : start + _AT_ONCE])
            answer = self._service.call("get_parameters", Names=some, WithDecryption=True)
            found |= {item["Name"]: item["Value"] for item in answer["Parameters"]}
        return found

    def public(self, name: str) -> str:
        """Return one of Amazon's own parameters, such as the id of an operating system's image."""
        value: str = self._service.call("get_parameter", Name=name)["Parameter"]["Value"]
        return value

    def below(self, path: str) -> tuple[Parameter, ...]:
        """Return all parameters below a path; secret ones stay encrypted."""
        found = self._service.items("get_parameters_by_path", "Parameters", Path=path, Recursive=True)
        return tuple(
            Parameter(name=item["Name"], value=item["Value"], modified=item["LastModifiedDate"].timestamp())
            for item in found
        )

    def write(self, name: str, value: str, *, tags: Mapping[str, str], secret: bool) -> None:
        """Write a parameter, new or not."""
        kind = "SecureString" if secret else "String"
        labels = [{"Key": key, "Value": text} for key, text in tags.items()]
        try:
            # Tags can be given to a new one only, so that the first try is to make one.
            self._service.call("put_parameter", Name=name, Value=value, Type=kind, Tags=labels, Tier="Standard")
        except AwsError as error:
            if error.code != "ParameterAlreadyExists":
                raise
            self._service.call("put_parameter", Name=name, Value=value, Type=kind, Overwrite=True)

    def renew(self, name: str, value: str) -> None:
        """Write a plain parameter, new or not, without tags: one call."""
        self._service.call("put_parameter", Name=name, Value=value, Type="String", Overwrite=True)

    def delete(self, names: Sequence[str]) -> None:
        """Delete parameters; no error for those that do not exist."""
        for start in range(0, len(names), _AT_ONCE):
            self._service.call("delete_parameters", Names=list(names[start : start + _AT_ONCE]))

    def start_session(self, request: Mapping[str, object]) -> Mapping[str, str]:
        """Open a session; return what the plugin on this machine needs: SessionId, TokenValue, StreamUrl."""
        answer = self._service.call("start_session", **request)
        return {key: answer[key] for key in ("SessionId", "TokenValue", "StreamUrl")}

    def end_session(self, session: str) -> None:
        """Close a session."""
        self._service.call("terminate_session", SessionId=session)
