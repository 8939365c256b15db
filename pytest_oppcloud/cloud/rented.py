"""The queue of a cluster in Amazon's cloud, for the length of a session.

Takes a lease, wakes the queue, opens the way to it, has as many instances as the session deserves, and lets everything
go at its end, or leaves what is to be done to the workers. Knows neither Redis nor pytest; what there is left to do it
is told.
"""

from __future__ import annotations

import contextlib
import secrets
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_oppcloud.errors import MachineryError

from . import aws as amazon
from .fleet import Demand
from .stack import access, cluster, control, deploy, status
from .stack.claim import Claim, Steward, Terms
from .stack.clock import RealClock
from .stack.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable

    from oppcloud_worker.signing import ClusterKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterWish:
    """Which cluster is wanted, and what it may cost."""

    name: str
    #: "" for the region that Amazon's own settings name.
    region: str
    #: USD; None for no limit.
    max_cost: float | None = None


class RentedQueue:
    """A cluster's queue, with workers that come and go."""

    def __init__(self, wish: ClusterWish, *, notify: Callable[[str], None]) -> None:
        """Wake the queue and wait until it answers; raise `SettingsError` or `MachineryError`.

        No worker comes before `begin` is called, and those that others have there stay as they are.
        """
        self._wish = wish
        #: What it cost, or what went wrong at the end; empty before.
        self.lines: tuple[str, ...] = ()
        self._closed = False
        self._steward: Steward | None = None
        self._clock = RealClock()
        self._aws = amazon.connect(wish.region or None)
        self._cluster = cluster.find(self._aws, wish.name)
        #: What the lease is called by which we have a look before anybody is known to work here.
        self._visitor = f"visitor-{secrets.token_hex(4)}"
        until = self._clock.now() + self._cluster.longest_lease
        control.hold(self._aws, self._cluster, Lease(holder=self._visitor, until=until))
        self._open = ExitStack()
        try:
            self._access = self._open.enter_context(access.opened(self._aws, self._cluster, self._clock, notify))
        except BaseException:
            with contextlib.suppress(MachineryError):
                control.release(self._aws, self._cluster, self._visitor)
            raise

    def begin(self, session: str, demand: Callable[[], Demand]) -> None:
        """Have workers for a session, as many as it deserves; what it left before is taken over.

        `demand` is called from a thread of ours. Raise `MachineryError`.
        """
        self._demand = demand
        found = self._cluster
        prices = deploy.present_prices(self._aws, found.worker_types)
        terms = Terms(holder=session, prices=prices, max_cost=self._wish.max_cost)
        self._claim = Claim(self._aws, found, terms, self._clock)
        self._claim.begin()
        self._steward = Steward(self._claim, self._look)
        self._steward.start()
        control.release(self._aws, found, self._visitor)

    def stay(self) -> None:
        """Keep the way open, with no worker of our own, until we close."""
        self.begin(f"{self._visitor}-stays", lambda: Demand(runs=0))

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

    @property
    def memory(self) -> int:
        """Return the bytes of memory that a run can have at most, on whichever instance it comes."""
        return self._cluster.memory

    @property
    def machines(self) -> str:
        """Return what instances there may be, for people."""
        return f"the instances of the cluster {self._cluster.name!r} ({', '.join(self._cluster.worker_types)})"

    def _look(self) -> Demand:
        """Keep the way open, and return what is left to be done (in the steward's thread)."""
        if self._access.tunnel is not None:
            self._access.tunnel.keep()
        return self._demand()

    def objection(self) -> str:
        """Tell why nothing more may be run, "" as long as it may; never waits."""
        state = None if self._steward is None else self._steward.state
        if state is None or not state.broke:
            return ""
        return (
            f"it may cost ${self._wish.max_cost:.2f} and has cost ${state.spent:.4f}: the workers are let go before it "
            "is more (--oppcloud-max-cost)"
        )

    def forget(self, session: str) -> None:
        """Give back the lease of a session that was left, and its instances; raise `MachineryError`."""
        control.release(self._aws, self._cluster, session)
        control.resize(self._aws, self._cluster, self._clock.now())

    def close(self) -> None:
        """Give back the lease and close the way; what it cost is in `lines` then. May be called twice."""
        self._close(self._let_go)

    def leave(self, demand: Demand, until: float) -> None:
        """Leave what is to be done to the workers, `until` then at the latest, and close the way.

        What was claimed for them is in `lines` then.
        """
        self._close(lambda: self._leave(demand, until))

    def _close(self, act: Callable[[], tuple[str, ...]]) -> None:
        if self._closed:
            return
        self._closed = True
        if self._steward is not None:
            self._steward.stop()
        try:
            self.lines = act()
        except MachineryError as error:
            ends = status.duration(self._cluster.longest_lease)
            self.lines = (
                f"the lease could not be given back: {error}",
                f"it ends by itself within {ends}, and then the cluster's timer stops what runs",
            )
        finally:
            self._open.close()

    def _let_go(self) -> tuple[str, ...]:
        if self._steward is None:
            control.release(self._aws, self._cluster, self._visitor)
            return ()
        return tuple(self._claim.end().text().splitlines())

    def _leave(self, demand: Demand, until: float) -> tuple[str, ...]:
        left = self._claim.leave(demand, until)
        count = f"{left.instances} instance{'' if left.instances == 1 else 's'}"
        if left.instances:
            line = (
                f"the cluster {self._cluster.name!r} keeps {count} while there is work, until "
                f"{status.moment(left.until)} at the latest, for ${left.most:.2f} at most"
            )
        elif demand.runs:
            line = (
                f"the cluster {self._cluster.name!r} keeps no instance: what --oppcloud-max-cost leaves is too little; "
                "attach with more"
            )
        else:
            line = f"the cluster {self._cluster.name!r} keeps no instance, as nothing is left to be simulated"
        return (line, "so far:", *left.receipt.text().splitlines())
