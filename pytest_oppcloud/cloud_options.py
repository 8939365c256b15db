"""The options of the cloud part.

They are registered here, in the core, so that `addopts` may hold them where `-p no:oppcloud` is given. What they mean
is up to `pytest_oppcloud.cloud.settings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .project import seconds
from .settings import checked

if TYPE_CHECKING:
    import pytest


#: Environment variables of the cloud part and of its workers; a worker at this machine may have them, too.
CLOUD_VARIABLES = (
    "OPPCLOUD_REDIS_URL",
    "OPPCLOUD_REDIS_CA",
    "OPPCLOUD_KEY",
    "OPPCLOUD_KEY_FILE",
    "OPPCLOUD_STORE",
    "OPPCLOUD_STACK",
    "OPPCLOUD_HOST",
    "OPPCLOUD_IMAGE",
    "OPPCLOUD_WORK_SIGNS",
    "OPPCLOUD_DANGER_LET_THE_NETWORK_RUN_PROGRAMS",
)


def add_cloud_options(group: pytest.OptionGroup) -> None:
    """Register the options."""
    group.addoption(
        "--oppcloud",
        action="store_true",
        default=False,
        help="Run simulations on the workers of a queue\nThe queue at OPPCLOUD_REDIS_URL, or one of its own",
    )
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
        "--oppcloud-priority",
        type=int,
        default=None,
        metavar="N",
        help="Sessions of the same queue with a higher priority are served first (default: 0)\n"
        "Those of equal priority share the workers",
    )
    group.addoption(
        "--oppcloud-results",
        default=None,
        metavar="DIR",
        help="Fetch the result files of all runs, passed ones too, to DIR, laid out as OMNeT++ leaves them\n"
        "Without it only those of failed runs are fetched",
    )
    group.addoption(
        "--oppcloud-progress",
        choices=("auto", "live", "lines", "off"),
        default="auto",
        help="How to show what the workers do: lines that change on a terminal, a line now and then elsewhere, or "
        "nothing\nDefault: auto, what fits",
    )
    group.addoption(
        "--oppcloud-heartbeat",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="How long to wait between two lines that show progress (default: 30)",
    )
    group.addoption(
        "--oppcloud-follow",
        action="append",
        default=[],
        metavar="NODEID",
        help="Show what this simulation prints, as it comes\nMay be given several times",
    )
    group.addoption(
        "--oppcloud-stack",
        default=None,
        metavar="NAME",
        help="Run simulations in the cluster NAME in Amazon's cloud, made by `oppcloud up`\nDefault: OPPCLOUD_STACK",
    )
    group.addoption(
        "--oppcloud-region",
        default=None,
        metavar="REGION",
        help="Where that cluster is\nDefault: AWS_REGION, else what is set up for Amazon's tools",
    )
    group.addoption(
        "--oppcloud-max-cost",
        type=float,
        default=None,
        metavar="USD",
        help="Let the cluster go before the session has cost more; runs that are left are errors",
    )
    group.addoption(
        "--oppcloud-detach",
        action="store_true",
        default=False,
        help="Send the simulations to the queue at OPPCLOUD_REDIS_URL, or of --oppcloud-stack, and leave\n"
        "--oppcloud-attach judges them",
    )
    group.addoption(
        "--oppcloud-attach",
        default=None,
        metavar="ID",
        help="Judge the simulations of a session that was started before, with the same selection\n"
        "`oppcloud sessions` lists those that there are",
    )
    group.addoption(
        "--oppcloud-deadline",
        type=checked(seconds),
        default=None,
        metavar="TIME",
        help="How long workers serve a session that was detached, as 90min or 24h (default: 24h)",
    )


def uses_queue(config: pytest.Config) -> bool:
    """Tell whether simulations are wanted from a queue."""
    # An attachment to "", as of an empty variable, is a mistake to be told, not a session at the desk.
    attached = config.getoption("oppcloud_attach", default=None) is not None
    return attached or any(config.getoption(name, default=None) for name in ("oppcloud", "oppcloud_detach"))
