"""Whether the worker of this container or machine works: `python -m oppcloud_worker.health`.

Standard library only. Whenever a slot has renewed its lease, it notes that beside the results of its runs; this command
looks for a fresh note. So it needs neither the address of the queue nor its password, and a worker that cannot reach
the queue is found out as well as one that hangs.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from pathlib import Path

from .remote.keys import SLOT_LEASE

#: How the folders are called that hold the results of a worker's runs until they are stored.
SCRATCH_PREFIX = "oppcloud-runs-"
_NOTE = "lease-renewed"


def note(scratch: Path) -> None:
    """Note that a lease was just renewed; on a full or vanished disk there will be no note, which tells enough."""
    with contextlib.suppress(OSError):
        (scratch / _NOTE).touch()


def silence(folder: Path, now: float) -> float | None:
    """Return the seconds since a worker with its results below `folder` renewed a lease, None if none ever did."""
    notes = []
    for path in folder.glob(f"{SCRATCH_PREFIX}*/{_NOTE}"):
        # Of somebody else, or of a worker that has just ended.
        with contextlib.suppress(OSError):
            notes.append(path.stat().st_mtime)
    return now - max(notes) if notes else None


def main() -> int:
    """Tell how the worker is; return 0 if it works, else 1."""
    folder = Path(tempfile.gettempdir())
    age = silence(folder, time.time())
    if age is None:
        print(f"no worker has reached its queue yet (nothing in {folder})")
        return 1
    if age > SLOT_LEASE:
        print(f"the worker has not reached its queue for {age:.0f} s")
        return 1
    print(f"the worker reached its queue {max(age, 0.0):.0f} s ago")
    return 0


if __name__ == "__main__":
    sys.exit(main())
