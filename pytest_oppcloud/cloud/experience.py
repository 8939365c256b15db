"""What sessions saw of their runs, kept for the next ones: a file in pytest's cache folder.

It may be lost, and what is damaged in it is passed over: all that follows from it is an order. Pure: it knows no
pytest, only the file.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .expectation import Seen

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Name of the file, with the version of its form.
FILE_NAME = "runs-1.json"
#: Runs that are remembered; those that were not seen for longest go first.
MOST = 50_000


def read(file: Path) -> dict[str, Seen]:
    """Return what was seen of each run, by the name that identifies it; nothing where the file cannot be read."""
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    found: dict[str, Seen] = {}
    for name, entry in data.items() if isinstance(data, dict) else ():
        # Written by a session of whatever version, on whatever disk.
        with contextlib.suppress(LookupError, TypeError, ValueError, OverflowError):
            wall_time, peak_memory = float(entry[0]), int(entry[1])
            if 0 <= wall_time < math.inf and peak_memory >= 0:
                found[name] = Seen(wall_time=wall_time, peak_memory=peak_memory)
    return found


def add(file: Path, seen: Mapping[str, Seen]) -> None:
    """Add what this session saw to what stands there by now, in one step: a reader never sees half of it."""
    if not seen:
        return
    merged = {name: entry for name, entry in read(file).items() if name not in seen} | dict(seen)
    newest = list(merged.items())[-MOST:]
    text = json.dumps({name: [round(entry.wall_time, 3), entry.peak_memory] for name, entry in newest})
    # A cache that cannot be written, as on a disk that is full, is no reason to fail.
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
        try:
            with os.fdopen(handle, "w", encoding="ascii") as stream:
                stream.write(text)
            Path(name).replace(file)
        finally:
            Path(name).unlink(missing_ok=True)
