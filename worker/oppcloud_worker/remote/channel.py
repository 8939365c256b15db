"""What a slot and its worker have between them: two pipes, with lines of JSON, and the end of either of them.

The worker sends the slot's settings and holds the pipe open for as long as it lives; the slot tells what it does. Knows
no Redis.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that slots have to stop their simulations and hand back their runs, before they are killed.
GRACE = 3.0


def read_line() -> bytes:
    """Read the first line of standard input, and not more than that; end where there is none."""
    line = b""
    while not line.endswith(b"\n"):
        data = os.read(0, 65536)
        if not data:
            sys.exit(0)
        line += data
    return line


def watch_worker() -> None:
    """End the slot when its worker is gone (in a thread of its own)."""
    # Not through sys.stdin, whose lock would be in the way when the interpreter ends.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    # The worker would kill it now; what it waits for may be a Redis that is gone as well.
    os._exit(1)


def teller() -> Callable[[dict[str, object]], None]:
    """Return the function that tells the worker; standard output then belongs to it alone."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def tell(message: dict[str, object]) -> None:
        with contextlib.suppress(BrokenPipeError):
            pipe.write(json.dumps(message, separators=(",", ":")) + "\n")

    return tell
