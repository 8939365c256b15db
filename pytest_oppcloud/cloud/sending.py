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
from oppcloud_worker.remote.sessions import SubmittedRun, digest_of
from oppcloud_worker.remote.stores import content_store
from oppcloud_worker.store import ContentError
from oppcloud_worker.ticket import Kind, Ticket

from .campaign import Arrival, Flight
from .holding import SessionTakenError
from .providing import Provider
from .serving import too_large
from .shipping import Shipping

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from oppcloud_worker.messages import RunRequest

    from pytest_oppcloud.content import Content

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
        self._provider = Provider(campaign, self._shipping)
        #: What the session's thread has ordered.
        self._orders: queue.SimpleQueue[Sequence[Order]] = queue.SimpleQueue()
        #: Those that are still to be queued, in their order.
        self._unsent: deque[Flight] = deque()
        #: Whether it is up to this process to queue runs and to have programs built; asked once, at the first order.
        self._leads: bool | None = None
        #: As many runs as were ordered when all of them were where they belong; -1 as long as they are not.
        self._settled = -1
        #: Whether it is noted what the session is asked for, as far as that is up to this process.
        self._noted = False
        #: Flights that may be for another process to queue.
        self._undecided: list[Flight] = []
        #: How many runs were ordered, and how many of them taken up: each is written by one thread alone.
        self._ordered = 0
        self._boarded = 0
        #: Seconds that all runs which became flights were expected to take.
        self._foreseen = 0.0
        #: Whoever has it finds each run that has no outcome either among the orders or among the flights.
        self._boarding = threading.Lock()

    @property
    def not_taken_up(self) -> int | None:
        """How many runs were ordered and are no flights yet; None before any was (asked by any thread)."""
        return self._ordered - self._boarded if self._ordered else None

    def count(self) -> tuple[int, list[Flight], float]:
        """Return how many runs were ordered and are no flights yet, the flights, and the seconds foreseen for all.

        All of one moment; asked by any thread. The flights that have ended are in the seconds alone.
        """
        with self._boarding:
            return self._ordered - self._boarded, list(self._campaign.flights.values()), self._foreseen

    @property
    def all_sent(self) -> bool:
        """Whether all that was ordered lies in the queue, or never will (asked by any thread)."""
        return self._ordered == self._settled

    @property
    def boarded(self) -> bool:
        """Whether any run was ordered and taken up."""
        return self._boarded > 0

    @property
    def busy(self) -> bool:
        """Whether there are runs that could be queued at once."""
        return bool(self._unsent or self._undecided)

    def order(self, orders: Sequence[Order]) -> None:
        """Have runs sent (called by the session's thread)."""
        self._ordered += len(orders)
        self._orders.put(orders)

    def is_responsible(self, flight: Flight) -> bool:
        """Tell whether a run should be in the queue by now: sent from here, or another process sends it."""
        return not flight.held and (flight.sent or not self._submits)

    def take_orders(self, *, send: bool, wait: float = 0.0) -> list[str]:
        """Turn orders into flights, and have them sent if it is up to this process; return the runs.

        Wait up to `wait` seconds for the first order.
        """
        campaign = self._campaign
        taken: list[str] = []
        while (orders := self._next(wait)) is not None:
            wait = 0.0
            for order in orders:
                campaign.board.order(order.run, order.submission.request.name, order.submission.expected)
            with self._lease_kept():
                flights = list(self._board(orders, send=send))
            with self._boarding:
                campaign.flights.update((flight.ticket.run, flight) for flight in flights)
                self._boarded += len(orders)
                self._foreseen += sum(flight.ticket.expected for flight in flights)
            taken += (flight.ticket.run for flight in flights)
            if send:
                self._undecided += flights
        return taken

    def _next(self, wait: float) -> Sequence[Order] | None:
        try:
            return self._orders.get(timeout=wait) if wait else self._orders.get_nowait()
        except queue.Empty:
            return None

    def _decide(self) -> None:
        """Find out whether new flights are for this process to queue; note first what the session is asked for."""
        if not self._undecided:
            return
        campaign, address, hold = self._campaign, self._campaign.address, self._campaign.hold
        followed = [flight.ticket.run for flight in self._undecided if flight.followed]
        if followed:
            runs.follow(campaign.connection, address.session, followed)
        if self._leads is None:
            self._leads = runs.become_submitter(campaign.connection, address.session)
            self._noted = not self._submits or hold is None
        if hold is not None and not self._noted:
            hold.note_runs(flight.noted for flight in self._undecided if flight.noted is not None)
            self._noted = True
        if not campaign.owner:
            # xdist's controller shows how far the session is, and has no runs of its own.
            told = [flight.ticket for flight in self._undecided if flight.again or self._leads]
            runs.announce(campaign.connection, address.session, {ticket.run: ticket.expected for ticket in told})
        # The longest first: with the first of them the workers begin.
        ours = [flight for flight in self._undecided if not flight.held and (flight.again or self._submits)]
        self._unsent.extend(sorted(ours, key=lambda flight: -flight.ticket.expected))
        self._undecided.clear()

    @property
    def _submits(self) -> bool:
        """Whether this process queues the runs of the session; what was submitted before will be found missing."""
        return bool(self._leads) and self._campaign.address.submitted is None

    def provide_programs(self) -> None:
        """Go on with what held runs wait for."""
        # First, or what is released here at once would be taken for a run that was never held, and be queued twice.
        self._decide()
        if self._leads is None or not self._provider.is_due():
            return
        with self._lease_kept():
            for flight in self._provider.advance(lead=self._leads):
                if flight.ticket.kind is Kind.BUILD:
                    if self._leads:
                        self._unsent.appendleft(flight)
                elif flight.again or self._submits:
                    self._unsent.append(flight)

    def note_progress(self) -> None:
        """Note how many of the runs that were ordered are where they belong: in the queue, or at their end."""
        self._settled = -1 if self.busy or self._provider.holds_any else self._boarded

    def leave(self) -> None:
        """Let others have built what this session would have built for them."""
        self._provider.leave()

    def close(self) -> None:
        """Remove what was kept for the case that the store loses it."""
        self._shipping.close()

    def send_some(self) -> None:
        """Queue the next runs; not all at once, as leases, outcomes and Ctrl-C do not wait."""
        campaign = self._campaign
        self._decide()
        chunk = [self._unsent.popleft() for _ in range(min(_CHUNK, len(self._unsent)))]
        chunk = [flight for flight in chunk if flight.ticket.run in campaign.flights]
        if chunk:
            # What fails here counts as sent: it will be found missing when Redis is back.
            for flight in chunk:
                flight.sent = True
            try:
                campaign.renew_lease()
                for name in sorted({flight.ticket.queue for flight in chunk}):
                    tickets = [flight.ticket for flight in chunk if flight.ticket.queue == name]
                    runs.enqueue(campaign.connection, tickets, key=campaign.address.key)
            except LOST:
                if campaign.address.detaching:
                    # Nobody will be there to find it missing.
                    self._unsent.extendleft(reversed(chunk))
                raise

    def send_again(self, flight: Flight, *, anew: bool = False) -> None:
        """Make sure that the store has what a run needs: it may have lost that, too, or (`anew`) damaged it."""
        if flight.content is not None and not flight.held:
            self._shipping.forget_sent()
            # If it cannot be sent, the worker will say what is missing.
            with contextlib.suppress(ContentError, OSError, *LOST):
                self._shipping.send(flight.content, anew=anew)

    def addressed(self, request: RunRequest, content: Content) -> RunRequest:
        """Return `request` as a worker would be asked (called by the session's thread before it orders anything).

        Raises `ContentError` and OSError.
        """
        return self._shipping.addressed(request, content)

    def forget_sent(self) -> None:
        """Look again into the store before the next run is sent: it may have lost everything."""
        self._shipping.forget_sent()

    def _board(self, orders: Iterable[Order], *, send: bool) -> Iterable[Flight]:
        """Yield a flight for each order that can be sent and served; the others arrive as errors."""
        address = self._campaign.address
        for order in orders:
            given = order.submission
            too_much = too_large(given.needs, address.machines, address.memory)
            if too_much:
                self._refuse(order, Cause.NO_WORKER, f"no worker can take it: {too_much}")
                continue
            asked = request = given.request
            content, needs, held = given.content, given.needs, False
            try:
                asked = request if content is None else self._shipping.addressed(request, content)
                provided = None if content is None else self._provider.provided(content, needs)
                if provided is not None:
                    content, needs = provided.content, provided.needs
                    request = replace(self._shipping.addressed(request, content), product=provided.product)
                    if send and (order.again or self._leads is not False):
                        self._shipping.send(content)
                held = content is not None and provided is None
            except (ContentError, OSError) as error:
                self._refuse(order, Cause.CONTENT_MISSING, f"its files cannot be sent: {error}")
                continue
            except LOST:
                # The run is as good as sent: when Redis is back, it will be found missing, and sent again.
                self._shipping.forget_sent()
            ticket = Ticket(
                session=address.session,
                run=order.run,
                queue=given.queue or address.queue,
                request=request,
                store=address.store,
                all_results=address.all_results,
                deadline=0.0 if address.record is None else address.record.deadline,
                needs=needs,
                expected=given.expected,
                priority=address.priority,
            )
            flight = Flight(ticket=ticket, content=content, followed=order.followed, again=order.again)
            if self._campaign.hold is not None and not self._noted:
                flight.noted = _noted(order, asked)
            if held:
                self._provider.hold(flight)
            yield flight

    def _refuse(self, order: Order, cause: Cause, message: str) -> None:
        """End a run that is not sent at all."""
        self._campaign.board.fetch(order.run)
        self._campaign.arrivals.put(Arrival(run=order.run, outcome=RunOutcome(cause=cause, message=message, attempt=0)))

    @contextlib.contextmanager
    def _lease_kept(self) -> Iterator[None]:
        """Renew the lease meanwhile: to send large files takes longer than it lasts."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(keys.RENEW):
                # Whoever sends will hear of it, too.
                with contextlib.suppress(redis.RedisError, SessionTakenError):
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


def _noted(order: Order, request: RunRequest) -> SubmittedRun:
    """Return what is noted of a run; `request` is that of the order, with its files by their digest."""
    return SubmittedRun(
        run=order.run,
        name=request.name,
        digest=digest_of(request),
        content=request.content or "",
        folder=order.submission.model,
        config=request.config,
    )
