"""Entry point `oppcloud`: registration, nothing else.

`-p no:oppcloud` blocks this plugin alone; the core, which knows the options, then runs simulations where pytest runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Bring the core along where plugins are not loaded by themselves (`-p oppcloud`)."""
    pluginmanager.import_plugin("oppsim", consider_entry_points=True)


def pytest_configure(config: pytest.Config) -> None:
    """Register the session if it was asked for; a run without `--oppcloud` never imports redis or rq."""
    from pytest_oppcloud.cloud_options import uses_queue
    from pytest_oppcloud.execution import simulates

    if not uses_queue(config) or not simulates(config):
        return
    from .session import CloudSession
    from .settings import read_settings

    config.pluginmanager.register(CloudSession(config, read_settings(config)), "oppcloud-session")
