"""Many tiny runs, faults by chance, and the count of what was lost, judged twice or left running.

`python -m faultkit.campaign --runs 1000`; its last line tells the counts, its exit code is 0 if all of them are 0.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from .cluster import Cluster, new_cluster
from .model import Tiny
from .processes import described
from .random_faults import RandomFaults

if TYPE_CHECKING:
    from collections.abc import Callable

#: Repeats the faults of an earlier campaign.
SEED = "FAULTS_SEED"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What kind of campaign it is."""

    runs: int
    seed: int
    hosts: int = 4
    slots: int = 2
    #: Seconds between two faults, at most; that a run takes, at most; that a fault lasts, at most.
    pause: float = 4.0
    run: float = 1.5
    longest: float = 12.0
    #: Changes of all processes.
    changes: tuple[str, ...] = ()
    #: Seconds after which whatever is missing is lost.
    patience: float = 1800.0


@dataclass(frozen=True, kw_only=True)
class Count:
    """How a campaign ended."""

    plan: Plan
    faults: int
    #: What is wrong with the verdicts, for people.
    wrong: list[str]
    lost: int
    twice: int
    left: int

    @property
    def line(self) -> str:
        """The last line."""
        return (
            f"faults: {self.plan.runs:,} runs, {self.faults} faults (seed {self.plan.seed}): "
            f"{self.lost} lost, {self.twice} judged twice, {self.left} processes left"
        )

    @property
    def good(self) -> bool:
        """Whether all is as it should be."""
        return not (self.lost or self.twice or self.left or self.wrong)


def new_seed() -> int:
    """Return the seed that people want repeated, or another."""
    return int(os.environ.get(SEED) or secrets.randbelow(10**6))


def run_campaign(plan: Plan, tell: Callable[[str], None]) -> Count:
    """Run a campaign in a cluster of its own."""
    count: Count | None = None
    left: list[str] = []
    try:
        with new_cluster() as cluster:
            count = _run(plan, cluster, tell)
            cluster.end()
            deadline = time.monotonic() + 60
            while (left := described(cluster.processes.running())) and time.monotonic() < deadline:
                time.sleep(0.1)
            cluster.processes.kill()
    except pytest.fail.Exception as error:
        tell(f"broken: {error}")
    for line in left:
        tell(f"left: {line}")
    if count is None:
        return Count(plan=plan, faults=0, wrong=["broken"], lost=plan.runs, twice=0, left=len(left))
    return Count(**{**vars(count), "left": len(left)})


def _run(plan: Plan, cluster: Cluster, tell: Callable[[str], None]) -> Count:
    rng = random.Random(plan.seed)  # noqa: S311  # chance, not secrets
    cluster.server.kill()
    cluster.server.persistent = True
    cluster.server.start()
    tiny = [Tiny(x=x, seconds=round(rng.uniform(0, plan.run), 2)) for x in range(plan.runs)]
    near = cluster.another_network()
    client = cluster.client(*plan.changes, runs=tiny, shipped=True, network=near, patience=120)
    hosts = []
    for number in range(plan.hosts):
        far = cluster.another_network()
        # Clocks that are wrong by less than what is allowed.
        skew = (120, 0, -120, 0)[number % 4]
        hosts.append((cluster.host(*plan.changes, f"clock={skew}", slots=plan.slots, network=far), far))
    started = time.monotonic()

    def say(text: str) -> None:
        tell(f"{time.monotonic() - started:7.1f} s, {len(client.verdicts()):5} verdicts: {text}")

    faults = RandomFaults(
        cluster=cluster,
        client=client,
        client_network=near,
        hosts=hosts,
        random=rng,
        longest=plan.longest,
        tell=say,
    )
    next_fault = started + 3
    while len({verdict.run for verdict in client.verdicts()}) < plan.runs:
        now = time.monotonic()
        if now - started > plan.patience:
            say("patience is over")
            break
        faults.mend()
        if now >= next_fault:
            faults.one()
            next_fault = time.monotonic() + rng.uniform(0.2, plan.pause)
        time.sleep(0.25)
    faults.mend(all_of_it=True)
    say("all judged")
    if client.finished(60):
        say(f"lost attempts: {client.statistics()['lost']}")
    for name, number in sorted(faults.kinds.items()):
        tell(f"{number:4} x {name}")
    judged = Counter(verdict.run for verdict in client.verdicts())
    values = {run.name: run.value for run in tiny}
    right = {
        verdict.run
        for verdict in client.verdicts()
        if (verdict.cause, verdict.value) == ("COMPLETED", values[verdict.run])
    }
    wrong = client.judged_wrong()
    if (cluster.folder / "mark").exists():
        wrong.append("a forged run was run")
    for line in wrong[:20]:
        tell(f"wrong: {line}")
    return Count(
        plan=plan,
        faults=faults.count,
        wrong=wrong,
        lost=sum(run.name not in right for run in tiny),
        twice=sum(number > 1 for number in judged.values()),
        left=0,
    )


def main() -> int:
    """Run the campaign that the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    options = parser.parse_args()
    plan = Plan(runs=options.runs, seed=new_seed())
    print(f"{SEED}={plan.seed}", flush=True)
    count = run_campaign(plan, lambda text: print(text, flush=True))
    print(count.line, flush=True)
    return 0 if count.good else 1


if __name__ == "__main__":
    sys.exit(main())
