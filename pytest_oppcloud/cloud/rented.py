"""The queue of a cluster in Amazon's cloud, for the length of a session.

Takes a lease, wakes the queue, opens the way to it, has as many instances as the session deserves, and lets everything
go at its end. Knows neither Redis nor pytest; what there is left to do it is told.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_oppcloud.errors import MachineryError

from . import aws as amazon
from .stack import access, cluster, deploy, status
from .stack.claim import Claim, Steward, Terms
from .stack.clock import RealClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from oppcloud_worker.signing import ClusterKey

    from .fleet import Demand


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterWish:
    """Which cluster is wanted, for whom."""

    name: str
    #: "" for the region that Amazon's own settings name.
    region: str
    #: What the lease is called.
    session: str
    #: USD; None for no limit.
    max_cost: float | None


class RentedQueue:
    """A cluster's queue, with workers that come and go."""

    def __init__(self, wish: ClusterWish, *, demand: Callable[[], Demand], notify: Callable[[str], None]) -> None:
        """Wake the queue and wait until it answers; raise `SettingsError` or `MachineryError`.

        `demand` is called from a thread of ours.
        """
        self._max_cost = wish.max_cost
        self._demand = demand
        #: What it cost, or what went wrong at the end; empty before.
        self.lines: tuple[str, ...] = ()
        clock = RealClock()
        services = amazon.connect(wish.region or None)
        found = cluster.find(services, wish.name)
        prices = deploy.present_prices(services, found.worker_types)
        terms = Terms(holder=wish.session, prices=prices, max_cost=wish.max_cost)
        self._longest_lease = found.longest_lease
        self._claim = Claim(services, found, terms, clock)
        self._claim.begin()
        self._open = ExitStack()
        try:
            self._access = self._open.enter_context(access.opened(services, found, clock, notify))
        except BaseException:
            self._let_go()
            raise
        self._steward = Steward(self._claim, self._look)
        self._steward.start()

    @property
    def url(self) -> str:
        """Return the URL of the queue, with a password in it."""
        return self._access.url

    @property
    def key(self) -> ClusterKey:
        """Return what requests are signed with."""
        return self._access.key

    @property
    def store(self) -> str:
        """Return the URL of the cluster's store of files."""
        return self._access.cluster.store

    def _look(self) -> Demand:
        """Keep the way open, and return what is left to be done (in the steward's thread)."""
        if self._access.tunnel is not None:
            self._access.tunnel.keep()
        return self._demand()

    def objection(self) -> str:
        """Tell why nothing more may be run, "" as long as it may; never waits."""
        state = self._steward.state
        if state is None or not state.broke:
            return ""
        return (
            f"it may cost ${self._max_cost:.2f} and has cost ${state.spent:.4f}: the workers are let go before it is "
            "more (--oppcloud-max-cost)"
        )

    def close(self) -> None:
        """Give back the lease and close the way; what it cost is in `lines` then. May be called twice."""
        if self.lines:
            return
        self._steward.stop()
        self._let_go()

    def _let_go(self) -> None:
        try:
            self.lines = tuple(self._claim.end().text().splitlines())
        except MachineryError as error:
            ends = status.duration(self._longest_lease)
            self.lines = (
                f"the lease could not be given back: {error}",
                f"it ends by itself within {ends}, and then the cluster's timer stops what runs",
            )
        finally:
            self._open.close()
