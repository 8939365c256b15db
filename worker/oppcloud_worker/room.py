"""Whether there is room on the disks of this worker.

Standard library only. A worker whose disk is full would fail every run that it takes, at once, and so take more of
them than all the others together.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: What must be free on a disk before a run is taken: bytes, or that share of a small disk.
_BYTES, _SHARE = 64 * 1024**2, 0.05


def lack_of_room(folders: Iterable[Path]) -> str:
    """Return which disk is full, and how full, for people; "" where there is room, or no telling."""
    for folder in folders:
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            continue
        if usage.free < min(_BYTES, _SHARE * usage.total):
            return f"no room on the disk of {folder}: {usage.free / 1024**2:.0f} MiB are free"
    return ""
