"""Which processes belong to a test, whatever session, group or parent they have now.

Each process that the suite starts has a variable in its environment, and so have its descendants. A process that
lets nobody see its environment is known by its parent.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: The variable; its value is that of one test.
MARK = "OPPCLOUD_TEST_MARK"
#: Beginnings of variables that no process of the suite inherits.
_FOREIGN = ("OPPCLOUD_", "PYTEST_", "AWS_", "FAULTS_")


def eventually(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until `condition` holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(0.03)


class Processes:
    """The processes of one test."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex

    def environment(self, **more: str) -> dict[str, str]:
        """Return the variables for a process of the test."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return {**kept, MARK: self.mark, **more}

    def running(self, **variables: str) -> list[psutil.Process]:
        """Return those that run; with `variables`, those that have them, and their descendants."""
        wanted = {MARK: self.mark, **variables}
        found: dict[int, psutil.Process] = {}
        # By age, so that parents come before their children.
        for process in sorted(psutil.process_iter(), key=_age):
            if process.pid != os.getpid() and (_has(process, wanted) or _parent(process) in found) and _lives(process):
                found[process.pid] = process
        return list(found.values())

    def none_left(self, seconds: float = 60.0) -> None:
        """Fail if any still runs after `seconds`."""
        deadline = time.monotonic() + seconds
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.05)
        left = described(self.running())
        self.kill()
        if left:
            pytest.fail("still running:\n" + "\n".join(left))

    def kill(self) -> None:
        """End all that is left."""
        for process in self.running():
            send(process, signal.SIGKILL)


def described(processes: list[psutil.Process]) -> list[str]:
    """Return what people may want to know of processes."""
    lines = []
    for process in processes:
        # It may be gone by now.
        with contextlib.suppress(psutil.Error):
            lines.append(f"{process.pid} {' '.join(process.cmdline())[:150]}")
    return lines


def send(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def is_running(process: psutil.Process, word: str) -> bool:
    """Tell whether `word` is one of the words of its command line."""
    try:
        return word in process.cmdline()
    except psutil.Error:
        return False


def _age(process: psutil.Process) -> float:
    try:
        return process.create_time()
    except psutil.Error:
        return 0.0


def _has(process: psutil.Process, wanted: Mapping[str, str]) -> bool:
    try:
        environment = process.environ()
    except (psutil.Error, OSError):
        return False
    return all(environment.get(name) == value for name, value in wanted.items())


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.Error:
        return 0


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
