"""The store in Redis: small content, compressed, with a time to live.

Redis keeps everything in memory, so there is a limit per file; what is larger is refused with advice, never cut.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

import redis

from oppcloud_worker.store import ContentError, Sink, check_digest

from .connection import as_bytes
from .packing import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Bytes of one file after compression. Redis itself takes 512 MB.
FILE_LIMIT = 256 * 1024 * 1024


class RedisStore:
    """A store whose keys are `prefix` and the digest."""

    def __init__(self, connection: redis.Redis, prefix: str, *, ttl: int, limit: int = FILE_LIMIT) -> None:
        self._connection = connection
        self._prefix = prefix
        self._ttl = ttl
        self._limit = limit

    def _key(self, digest: str) -> str:
        return self._prefix + check_digest(digest)

    def has(self, digest: str) -> bool:
        """Tell whether the store holds `digest`, and if so, keep it for another while."""
        return bool(self._connection.expire(self._key(digest), self._ttl))

    def lacking(self, digests: Sequence[str]) -> set[str]:
        """Return those of `digests` that the store lacks, in one round trip; keep the others for another while."""
        pipeline = self._connection.pipeline(transaction=False)
        for digest in digests:
            pipeline.expire(self._key(digest), self._ttl)
        return {digest for digest, found in zip(digests, pipeline.execute(), strict=True) if not found}

    def put(self, digest: str, source: BinaryIO, size: int) -> None:
        """Take `size` bytes from `source`, verified on the way; raise `ContentError` where they are too many."""
        packed = _Bounded(self._limit)
        pack(digest, source, size, packed)
        try:
            self._connection.set(self._key(digest), packed.getvalue(), ex=self._ttl)
        except redis.OutOfMemoryError as error:
            raise ContentError(
                f"Redis has no memory left for {size} bytes: give it more (maxmemory), let less travel, or use a store "
                f"in S3 ({error})"
            ) from error

    def get(self, digest: str, target: Sink) -> None:
        """Write the content of `digest` to `target`, which verifies it."""
        found = self._connection.get(self._key(digest))
        if found is None:
            raise ContentError(f"content {digest[:12]} is not in Redis (any more)")
        data = as_bytes(found)
        unpack(digest, iter([data]), target, where="Redis")

    def remove(self, digests: Iterable[str]) -> None:
        """Remove what nobody needs any more."""
        names = [self._key(digest) for digest in digests]
        if names:
            self._connection.unlink(*names)


class _Bounded(io.BytesIO):
    """A buffer up to a limit."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # bytes are all that comes
        if self.tell() + len(data) > self._limit:
            raise ContentError(
                f"a file takes more than the {self._limit} bytes that may lie in Redis; let a store in S3 take it "
                "(OPPCLOUD_STORE=s3://BUCKET/PREFIX), leave it out with files.exclude in oppcloud.toml, or let the "
                "worker's image hold it"
            )
        return super().write(data)
