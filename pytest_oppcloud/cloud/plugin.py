"""Entry point `oppcloud`: options and registration, nothing else.

`-p no:oppcloud` blocks this plugin alone; the core then runs simulations where pytest runs.
"""

from __future__ import annotations

import sys

import pytest


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Bring the core along where plugins are not loaded by themselves (`-p oppcloud`)."""
    pluginmanager.import_plugin("oppsim", consider_entry_points=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the cloud part."""
    group = parser.getgroup("oppcloud")
    group.addoption(
        "--oppcloud-workers",
        type=int,
        default=None,
        metavar="N",
        help="Simulations that the private worker runs at the same time\n"
        "Default: the cores that may be used\nWorkers of a queue at OPPCLOUD_REDIS_URL have their own option",
    )
    group.addoption("--oppcloud-queue", default=None, metavar="NAME", help="Name of the queue (default: oppcloud)")
    group.addoption(
        "--oppcloud-wait",
        type=float,
        default=None,
        metavar="SECONDS",
        help="How long to wait for a worker to appear, and for a lost queue to come back\n"
        "Default: 60, and 900 in a cluster\nThen the runs are errors",
    )
    group.addoption(
        "--oppcloud-stack",
        default=None,
        metavar="NAME",
        help="Run simulations in the cluster NAME in Amazon's cloud, made by `oppcloud up`\nDefault: OPPCLOUD_STACK",
    )
    group.addoption(
        "--oppcloud-max-cost",
        type=float,
        default=None,
        metavar="USD",
        help="Let the cluster go before the session has cost more; runs that are left are errors",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the session if it was asked for; a run without `--oppcloud` never imports redis or rq."""
    if not config.getoption("oppcloud", default=False) or config.option.collectonly:
        return
    if sys.platform == "win32":
        raise pytest.UsageError("--oppcloud needs Linux or macOS")
    from .session import CloudSession  # noqa: PLC0415  # see above
    from .settings import read_settings  # noqa: PLC0415

    config.pluginmanager.register(CloudSession(config, read_settings(config)), "oppcloud-session")
