"""Result files of OMNeT++: what a run recorded, read strictly.

Standard library only. A file comes from outside and may be cut off, damaged or made up; whatever is not exactly as
OMNeT++ writes it raises `ResultError` with file and line.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from . import sqlite, text
from .record import ResultError, RunRecord

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MAX_SIZE", "ResultError", "RunRecord", "read_results"]

#: Bytes of a result file that are read at most; scalars of large studies take some megabytes.
MAX_SIZE = 512 * 1024 * 1024


def read_results(path: Path) -> tuple[RunRecord, ...]:
    """Return the runs of a `.sca` file in their order, whether it is text or SQLite.

    Raises `ResultError` if the file is damaged or no result file, OSError if it cannot be read.
    """
    information = path.lstat()
    if not stat.S_ISREG(information.st_mode):
        raise ResultError("not a regular file", path)
    size = information.st_size
    if size > MAX_SIZE:
        raise ResultError(f"{size} bytes are more than the {MAX_SIZE} that are read", path)
    with path.open("rb") as file:
        magic = file.read(len(sqlite.MAGIC))
    return sqlite.read(path) if magic == sqlite.MAGIC else text.read(path)
