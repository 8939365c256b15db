"""Very many tiny runs: the memory of client, workers and Redis stays flat.

`python -m faultkit.soak --runs 10000`; it prints figures, and its exit code tells whether they are within the bounds.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from .cluster import Cluster, new_cluster
from .model import Tiny

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .client import Client

_MIB = 1024 * 1024
#: Seconds between two samples.
_PAUSE = 1.0
#: By how many MiB the median of the last third of the samples may be above that of the first third.
BOUNDS = {
    "client": 10.0,
    # All of them together.
    "workers": 15.0,
    # What waits goes; events, outcomes and what RQ's tools show of jobs come, some kilobytes of each run, and go with
    # the session or after an hour.
    "Redis": 25.0,
}


@dataclass
class Samples:
    """Memory over time, in MiB."""

    of: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, size: float) -> None:
        """Note a sample."""
        self.of.setdefault(name, []).append(size)

    def growth(self, name: str) -> float:
        """Return by how much the last third is above the first."""
        first, last = self._thirds(name)
        return last - first

    def line(self, name: str) -> str:
        """Return the figures for people."""
        first, last = self._thirds(name)
        return (
            f"{name:8} {first:7.1f} MiB in the first third, {last:7.1f} in the last, "
            f"{max(self.of[name]):.1f} at most; growth {last - first:+.1f}, allowed {BOUNDS[name]:.0f}"
        )

    def _thirds(self, name: str) -> tuple[float, float]:
        # Without the beginning, when processes start, and the very end, when they go.
        samples: Sequence[float] = self.of[name]
        third = max(1, len(samples) // 3)
        return statistics.median(samples[:third]), statistics.median(samples[-third:])


def memory_of(processes: Sequence[psutil.Process]) -> float:
    """Return the MiB of physical memory that processes take together."""
    total = 0
    for process in processes:
        # It may be gone by now.
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total / _MIB


def soak(cluster: Cluster, runs: int, hosts: int, slots: int) -> tuple[Client, Samples]:
    """Run all; return the client, and the memory of all parts meanwhile."""
    machines = [cluster.host(slots=slots) for _ in range(hosts)]
    client = cluster.client(runs=[Tiny(x=x) for x in range(runs)], shipped=True)
    samples = Samples()
    watched: dict[str, list[psutil.Process]] = {}
    while not client.has_ended():
        if client.has_judged(max(1, runs // 100)) and not watched:
            # Supervisors, slots and guardians; the simulations come and go.
            workers = [process for host in machines for process in host.all_processes() if is_python(process)]
            assert client.process is not None
            watched = {"client": [psutil.Process(client.process.pid)], "workers": workers}
        for name, processes in watched.items():
            samples.add(name, memory_of(processes))
        if watched:
            samples.add("Redis", cluster.server.memory() / _MIB)
        time.sleep(_PAUSE)
    return client, samples


def is_python(process: psutil.Process) -> bool:
    """Tell whether a process is one of ours."""
    try:
        return "python" in process.name()
    except psutil.Error:
        return False


def main() -> int:
    """Run as the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--slots", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    with new_cluster() as cluster:
        client, samples = soak(cluster, options.runs, options.workers, options.slots)
        wrong = client.judged_wrong()
    seconds = time.monotonic() - started
    now = dt.datetime.now(tz=dt.timezone.utc)
    print(f"{now:%Y-%m-%d}, {platform.system()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    for name in BOUNDS:
        print(samples.line(name))
    for line in wrong[:20]:
        print(f"wrong: {line}")
    grown = [name for name, bound in BOUNDS.items() if samples.growth(name) > bound]
    print(
        f"soak: {options.runs:,} runs on {options.workers} workers in {seconds:.0f} s: {len(wrong)} wrong, "
        f"{' and '.join(grown) or 'nothing'} grew"
    )
    return 1 if wrong or grown else 0


if __name__ == "__main__":
    sys.exit(main())
