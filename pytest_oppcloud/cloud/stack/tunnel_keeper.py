"""Runs a program until it ends by itself or our standard input closes, and then ends it.

A script of its own (`python -I -S tunnel_keeper.py PROGRAM …`): whoever started us holds the other end of the pipe, so
that the program goes also when they are killed. Standard library only; knows nothing of this package.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

#: Seconds for the program to end when it is asked to.
PATIENCE = 2.0


def main(command: list[str]) -> int:
    """Run the command; return its exit code."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def watch() -> None:
        while os.read(0, 4096):
            pass
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)

    threading.Thread(target=watch, daemon=True).start()
    return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
