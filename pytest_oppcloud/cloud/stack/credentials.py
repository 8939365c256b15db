"""The secrets of a cluster: which there are, who may read them, how they are made."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from oppcloud_worker.signing import ClusterKey

from . import certificates, names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Folders by who may read them: the template's roles are made the same way.
CLIENT_PASSWORD = "client/password"  # noqa: S105  # a name
WORKER_PASSWORD = "worker/password"  # noqa: S105  # a name
SERVER_CERTIFICATE = "server/certificate"
SERVER_KEY = "server/key"
AUTHORITY = "shared/ca"
#: What client and workers sign with; the queue between them is not told.
KEY = "shared/key"

#: Those that must be made together.
_SETS: tuple[tuple[str, ...], ...] = (
    (CLIENT_PASSWORD,),
    (WORKER_PASSWORD,),
    (KEY,),
    (SERVER_CERTIFICATE, SERVER_KEY, AUTHORITY),
)
ALL = tuple(secret for group in _SETS for secret in group)


def path(name: str, secret: str) -> str:
    """Return the SSM parameter that holds a secret."""
    return f"{names.parameters(name)}/{secret}"


def missing(present: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the secrets that have to be made: those that are not present, and those that belong to them."""
    return tuple(secret for group in _SETS if not all(map(present, group)) for secret in group)


def make(name: str, wanted: tuple[str, ...]) -> Mapping[str, str]:
    """Return new values for the wanted secrets."""
    made = {secret: secrets.token_urlsafe(32) for secret in (CLIENT_PASSWORD, WORKER_PASSWORD) if secret in wanted}
    if KEY in wanted:
        made[KEY] = ClusterKey.generate().to_text()
    if SERVER_CERTIFICATE in wanted:
        pems = certificates.make(name)
        made |= {SERVER_CERTIFICATE: pems.certificate, SERVER_KEY: pems.key, AUTHORITY: pems.authority}
    return made
