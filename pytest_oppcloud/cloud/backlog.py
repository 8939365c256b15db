"""What is left of a campaign, for whoever decides how many machines it deserves.

The dispatcher's thread looks at what only the queue knows; `demand` is asked from any thread.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from oppcloud_worker.remote import pending, presence

from .fleet import Demand, Large

if TYPE_CHECKING:
    from oppcloud_worker.remote.pending import Unfinished

    from .campaign import Campaign
    from .sending import Sender


class Backlog:
    """Counts what has no outcome yet."""

    def __init__(self, campaign: Campaign, sender: Sender) -> None:
        self._campaign = campaign
        self._sender = sender
        #: Whether anybody wants to know: the queue is not asked for nothing.
        self._asked = False
        #: What the session has waiting and under way, whichever process sent it.
        self._unfinished: list[Unfinished] = []
        self._idle: frozenset[str] = frozenset()

    def look(self) -> None:
        """Ask the queue (in the dispatcher's thread)."""
        campaign = self._campaign
        address, connection = campaign.address, campaign.connection
        if not (self._asked and campaign.owner):
            return
        taken = pending.taken(connection, address.queue)
        if not campaign.flights or self._goes_on:
            # Those of other processes of the session, as xdist has them, and those of before.
            self._unfinished = pending.unfinished(connection, address.queue, address.session)
        slots = presence.present(connection, address.queue)
        busy = {slots[name].host for name in taken.values() if name in slots}
        self._idle = frozenset(info.host for info in slots.values()) - busy

    def demand(self, expected: int) -> Demand:
        """Return what is left to be done; `expected` runs if none was ordered yet."""
        self._asked = True
        if self._sender.not_taken_up is None or self._goes_on:
            if expected and not self._goes_on:
                return Demand(runs=expected, seconds=self._usual(expected), idle=self._idle)
            return self._of_the_session()
        ordered, flights, foreseen = self._sender.count()
        lengths = [flight.ticket.expected for flight in flights]
        large: dict[int, list[float]] = defaultdict(list)
        for flight in flights:
            if flight.ticket.needs.memory:
                large[flight.ticket.needs.memory].append(flight.ticket.expected)
        pace = self._pace(foreseen - sum(lengths))
        return Demand(
            runs=ordered + len(flights),
            seconds=pace * sum(lengths) if any(lengths) else self._usual(ordered + len(flights)),
            longest=pace * max(lengths, default=0.0) or None,
            waiting=ordered + sum(not flight.slot for flight in flights),
            large=tuple(
                Large(memory=memory, runs=len(some), seconds=pace * sum(some) if any(lengths) else None)
                for memory, some in sorted(large.items())
            ),
            idle=self._idle,
        )

    def _of_the_session(self) -> Demand:
        """Return what the queue tells that all processes of the session together have left."""
        rows = self._unfinished
        runs = sum(row.waiting + row.taken for row in rows)
        return Demand(
            runs=runs,
            seconds=self._usual(runs),
            waiting=sum(row.waiting for row in rows),
            large=tuple(
                Large(memory=row.memory, runs=count, seconds=self._usual(count))
                for row in rows
                if row.memory and (count := row.waiting + row.taken)
            ),
            idle=self._idle,
        )

    @property
    def _goes_on(self) -> bool:
        """Whether a session of before is gone on with, and it is not known yet which of its runs are done."""
        sender = self._sender
        return self._campaign.address.submitted is not None and (sender.not_taken_up is None or not sender.all_sent)

    def _usual(self, runs: int) -> float | None:
        """Return the seconds that so many runs take if they are like those before them."""
        statistics = self._campaign.statistics
        return runs * statistics.busy_time / statistics.finished if statistics.finished else None

    def _pace(self, done: float) -> float:
        """Return how much longer runs take than was foreseen, `done` seconds being foreseen for those that ended."""
        return self._campaign.statistics.busy_time / done if self._campaign.statistics.finished and done > 0 else 1.0
