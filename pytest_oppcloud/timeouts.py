"""What pytest-timeout means for a simulation: a limit of its own time, not of the time that pytest waits for it.

Its timer would run while the item is set up; there a simulation at the desk runs, and one on a worker has long ended.
So the limit goes into the request, and a run that exceeds it fails in the same way wherever it runs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def option_of(config: pytest.Config) -> float | None:
    """Return what `--timeout` of pytest-timeout says, None if it is not there or says nothing."""
    value: float | None = config.getoption("timeout", None) if config.pluginmanager.has_plugin("timeout") else None
    return value


def seconds_of(item: pytest.Item) -> float:
    """Return what pytest-timeout gives `item`, 0 for no limit: marker over option over environment over ini file."""
    config = item.config
    if not config.pluginmanager.has_plugin("timeout"):
        return 0.0
    marker = item.get_closest_marker("timeout")
    marked = None if marker is None else marker.args[0] if marker.args else marker.kwargs.get("timeout")
    for value in (marked, option_of(config), os.environ.get("PYTEST_TIMEOUT"), config.getini("timeout")):
        if value is not None and value != "":
            try:
                return float(value)
            except ValueError:
                # pytest-timeout itself tells what is wrong with it.
                return 0.0
    return 0.0
