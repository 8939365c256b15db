"""On the way to the queue: orders become flights, their content goes into the store, their jobs into the queue."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import redis
from oppcloud_worker.messages import Cause, RunOutcome
from oppcloud_worker.remote import keys, runs
from oppcloud_worker.remote.connection import LOST
from oppcloud_worker.remote.stores import content_store
from oppcloud_worker.store import ContentError
from oppcloud_worker.ticket import Kind, Ticket

from .building import Builds
from .campaign import Arrival, Flight
from .shipping import Shipping

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .campaign import Campaign, Order

#: Runs that are queued between two looks at the events.
_CHUNK = 500


class Sender:
    """Sends the runs of a campaign."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._shipping = Shipping(
            content_store(campaign.address.store, campaign.connection),
            lambda done, total: campaign.board.stage("bundle", done, total),
        )
        self._builds = Builds(campaign, self._shipping)
        #: What the session's thread has ordered.
        self._orders: queue.SimpleQueue[Sequence[Order]] = queue.SimpleQueue()
        #: Those that are still to be queued, in their order.
        self._unsent: deque[Flight] = deque()
        #: Whether this process queues runs; asked once, at the first order.
        self._submitter: bool | None = None
        #: How many runs were ordered, and how many of them taken up: each is written by one thread alone.
        self._ordered = 0
        self._boarded = 0
        #: Seconds that all runs which became flights were expected to take.
        self.foreseen = 0.0

    @property
    def not_taken_up(self) -> int | None:
        """How many runs were ordered and are no flights yet; None before any was (asked by any thread)."""
        return self._ordered - self._boarded if self._ordered else None

    @property
    def busy(self) -> bool:
        """Whether there are runs that could be queued at once."""
        return bool(self._unsent)

    def order(self, orders: Sequence[Order]) -> None:
        """Have runs sent (called by the session's thread)."""
        self._ordered += len(orders)
        self._orders.put(orders)

    def is_responsible(self, flight: Flight) -> bool:
        """Tell whether a run should be in the queue by now: sent from here, or another process sends it."""
        return not flight.held and (flight.sent or not self._submitter)

    def take_orders(self, *, send: bool) -> None:
        """Turn orders into flights, and send them if it is up to this process."""
        campaign = self._campaign
        while not self._orders.empty():
            orders = self._orders.get()
            for order in orders:
                campaign.board.order(order.run, order.request.name, order.expected)
            with self._lease_kept():
                flights = list(self._board(orders, send=send))
            campaign.flights.update((flight.ticket.run, flight) for flight in flights)
            self._boarded += len(orders)
            self.foreseen += sum(flight.ticket.expected for flight in flights)
            if not send or not flights:
                continue
            followed = [order.run for order in orders if order.followed]
            if followed:
                runs.follow(campaign.connection, campaign.address.session, followed)
            if self._submitter is None:
                self._submitter = runs.become_submitter(campaign.connection, campaign.address.session)
            if self._submitter:
                # The longest first: with the first of them the workers begin.
                free = (flight for flight in flights if not flight.held)
                self._unsent.extend(sorted(free, key=lambda flight: -flight.ticket.expected))

    def provide_programs(self) -> None:
        """Go on with what held runs wait for."""
        if self._submitter is None or not self._builds.is_due():
            return
        with self._lease_kept():
            for flight in self._builds.advance(lead=self._submitter):
                if not self._submitter:
                    continue
                if flight.ticket.kind is Kind.BUILD:
                    self._unsent.appendleft(flight)
                else:
                    self._unsent.append(flight)

    def leave(self) -> None:
        """Let others have built what this session would have built for them."""
        self._builds.leave()

    def close(self) -> None:
        """Remove what was kept for the case that the store loses it."""
        self._shipping.close()

    def send_some(self) -> None:
        """Queue the next runs; not all at once, as leases, outcomes and Ctrl-C do not wait."""
        campaign = self._campaign
        chunk = [self._unsent.popleft() for _ in range(min(_CHUNK, len(self._unsent)))]
        chunk = [flight for flight in chunk if flight.ticket.run in campaign.flights]
        if chunk:
            # What fails here counts as sent: it will be found missing when Redis is back.
            for flight in chunk:
                flight.sent = True
            campaign.renew_lease()
            for name in sorted({flight.ticket.queue for flight in chunk}):
                tickets = [flight.ticket for flight in chunk if flight.ticket.queue == name]
                runs.enqueue(campaign.connection, tickets, key=campaign.address.key)

    def send_again(self, flight: Flight, *, anew: bool = False) -> None:
        """Make sure that the store has what a run needs: it may have lost that, too, or (`anew`) damaged it."""
        if flight.content is not None and not flight.held:
            self._shipping.forget_sent()
            # If it cannot be sent, the worker will say what is missing.
            with contextlib.suppress(ContentError, OSError, *LOST):
                self._shipping.send(flight.content, anew=anew)

    def forget_sent(self) -> None:
        """Look again into the store before the next run is sent: it may have lost everything."""
        self._shipping.forget_sent()

    def _board(self, orders: Iterable[Order], *, send: bool) -> Iterable[Flight]:
        """Yield a flight for each order whose content can be sent; the others arrive as errors."""
        for order in orders:
            request = order.request
            content, needs, held = order.content, order.needs, False
            try:
                provided = None if content is None else self._builds.provided(content, needs)
                if provided is not None:
                    content, needs = provided.content, provided.needs
                    request = replace(self._shipping.addressed(request, content), product=provided.product)
                    if send and self._submitter is not False:
                        self._shipping.send(content)
                held = content is not None and provided is None
            except (ContentError, OSError) as error:
                outcome = RunOutcome(cause=Cause.CONTENT_MISSING, message=f"its files cannot be sent: {error}")
                self._campaign.board.fetch(order.run)
                self._campaign.arrivals.put(Arrival(run=order.run, outcome=outcome))
                continue
            except LOST:
                # The run is as good as sent: when Redis is back, it will be found missing, and sent again.
                self._shipping.forget_sent()
            address = self._campaign.address
            ticket = Ticket(
                session=address.session,
                run=order.run,
                queue=order.queue or address.queue,
                request=request,
                store=address.store,
                all_results=address.all_results,
                needs=needs,
                expected=order.expected,
                priority=address.priority,
            )
            flight = Flight(ticket=ticket, content=content)
            if held:
                self._builds.hold(flight)
            yield flight

    @contextlib.contextmanager
    def _lease_kept(self) -> Iterator[None]:
        """Renew the lease meanwhile: to send large files takes longer than it lasts."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(keys.RENEW):
                # Whoever sends will hear of it, too.
                with contextlib.suppress(redis.RedisError):
                    self._campaign.renew_lease()

        thread = threading.Thread(target=renew, daemon=True, name="oppcloud-lease")
        if self._campaign.owner:
            thread.start()
        try:
            yield
        finally:
            done.set()
            if self._campaign.owner:
                thread.join()
