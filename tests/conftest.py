"""What holds for all tests, wherever they run.

A tool that is missing makes a test skip at the desk, with the reason, and fail in CI, where all of them must be. Some
tests are skipped everywhere: their reasons begin with the words below.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

#: How the reasons begin that hold in CI, too: what another target runs, what only other systems or users can, and what
#: the project does not depend on.
EVERYWHERE = ("takes minutes: make ", "only Linux ", "only root ", "only before Python ", "no OMNeT++ here")


def pytest_configure() -> None:
    """Have children obey the signals that nohup, and a shell for what it puts behind, has us ignore; use no proxy."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            # Programs that we start inherit what is ignored, but no handler; we ourselves go on as before.
            signal.signal(number, lambda *_: None)
    # The servers of tests are on this machine, whichever proxy leads to others.
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1", "localhost")))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Have a skip for want of a tool fail in CI."""
    report = yield
    if report.skipped and os.environ.get("CI") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(EVERYWHERE):
            report.outcome = "failed"
            report.longrepr = f"skipped, and CI has all tools: {reason}"
    return report
