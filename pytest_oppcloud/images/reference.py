"""The names of images, as Docker and its relatives write them.

Pure: no file is opened, nothing is started.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_oppcloud.errors import SettingsError

#: The registry that is meant where none is named.
DOCKER_HUB = "docker.io"

_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_REGISTRY = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_ECR = re.compile(
    r"(?P<account>[0-9]{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.(?:aws|amazonwebservices\.com\.cn))"
)
_THIS_MACHINE = re.compile(r"(?:localhost|127(?:\.[0-9]+){3}|\[::1\])(?::[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The name of an image: registry/repository:tag."""

    #: Host, with the port if it has one; "docker.io" where none is named.
    registry: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a name as `user/worker`, `worker:1.2` or `registry.example.org:5000/worker`; without a tag, "latest".

        Raises `SettingsError` for what is no such name.
        """
        first, slash, rest = text.partition("/")
        # As in Docker: what could be a host is one, anything else belongs to Docker Hub.
        named = slash and ("." in first or ":" in first or first == "localhost")
        registry, name = (first, rest) if named else (DOCKER_HUB, text)
        repository, colon, tag = name.partition(":")
        if not colon:
            tag = "latest"
        if not (_REGISTRY.fullmatch(registry) and _REPOSITORY.fullmatch(repository) and _TAG.fullmatch(tag)):
            raise SettingsError(
                f"not the name of an image: {text!r}",
                advice="Names look like user/worker:1.0 or registry.example.org/worker:1.0, in lower case.",
            )
        return cls(registry=registry, repository=repository, tag=tag)

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}:{self.tag}"

    @property
    def ecr_region(self) -> str | None:
        """The region, if the registry is one of Amazon's; else None."""
        found = _ECR.fullmatch(self.registry)
        return found["region"] if found else None

    @property
    def ecr_account(self) -> str | None:
        """The number of the account that the registry belongs to, if it is one of Amazon's; else None."""
        found = _ECR.fullmatch(self.registry)
        return found["account"] if found else None

    @property
    def on_this_machine(self) -> bool:
        """Whether the registry runs here, so that nothing needs to be encrypted on the way to it."""
        return _THIS_MACHINE.fullmatch(self.registry) is not None
