"""A tool that is missing makes a test skip at the desk, with the reason, and fail in CI, where all of them must be.

Some tests are skipped everywhere: their reasons begin with the words below.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

#: How the reasons begin that hold in CI, too: what another target runs, what only other systems or users can, and what
#: the project does not depend on.
EVERYWHERE = ("takes minutes: make ", "only Linux ", "only root ", "only before Python ", "no OMNeT++ here")


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
