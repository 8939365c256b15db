"""Where content lies: bytes, found by their SHA-256.

Standard library only. What a run needs (files and the manifest that names them) is put into a store once and fetched
from there by any number of workers. This module has the protocol, and the check that bytes are those announced; the
stores themselves (in Redis, in S3) live in `oppcloud_worker.remote`.
"""

from __future__ import annotations

import hashlib
import re
from typing import BinaryIO, Protocol

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_BLOCK = 1024 * 1024


class ContentError(Exception):
    """Content is missing, damaged, or not what it claims to be; the text says which and where."""


class Sink(Protocol):
    """Whatever takes bytes: an open file, or a check in front of one."""

    def write(self, data: bytes, /) -> object:
        """Take `data`."""


class Store(Protocol):
    """What the plugin and the workers need of a store; every method may raise `ContentError` or OSError.

    Content never changes under its digest, so several writers of the same digest do no harm.
    """

    def has(self, digest: str) -> bool:
        """Tell whether the store holds `digest`."""

    def put(self, digest: str, source: BinaryIO, size: int) -> None:
        """Take `size` bytes from `source`, whose SHA-256 is `digest`; do nothing if they are there already."""

    def get(self, digest: str, target: Sink) -> None:
        """Write the content of `digest` to `target`; raise `ContentError` if the store does not have it.

        Who reads it verifies it: a store may be in other hands.
        """


def check_digest(digest: str) -> str:
    """Return `digest`; raise `ContentError` unless it is a SHA-256 in lower-case hexadecimal."""
    if not _DIGEST.match(digest):
        raise ContentError(f"not a SHA-256 digest: {digest!r:.100}")
    return digest


class VerifyingSink:
    """A sink that passes bytes on and makes sure that they are those announced."""

    def __init__(self, target: Sink, digest: str, size: int) -> None:
        self._target = target
        self._digest = check_digest(digest)
        self._left = self._size = size
        self._checksum = hashlib.sha256()

    def write(self, data: bytes, /) -> None:
        """Pass `data` on; raise `ContentError` when there are more bytes than announced."""
        self._left -= len(data)
        if self._left < 0:
            raise ContentError(f"content {self._digest[:12]}: more than the {self._size} bytes announced")
        self._checksum.update(data)
        self._target.write(data)

    def finish(self) -> None:
        """Raise `ContentError` unless all bytes came and have the digest."""
        if self._left:
            raise ContentError(f"content {self._digest[:12]}: {self._left} of {self._size} bytes are missing")
        if self._checksum.hexdigest() != self._digest:
            raise ContentError(
                f"content {self._digest[:12]}: what came has the digest {self._checksum.hexdigest()[:12]}"
            )
