"""A campaign's claim on its cluster: so many instances, paid attention to what they cost, let go at the end.

`Claim.step` is to be called every now and then with what is left to be done; `Steward` does so from a thread.
"""

from __future__ import annotations

import contextlib
import math
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
    from collections.abc import Callable, Iterator

    from pytest_oppcloud.cloud.aws import Aws
    from pytest_oppcloud.cloud.fleet import Demand

    from .clock import Clock
    from .cluster import Cluster
    from .cost import Use
    from .prices import Prices

#: Seconds between two steps.
PACE = 15.0
#: Seconds between two glances at whether there is anything to do.
_GLANCE = 1.0
#: Seconds between two looks of the stack's timer.
TIMER = 300.0
#: Seconds that a campaign must be able to pay for to be left to its workers: less would be spent on starting them.
_WORTHWHILE = 600.0
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
class Left:
    """What a campaign without a client may do, and what it cost until then."""

    #: Instances that it claims, as long as there is work.
    instances: int
    #: When they end at the latest, seconds since 1970.
    until: float
    #: USD that they may cost from now on, if they are there until the very end.
    most: float
    receipt: Receipt


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
        self._size = fleet.Size(slots=cluster.slots, memory=cluster.memory)
        self._maximum = min(cluster.max_instances, terms.max_instances or cluster.max_instances)
        self._dearest = terms.prices.dearest(cluster.worker_types, spot=cluster.spot)
        self._meter = Meter(prices=terms.prices, start=clock.now(), head=cluster.head, guess=cluster.worker_types[0])
        self._claimed = 0
        self._renewed: float | None = None
        self._broke = False
        self._since = clock.now()
        #: When a campaign that was detached before ends at the latest, 0 for one that ends with its client.
        self._detached_until = 0.0
        #: Whether instances of before are kept, as it is not known yet whether anything is left for them to do.
        self._adopting = False

    def begin(self) -> None:
        """Take the lease, before anything is started, so that the timer leaves it alone.

        Where this campaign had one before and was left, its instances are taken over as far as they are still there.
        """
        aws, cluster = self._aws, self._cluster
        before = next((one for one in control.leases(aws, cluster) if one.holder == self._terms.holder), None)
        count = 0
        if before is not None:
            count = min(before.instances, aws.instances.group(cluster.group).desired)
            self._adopting = count > 0
            self._detached_until = before.detached_until
            if before.since:
                self._since = self._meter.start = before.since
                self._meter.recall(self._earlier())
        self._hold(count)

    def _earlier(self) -> Iterator[Use]:
        """Yield when workers ran that are gone, as far as their group remembers."""
        aws, cluster = self._aws, self._cluster
        activities = aws.instances.activities(cluster.group)
        now, guess = self._clock.now(), cluster.worker_types[0]
        yield from cost.group_uses(activities, (), now=now, guess=guess, spot=cluster.spot)

    def step(self, demand: Demand) -> State:
        """Look, decide, act; return how it stands. Raise `AwsError` if Amazon does not answer."""
        now = self._clock.now()
        instances = self._aws.instances.tagged(names.TAG, self._cluster.name)
        self._meter.observe(now, instances)
        running = {one.id for one in instances if one.running and one.id != self._cluster.head}
        wanted = fleet.wanted(demand, present=self._claimed, size=self._size, maximum=self._maximum)
        self._adopting = self._adopting and demand.runs == 0
        if self._adopting:
            wanted = self._claimed
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

    def leave(self, demand: Demand, until: float) -> Left:
        """Leave what is to be done to the workers, `until` then at the latest, and no longer than it may cost.

        From now on the lease holds as long as workers say that they have work; nobody changes the claim any more.
        """
        now = self._clock.now()
        self._meter.observe(now, self._aws.instances.tagged(names.TAG, self._cluster.name))
        wanted = fleet.wanted(demand, present=self._claimed, size=self._size, maximum=self._maximum)
        if demand.runs > 0:
            # At the tail nobody will need another one, but those that there are must have a reason to stay.
            wanted = max(wanted, 1)
        count, seconds = self._payable(0 if self._broke else wanted)
        until = min(until, now + seconds) if count else until
        self._hold(count, detached_until=until)
        control.resize(self._aws, self._cluster, now)
        most = self._meter.spent_if(count, until - now + TIMER + STOPPING, self._dearest) - self._meter.spent
        bill = cost.receipt(self._meter.uses, self._terms.prices)
        return Left(instances=count, until=until, most=most if count else 0.0, receipt=bill)

    def _payable(self, wanted: int) -> tuple[int, float]:
        """Return how many of the wanted instances may go on without us, and for how many seconds."""
        if self._terms.max_cost is None or not wanted:
            return wanted, math.inf
        while wanted:
            hour = self._meter.spent_if(wanted, 3600, self._dearest) - self._meter.spent
            seconds = 3600 * (self._terms.max_cost - self._meter.spent) / hour - TIMER - STOPPING
            if seconds >= _WORTHWHILE:
                return wanted, seconds
            wanted -= 1
        return 0, 0.0

    def _hold(self, count: int, *, detached_until: float | None = None) -> None:
        """Write the lease: for as long as we are there, or (`detached_until`) for a campaign that we leave now."""
        now = self._clock.now()
        until = now + self._cluster.longest_lease if detached_until is None else now
        claim = Lease(
            holder=self._terms.holder,
            until=until,
            instances=count,
            since=self._since,
            detached_until=self._detached_until if detached_until is None else detached_until,
        )
        control.hold(self._aws, self._cluster, claim)
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
