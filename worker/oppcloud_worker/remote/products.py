"""What builds made, remembered for all sessions of a cluster, and who has a build made just now.

A build is named by a digest of all that decides its product. What is remembered is signed with the cluster key: who
can write to Redis, and nothing more, cannot put another program in its place.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oppcloud_worker.signing import ForgedError, seal, unseal
from oppcloud_worker.store import ContentError, check_digest
from oppcloud_worker.wire import MessageError, decode, encode

from . import keys
from .connection import as_bytes

if TYPE_CHECKING:
    import redis

    from oppcloud_worker.signing import ClusterKey

_PURPOSE = "product"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildName:
    """All that decides what a build makes."""

    #: Digest of the manifest of the sources.
    sources: str
    command: tuple[str, ...]
    #: Where in the sources it is run.
    directory: str
    #: "release", "debug" or "".
    mode: str
    #: Where it is run: image, system and OMNeT++ version as a worker announces them.
    image: str
    system: str
    omnetpp: str

    @property
    def digest(self) -> str:
        """The name under which it is remembered."""
        return hashlib.sha256(json.dumps(encode(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What a build made."""

    #: Digest of the manifest of its files.
    digest: str
    #: The machine that it was made on, and the seconds that it took.
    host: str
    seconds: float


def remember(connection: redis.Redis, build: str, product: Product, *, key: ClusterKey | None) -> None:
    """Remember what the build `build` made, for a week after its last use."""
    data = json.dumps(encode(product)).encode()
    sealed = seal(data, key, session="", run=build, purpose=_PURPOSE)
    connection.set(keys.product(build), sealed, ex=keys.CONTENT)


def recall(connection: redis.Redis, build: str, *, key: ClusterKey | None) -> Product | None:
    """Return what the build `build` made; None where nobody knows, or where what is known cannot be trusted."""
    pipeline = connection.pipeline(transaction=False)
    pipeline.get(keys.product(build))
    pipeline.expire(keys.product(build), keys.CONTENT)
    data, _ = pipeline.execute()
    if data is None:
        return None
    try:
        text = unseal(as_bytes(data), key, session="", run=build, purpose=_PURPOSE)
        product = decode(Product, json.loads(text))
        check_digest(product.digest)
    except (ForgedError, MessageError, ContentError, ValueError, RecursionError):
        return None
    return product


def become_builder(connection: redis.Redis, build: str, session: str) -> bool:
    """Return whether it is up to `session` to have the build made; `keep_builder` before the lease ends."""
    name = keys.builder(build)
    if connection.set(name, session, nx=True, ex=keys.SESSION_LEASE):
        return True
    holder = connection.get(name)
    return holder is not None and as_bytes(holder) == session.encode()


def keep_builder(connection: redis.Redis, build: str, session: str) -> None:
    """Renew the lease. Should it have been lost meanwhile, two make the same, and either will do."""
    connection.set(keys.builder(build), session, ex=keys.SESSION_LEASE)


def leave_builder(connection: redis.Redis, build: str, session: str) -> None:
    """Let another session have the build made, unless it is another's already."""
    holder = connection.get(keys.builder(build))
    if holder is not None and as_bytes(holder) == session.encode():
        connection.delete(keys.builder(build))
