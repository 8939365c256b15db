"""A campaign's claim on its cluster: so many instances, paid attention to what they cost, let go at the end.

`Claim.step` is to be called every now and then with what is left to be done; `Steward` does so from a thread.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_oppcloud.cloud import fleet
from pytest_oppcloud.cloud.aws import AwsError

from . import control, cost, names
from .cost import Meter, Receipt
from .lease import RENEW_AFTER, Lease

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_oppcloud.cloud.aws import Aws
    from pytest_oppcloud.cloud.fleet import Demand

    from .clock import Clock
    from .cluster import Cluster
    from .prices import Prices

#: Seconds between two steps.
PACE = 15.0
#: Seconds between two glances at whether there is anything to do.
_GLANCE = 1.0
#: Seconds from the word to stop until nothing costs any more: the next step, the runs handed back, the machine down.
STOPPING = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a claim stands."""

    #: Instances that it claims.
    claimed: int
    #: Worker instances that run, for whomever.
    running: int
    #: USD so far.
    spent: float
    #: Whether it must end because it would cost more than it may.
    broke: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a campaign may claim."""

    #: Its name among others.
    holder: str
    #: What it reckons with.
    prices: Prices
    #: None for as many as the cluster may have.
    max_instances: int | None = None
    #: USD; None for no limit.
    max_cost: float | None = None


class Claim:
    """What one campaign claims of a cluster, from its lease to its bill."""

    def __init__(self, aws: Aws, cluster: Cluster, terms: Terms, clock: Clock) -> None:
        self._aws = aws
        self._cluster = cluster
        self._terms = terms
        self._clock = clock
        self._maximum = min(cluster.max_instances, terms.max_instances or cluster.max_instances)
        self._dearest = terms.prices.dearest(cluster.worker_types, spot=cluster.spot)
        self._meter = Meter(prices=terms.prices, start=clock.now(), head=cluster.head, guess=cluster.worker_types[0])
        self._claimed = 0
        self._renewed: float | None = None
        self._broke = False

    def begin(self) -> None:
        """Take the lease, before anything is started, so that the timer leaves it alone."""
        self._hold(0)

    def step(self, demand: Demand) -> State:
        """Look, decide, act; return how it stands. Raise `AwsError` if Amazon does not answer."""
        now = self._clock.now()
        instances = self._aws.instances.tagged(names.TAG, self._cluster.name)
        self._meter.observe(now, instances)
        running = {one.id for one in instances if one.running and one.id != self._cluster.head}
        wanted = fleet.wanted(demand, present=self._claimed, slots=self._cluster.slots, maximum=self._maximum)
        affordable = self._affordable(wanted)
        if affordable < wanted and affordable == 0:
            self._broke = True
        wanted = 0 if self._broke else affordable
        due = self._renewed is None or now >= self._renewed + RENEW_AFTER * self._cluster.longest_lease
        if wanted != self._claimed or due:
            self._hold(wanted)
        if demand.at_the_tail:
            self._dismiss(demand.idle & running)
        control.resize(self._aws, self._cluster, now)
        return State(claimed=self._claimed, running=len(running), spent=self._meter.spent, broke=self._broke)

    def end(self) -> Receipt:
        """Let go of everything that nobody else claims; return what it cost.

        The queue's instance is left to the timer, which stops it within minutes unless another campaign begins.
        """
        now = self._clock.now()
        # Before they go: what was started after the last step has cost something, too.
        self._meter.observe(now, self._aws.instances.tagged(names.TAG, self._cluster.name))
        control.release(self._aws, self._cluster, self._terms.holder)
        control.resize(self._aws, self._cluster, now)
        return cost.receipt(self._meter.uses, self._terms.prices)

    def _hold(self, count: int) -> None:
        """Note the lease, on so many instances, for as long as one lasts."""
        now = self._clock.now()
        until = now + self._cluster.longest_lease
        control.hold(self._aws, self._cluster, Lease(holder=self._terms.holder, until=until, instances=count))
        self._claimed, self._renewed = count, now

    def _dismiss(self, idle: frozenset[str]) -> None:
        """Let go of instances that have nothing to do any more, but for the one that a repeated run would need."""
        surplus = min(len(idle), self._claimed - 1)
        if surplus > 0:
            self._hold(self._claimed - surplus)
            control.dismiss(self._aws, self._cluster, self._clock.now(), idle)

    def _affordable(self, wanted: int) -> int:
        """Return how many of the wanted instances can run on until the next step and still be stopped in time."""
        if self._terms.max_cost is None:
            return wanted
        while wanted and self._meter.spent_if(wanted, PACE + STOPPING, self._dearest) > self._terms.max_cost:
            wanted -= 1
        return wanted


class Steward:
    """Takes the steps of a claim from a thread of its own until it is told to stop."""

    def __init__(self, claim: Claim, demand: Callable[[], Demand], pace: float = PACE) -> None:
        """`demand` is called from the thread."""
        self._claim = claim
        self._demand = demand
        self._pace = pace
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="oppcloud-steward", daemon=True)
        #: How the claim stood last; None before the first step.
        self.state: State | None = None
        #: What Amazon answered to the last step instead; "" if all was well.
        self.trouble = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a step that is under way is finished first."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            busy = False
            try:
                demand = self._demand()
                busy = demand.runs > 0
                self.state = self._claim.step(demand)
                self.trouble = ""
            except AwsError as error:
                # The lease bridges several steps, and the next may succeed.
                self.trouble = str(error)
            self._rest(busy=busy)

    def _rest(self, *, busy: bool) -> None:
        """Wait for the next step: for less long where the first runs come, or the last have gone."""
        ends = time.monotonic() + self._pace
        while (left := ends - time.monotonic()) > 0 and not self._stop.wait(min(left, _GLANCE)):
            with contextlib.suppress(AwsError):
                if (self._demand().runs > 0) != busy:
                    return
