"""Tickets that were served here: none is served twice, whoever puts it into the queue again.

Standard library only. All workers of a host share the memory of it, a folder with an empty file per ticket, and so
does a worker that is started again. A ticket is forgotten when it is no longer valid.
"""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from .signing import SKEW, ReplayedError

if TYPE_CHECKING:
    from pathlib import Path

    from .signing import Proof

#: Seconds of validity that share a folder, which is removed as a whole.
_SPAN = 3600


class ServedTickets:
    """The tickets that this host has served, below the folder `root`, which is made if need be."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def admit(self, proof: Proof, now: float) -> None:
        """Remember a ticket whose proof was verified; raise `ReplayedError` if it was served before."""
        folder = self._root / str(int(proof.expires // _SPAN))
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._forget(now)
        try:
            (folder / proof.nonce).touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            raise ReplayedError("it has been served before: somebody put it into the queue again") from None

    def _forget(self, now: float) -> None:
        """Remove what could not be served any more anyway."""
        oldest = int((now - 2 * SKEW) // _SPAN)
        for folder in self._root.iterdir():
            with contextlib.suppress(ValueError):
                if int(folder.name) < oldest:
                    shutil.rmtree(folder, ignore_errors=True)
