"""The store in Redis: small content, compressed, with a time to live.

Redis keeps everything in memory, so there is a limit per file; what is larger is refused with advice, never cut.
"""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, BinaryIO

import redis

from oppcloud_worker.store import ContentError, Sink, VerifyingSink, check_digest

from .connection import as_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Bytes of one file after compression. Redis itself takes 512 MB.
FILE_LIMIT = 256 * 1024 * 1024
#: Level 1: three times as fast as the default for a few percent more bytes.
_LEVEL = 1
_BLOCK = 1024 * 1024


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
        packed = _Packer(self._limit)
        sink = VerifyingSink(packed, digest, size)
        while block := source.read(_BLOCK):
            sink.write(block)
        sink.finish()
        try:
            self._connection.set(self._key(digest), packed.finish(), ex=self._ttl)
        except redis.OutOfMemoryError as error:
            raise ContentError(
                f"Redis has no memory left for {size} bytes: give it more (maxmemory), or let less travel ({error})"
            ) from error

    def get(self, digest: str, target: Sink) -> None:
        """Write the content of `digest` to `target`, which verifies it."""
        found = self._connection.get(self._key(digest))
        if found is None:
            raise ContentError(f"content {digest[:12]} is not in Redis (any more)")
        data = as_bytes(found)
        unpacker = zlib.decompressobj()
        try:
            while data:
                # In blocks, so that what unpacks to far more than announced is noticed before it fills the memory.
                target.write(unpacker.decompress(data, _BLOCK))
                data = unpacker.unconsumed_tail
            target.write(unpacker.flush())
        except zlib.error as error:
            raise ContentError(f"content {digest[:12]} in Redis is damaged: {error}") from error

    def remove(self, digests: Iterable[str]) -> None:
        """Remove what nobody needs any more."""
        names = [self._key(digest) for digest in digests]
        if names:
            self._connection.unlink(*names)


class _Packer:
    """A sink that compresses, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._packer = zlib.compressobj(_LEVEL)
        self._buffer = io.BytesIO()

    def write(self, data: bytes, /) -> None:
        self._buffer.write(self._packer.compress(data))
        self._check()

    def finish(self) -> bytes:
        self._buffer.write(self._packer.flush())
        self._check()
        return self._buffer.getvalue()

    def _check(self) -> None:
        if self._buffer.tell() > self._limit:
            raise ContentError(
                f"a file takes more than the {self._limit} bytes that may lie in Redis; "
                "leave it out with files.exclude in oppcloud.toml, or let the worker's image hold it"
            )
