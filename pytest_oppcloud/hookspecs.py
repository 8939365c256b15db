"""The hooks that pytest-oppcloud adds to pytest's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .execution import Executor


@pytest.hookspec(firstresult=True)
def pytest_oppcloud_make_executor(config: pytest.Config) -> Executor | None:
    """Return who runs the simulations of this session.

    Called once per process, before the first simulation is needed. Stops at the first non-None result; the core's own
    answer, which runs them locally, comes last.

    :param config: The session's configuration.
    """
