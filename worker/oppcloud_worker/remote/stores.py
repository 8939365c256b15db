"""Which store is used for what: content that runs need, and the files that they leave behind.

The client chooses, and tells the workers with each request: `""` for Redis, or `s3://bucket/prefix`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from oppcloud_worker.store import ContentError, Store

from . import keys
from .redis_store import RedisStore
from .results import ANY_SIZE, COMPLETED_LIMITS, FAILED_LIMITS
from .s3_store import S3Address, S3Store, StoreAddressError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import redis

#: Where the URL of the store comes from.
STORE_VARIABLE = "OPPCLOUD_STORE"


class RemoteStore(Store, Protocol):
    """A store that serves many at a time."""

    def lacking(self, digests: Sequence[str]) -> set[str]:
        """Return those of `digests` that the store lacks."""

    def remove(self, digests: Iterable[str]) -> None:
        """Remove what nobody needs any more."""


def content_store(url: str, connection: redis.Redis) -> RemoteStore:
    """Return the store of content; raise `ContentError` where there is none at `url`."""
    if not url:
        return RedisStore(connection, keys.content(), ttl=keys.CONTENT)
    return S3Store(_address(url), "content/")


def result_store(url: str, connection: redis.Redis, session: str, run: str, *, deadline: float = 0.0) -> RemoteStore:
    """Return the store of the files of a run; raise `ContentError` where there is none at `url`.

    Those of a session that was detached until `deadline` are kept as long as its outcomes.
    """
    if not url:
        ttl = keys.kept(deadline) if deadline else keys.RESULT_FILES
        return RedisStore(connection, keys.files(session, run), ttl=ttl)
    # All runs of a session together, so that they are removed with few requests.
    return S3Store(_address(url), f"results/{session}/")


def marks(url: str) -> S3Store:
    """Return where marks are left at `url`; raise `ContentError` where there can be none."""
    return S3Store(_address(url), "")


def result_limits(url: str, *, completed: bool, wanted: bool) -> tuple[int, int]:
    """Return how many bytes of one file, and of all files of a run, are stored.

    `wanted` tells whether somebody asked for the files of all runs.
    """
    if url:
        return ANY_SIZE
    return COMPLETED_LIMITS if completed and not wanted else FAILED_LIMITS


def check_store(url: str) -> None:
    """Raise `ContentError` where there can be no store at `url`."""
    if url:
        _address(url)


def _address(url: str) -> S3Address:
    try:
        return S3Address.parse(url)
    except StoreAddressError as error:
        raise ContentError(str(error)) from error
