"""The files that a run leaves behind, from the worker's disk into the store.

Whether a run that completed is wanted is known only after the comparison with its baseline, and that is not made
here. So the small files of every run are stored, and larger ones of those that failed already.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from oppcloud_worker.store import ContentError, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oppcloud_worker.messages import ResultFile, RunOutcome

#: Bytes of one file, and of all files of a run, that are stored when the run completed, and when it failed.
COMPLETED_LIMITS = 1024**2, 8 * 1024**2
FAILED_LIMITS = 64 * 1024**2, 256 * 1024**2
#: The same for a store that takes everything.
ANY_SIZE = 2**63, 2**63

#: The digest of an empty file, which no store needs to hold.
EMPTY = hashlib.sha256().hexdigest()


def store_results(outcome: RunOutcome, store: Store, limits: tuple[int, int]) -> RunOutcome:
    """Store the files of `outcome`; return it with their digests, those that were left out without one.

    `limits` are the bytes of one file, and of all.
    """
    files = tuple(_store(outcome, store, *limits))
    return replace(outcome, files=files, directory="")


def _store(outcome: RunOutcome, store: Store, file_limit: int, limit: int) -> Iterator[ResultFile]:
    # Small ones first: console output and scalars are worth more than half of the vectors.
    left = limit
    for file in sorted(outcome.files, key=lambda file: (file.size, file.path)):
        if file.size == 0:
            yield replace(file, digest=EMPTY)
            continue
        if file.size > min(file_limit, left):
            yield replace(file, digest="")
            continue
        try:
            with (Path(outcome.directory) / file.path).open("rb") as source:
                digest = _digest(source)
                source.seek(0)
                store.put(digest, source, file.size)
        except (OSError, ContentError):
            # Gone or changed since it was listed, or no room: the outcome itself is what counts.
            yield replace(file, digest="")
            continue
        left -= file.size
        yield replace(file, digest=digest)


def _digest(source: BinaryIO) -> str:
    """Return the SHA-256 of an open file (Python 3.10 has no hashlib.file_digest)."""
    checksum = hashlib.sha256()
    while block := source.read(1024 * 1024):
        checksum.update(block)
    return checksum.hexdigest()
