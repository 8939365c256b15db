"""What a worker is told to be.

Standard library only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from .messages import Limits  # noqa: TC001  # read at run time by wire.decode

#: Where the URL of the queue comes from unless an option gives it: the password in it then stands in no command line.
URL_VARIABLE = "OPPCLOUD_REDIS_URL"
#: Where the workers of a cluster leave signs that sessions without a client have work, as "s3://bucket/prefix".
SIGNS_VARIABLE = "OPPCLOUD_WORK_SIGNS"

#: Where Amazon's own tools are told the region; boto3 alone wants it in AWS_DEFAULT_REGION.
REGION_VARIABLE = "AWS_REGION"

_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def amazon_region(given: str | None = None) -> str | None:
    """Return the region that boto3 is to be told: `given`, or of the environment; None for what else it finds."""
    return given or os.environ.get(REGION_VARIABLE) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSettings:
    """What a worker tells a slot of its own."""

    #: Name of the slot, and of the worker that it belongs to.
    name: str
    worker: str
    #: With password and CA file.
    url: str
    #: The cluster key as text, "" without one.
    key: str = field(repr=False)
    queue: str
    #: Folder for unpacked content, and its limit in bytes.
    cache: str
    cache_limit: int
    #: Folder for the results of runs until they are stored.
    scratch: str
    #: What no run may exceed.
    bounds: Limits
    #: What the worker tells about itself (see `presence.SlotInfo`).
    image: str
    system: str
    omnetpp: str
    memory: int
    #: Name of the user that simulations run as, "" for the worker's own.
    account: str = ""
    #: Where signs of work are left for the timer of a cluster, as "s3://bucket/prefix"; "" where nobody looks.
    work_signs: str = ""


def available_cores() -> int:
    """Return how many cores this process may use: what its affinity and its container allow."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, min(cores, _quota() or cores))


def _quota() -> int:
    """Return the cores that the container allows, 0 for no limit."""
    try:
        if _CGROUP_V2.exists():
            quota, period = _CGROUP_V2.read_text(encoding="ascii").split()
        else:
            quota, period = (file.read_text(encoding="ascii").strip() for file in _CGROUP_V1)
        return max(1, round(int(quota) / int(period))) if int(quota) > 0 else 0
    except (OSError, ValueError):
        return 0
