"""Everything between a session and its queue, in a thread of its own.

The thread sends runs, waits for the session's events, renews its lease, and finds out what nobody reports: slots that
died with their host, jobs that Redis lost, a queue without workers, a Redis that is gone. Whatever happens, each run
that was given to it ends with an outcome; the session's thread only ever takes those from `arrivals`.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import redis
from oppcloud_worker.address import redacted
from oppcloud_worker.messages import Cause, RunOutcome
from oppcloud_worker.remote import events, keys, presence, runs
from oppcloud_worker.remote.connection import LOST, connect
from oppcloud_worker.remote.results import EMPTY
from oppcloud_worker.remote.stores import content_store, result_store
from oppcloud_worker.store import ContentError
from oppcloud_worker.ticket import Ticket

from .fleet import Demand
from .shipping import Shipping
from .statistics import Statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from oppcloud_worker.messages import RunRequest
    from oppcloud_worker.remote.events import Event
    from oppcloud_worker.remote.presence import SlotInfo
    from oppcloud_worker.remote.stores import RemoteStore
    from oppcloud_worker.signing import ClusterKey

    from pytest_oppcloud.content import Content

#: Seconds for the first connection: a wrong address shows at once.
_FIRST_CONNECTION = 10.0
#: Longest wait for an event before other duties are looked at.
_BLOCK = 0.25
#: Runs that are queued between two looks at the events.
_CHUNK = 500
#: Seconds that a run may be neither queued nor started before it counts as lost.
_LIMBO = float(keys.SLOT_LEASE)
#: Seconds for the thread to end.
_ENDING = 15.0
#: Seconds for running simulations to say that they have been stopped.
_STOPPING = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run to be sent."""

    run: str
    request: RunRequest
    #: The files that it needs; None where the worker has them.
    content: Content | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """The outcome of a run."""

    run: str
    outcome: RunOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that people should know at once."""

    text: str


@dataclass(slots=True, kw_only=True)
class _Flight:
    """A run under way, as far as it is known here."""

    ticket: Ticket
    content: Content | None
    #: Whether this process has queued it.
    sent: bool = False
    #: The slot that has it, "" while it is queued.
    slot: str = ""
    #: Since when it has been neither queued nor started.
    limbo_since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueAddress:
    """Where the queue is, and how long to wait for what."""

    #: With password and CA file.
    url: str = field(repr=False)
    queue: str
    session: str
    #: Seconds to wait for a worker to appear, and for Redis to come back.
    patience: float
    #: Whether the server is ours alone and ends with the session: there is nothing to clean up.
    private: bool = False
    #: What requests and outcomes are signed with; None: they are not.
    key: ClusterKey | None = None
    #: Where content and result files lie: "" for Redis, or "s3://bucket/prefix".
    store: str = ""
    #: Whether the result files of all runs are wanted.
    all_results: bool = False
    #: Tells what of our own server or worker ended, "" as long as all is well.
    trouble: Callable[[], str] = field(default=lambda: "")


class Dispatcher(threading.Thread):
    """The thread; `start` it, give it orders, take arrivals, and `finish` it."""

    def __init__(self, address: QueueAddress, *, owner: bool) -> None:
        """Prepare. The `owner` of a session keeps its lease and ends it; other processes only use it."""
        super().__init__(daemon=True, name="oppcloud-dispatcher")
        self.address = address
        self.arrivals: queue.SimpleQueue[Arrival | Notice] = queue.SimpleQueue()
        self.statistics = Statistics()
        self._owner = owner
        self._orders: queue.SimpleQueue[Sequence[Order]] = queue.SimpleQueue()
        # One more try is enough: what is to be done about a lost connection is decided in `_serve`.
        self._connection = connect(address.url, retries=1)
        self._reader = events.EventReader(self._connection, address.session)
        self._shipping = Shipping(content_store(address.store, self._connection))
        self._flights: dict[str, _Flight] = {}
        #: Those that are still to be queued, in their order.
        self._unsent: deque[_Flight] = deque()
        #: Digests of the result files in the store, by run, that nobody has taken or discarded. Both threads use it,
        #: with single operations only.
        self.result_files: dict[str, list[str]] = {}
        self._finishing = threading.Event()
        #: Whether this process queues runs; asked once, at the first order.
        self._submitter: bool | None = None
        self._last_worker = 0.0
        self._next_duties = 0.0
        #: Slots and job ids of runs that are being simulated, those of other processes of the session included.
        self._running: dict[str, tuple[str, str]] = {}
        #: How many runs were ordered, and how many of them taken up: each is written by one thread alone.
        self._ordered = 0
        self._boarded = 0
        #: How many runs of the session are under way that other processes sent.
        self._elsewhere = 0

    def order(self, orders: Sequence[Order]) -> None:
        """Have runs sent (called by the session's thread)."""
        self._ordered += len(orders)
        self._orders.put(orders)

    def results_of(self, run: str) -> RemoteStore:
        """Return where the files of a run are."""
        return result_store(self.address.store, self._connection, self.address.session, run)

    def demand(self, expected: int) -> Demand:
        """Return what is left to be done, `expected` runs if none was ordered yet (called by any thread)."""
        count = self._ordered - self._boarded + len(self._flights) if self._ordered else expected or self._elsewhere
        finished = self.statistics.finished
        # Those that are left are taken to last as long as those before them.
        seconds = count * self.statistics.busy_time / finished if finished else None
        return Demand(runs=count, seconds=seconds)

    def finish(self) -> None:
        """End the thread; what has not come by then is cancelled by the owner (called by the session's thread)."""
        self._finishing.set()
        # A Redis that hangs must not keep pytest from its end.
        self.join(_ENDING)

    # What follows runs in the thread.

    def run(self) -> None:
        """Serve until finished; every run ends with an outcome, whatever goes wrong here."""
        try:
            if self._connected():
                self._last_worker = time.monotonic()
                self._serve()
                self._end_session()
        except Exception as error:
            self._lose_all(Cause.WORKER_BROKEN, f"the dispatcher broke: {type(error).__name__}: {error}")
            raise
        # Whoever orders now gets an answer, too.
        while not self._finishing.is_set():
            self._take_orders(send=False)
            self._lose_all(Cause.QUEUE_LOST, "the queue was lost earlier in this session")
            time.sleep(_BLOCK)

    def _connected(self) -> bool:
        """Connect for the first time."""
        deadline = time.monotonic() + min(_FIRST_CONNECTION, self.address.patience)
        while True:
            try:
                self._connection.ping()
                if self._owner:
                    self._renew_lease()
            except redis.AuthenticationError as error:
                why = str(error)
            except (redis.RedisError, OSError) as error:
                why = str(error)
                if time.monotonic() < deadline and not self._finishing.is_set():
                    time.sleep(_BLOCK)
                    continue
            else:
                return True
            self._take_orders(send=False)
            self._lose_all(Cause.QUEUE_LOST, f"cannot reach the queue at {redacted(self.address.url)}: {why}")
            return False

    def _serve(self) -> None:
        """Serve as long as Redis is there, and while it is away for a moment."""
        away_since: float | None = None
        while not self._finishing.is_set():
            try:
                self._turn()
                if away_since is not None:
                    self._report_back()
                    away_since = None
            except LOST as error:  # noqa: PERF203  # each turn on its own: what goes wrong may pass
                now = time.monotonic()
                away_since = self._report_away(away_since, error)
                why = self.address.trouble()
                if why or now - away_since > self.address.patience:
                    why = why or f"no connection to {redacted(self.address.url)} for {now - away_since:.0f} s: {error}"
                    self._take_orders(send=False)
                    self._lose_all(Cause.QUEUE_LOST, f"the queue was lost: {why}")
                    return
                time.sleep(_BLOCK)
            except redis.RedisError as error:
                # It answers, but will not do as asked: no memory, no permission, not a Redis.
                self._take_orders(send=False)
                self._lose_all(Cause.QUEUE_LOST, f"the queue at {redacted(self.address.url)} refuses: {error}")
                return

    def _report_away(self, since: float | None, error: Exception) -> float:
        if since is None:
            self.arrivals.put(Notice(text=f"oppcloud: connection to the queue lost, reconnecting ({error})"))
            return time.monotonic()
        return since

    def _report_back(self) -> None:
        self._shipping.forget_sent()
        self._last_worker = time.monotonic()
        self.arrivals.put(Notice(text="oppcloud: connected to the queue again"))

    def _turn(self) -> None:
        """Do what there is to do now, then wait a moment for an event."""
        self._take_orders(send=True)
        self._send_some()
        finished = [event.run for event in self._reader.read(0.0 if self._unsent else _BLOCK) if self._note(event)]
        self._deliver(finished)
        if time.monotonic() >= self._next_duties:
            self._do_duties()
            self._next_duties = time.monotonic() + keys.RENEW

    def _renew_lease(self) -> None:
        pipeline = self._connection.pipeline()
        runs.renew_session(pipeline, self.address.session)
        pipeline.execute()

    @contextlib.contextmanager
    def _lease_kept(self) -> Iterator[None]:
        """Renew the lease meanwhile: to send large files takes longer than it lasts."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(keys.RENEW):
                # Whoever sends will hear of it, too.
                with contextlib.suppress(redis.RedisError):
                    self._renew_lease()

        thread = threading.Thread(target=renew, daemon=True, name="oppcloud-lease")
        if self._owner:
            thread.start()
        try:
            yield
        finally:
            done.set()
            if self._owner:
                thread.join()

    def _take_orders(self, *, send: bool) -> None:
        """Turn orders into flights, and send them if it is up to this process."""
        while not self._orders.empty():
            orders = self._orders.get()
            with self._lease_kept():
                flights = list(self._board(orders, send=send))
            self._flights.update((flight.ticket.run, flight) for flight in flights)
            self._boarded += len(orders)
            if not send or not flights:
                continue
            if self._submitter is None:
                self._submitter = runs.become_submitter(self._connection, self.address.session)
            if self._submitter:
                self._unsent.extend(flights)

    def _send_some(self) -> None:
        """Queue the next runs; not all at once, as leases, outcomes and Ctrl-C do not wait."""
        chunk = [self._unsent.popleft() for _ in range(min(_CHUNK, len(self._unsent)))]
        chunk = [flight for flight in chunk if flight.ticket.run in self._flights]
        if chunk:
            self._renew_lease()
            # What fails here counts as sent: it will be found missing when Redis is back.
            for flight in chunk:
                flight.sent = True
            runs.enqueue(self._connection, [flight.ticket for flight in chunk], key=self.address.key)

    def _board(self, orders: Iterable[Order], *, send: bool) -> Iterable[_Flight]:
        """Yield a flight for each order whose content can be sent; the others arrive as errors."""
        for order in orders:
            request = order.request
            try:
                if order.content is not None:
                    request = self._shipping.addressed(request, order.content)
                    if send and self._submitter is not False:
                        self._shipping.send(order.content)
            except (ContentError, OSError) as error:
                outcome = RunOutcome(cause=Cause.CONTENT_MISSING, message=f"its files cannot be sent: {error}")
                self.arrivals.put(Arrival(run=order.run, outcome=outcome))
                continue
            except LOST:
                # The run is as good as sent: when Redis is back, it will be found missing, and sent again.
                self._shipping.forget_sent()
            address = self.address
            ticket = Ticket(
                session=address.session,
                run=order.run,
                queue=address.queue,
                request=request,
                store=address.store,
                all_results=address.all_results,
            )
            yield _Flight(ticket=ticket, content=order.content)

    def _note(self, event: Event) -> bool:
        """Take in an event; return whether it says that a run has an outcome."""
        self.statistics.note(event)
        flight = self._flights.get(event.run)
        if event.kind == events.STARTED:
            self._running[event.run] = event.slot, f"{self.address.session}-{event.run}-{event.attempt}"
        elif event.kind in {events.REQUEUED, events.FINISHED}:
            self._running.pop(event.run, None)
        if flight is None:
            return False
        if event.kind == events.STARTED and event.attempt >= flight.ticket.attempt:
            flight.slot, flight.limbo_since = event.slot, None
        elif event.kind == events.REQUEUED and event.attempt == flight.ticket.attempt:
            flight.ticket = flight.ticket.again(counts=event.losses > flight.ticket.losses)
            flight.slot, flight.limbo_since = "", None
            if event.cause == Cause.CONTENT_MISSING.name:
                self._send_again(flight)
            self.arrivals.put(Notice(text=_retry_text(flight.ticket, event)))
        return event.kind == events.FINISHED

    def _deliver(self, finished: Sequence[str]) -> None:
        """Fetch outcomes; a run whose outcome is gone again stays under way."""
        address = self.address
        for run, outcome in runs.outcomes(self._connection, address.session, finished, key=address.key).items():
            flight = self._flights.get(run)
            if outcome.attempt == 0 and flight is not None:
                # Damaged or forged: whoever wrote it must not keep the right one away.
                runs.discard_damaged(self._connection, address.session, run, key=address.key)
                self._settle(flight, outcome)
                continue
            digests = [file.digest for file in outcome.files if file.digest not in {"", EMPTY}]
            if digests:
                self.result_files[run] = digests
            if self._flights.pop(run, None) is not None:
                self.arrivals.put(Arrival(run=run, outcome=outcome))

    def _do_duties(self) -> None:
        """Keep the lease, and look for what nobody reports."""
        if self._owner:
            self._renew_lease()
            self._elsewhere = 0 if self._flights else self._count_elsewhere()
        slots = presence.present(self._connection, self.address.queue)
        now = time.monotonic()
        self.statistics.see(slots)
        if slots:
            self._last_worker = now
        self._find_dead_slots(slots)
        waiting = [flight for flight in self._flights.values() if not flight.slot]
        if waiting:
            self._find_lost_jobs([flight for flight in waiting if flight.sent or not self._submitter], now)
            if not slots and now - self._last_worker > self.address.patience:
                self._give_up(waiting)
        trouble = self.address.trouble()
        if trouble:
            self._lose_all(Cause.QUEUE_LOST, f"the queue was lost: {trouble}")

    def _count_elsewhere(self) -> int:
        """Count the runs under way of other processes of the session, as xdist has them."""
        prefix = f"{self.address.session}-"
        queued = runs.queued(self._connection, self.address.queue)
        return sum(job.startswith(prefix) for job in queued) + len(self._running)

    def _find_dead_slots(self, slots: dict[str, SlotInfo]) -> None:
        """Hand back the runs of slots that have not been heard of for the time of their lease."""
        for flight in list(self._flights.values()):
            if flight.slot and flight.slot not in slots:
                outcome = RunOutcome(
                    cause=Cause.WORKER_LOST,
                    message=f"its worker slot {flight.slot} has not been heard of for {keys.SLOT_LEASE} s",
                )
                self._settle(flight, outcome)

    def _find_lost_jobs(self, waiting: Sequence[_Flight], now: float) -> None:
        """Queue again what is neither queued nor started: Redis lost it, or a slot died just after taking it."""
        queued = runs.queued(self._connection, self.address.queue)
        for flight in waiting:
            if flight.ticket.job_id in queued:
                flight.limbo_since = None
            elif flight.limbo_since is None:
                flight.limbo_since = now
            elif now - flight.limbo_since > _LIMBO:
                flight.limbo_since = None
                runs.forget_popped(self._connection, self.address.queue, flight.ticket.job_id)
                self._send_again(flight)
                self._settle(flight, RunOutcome(cause=Cause.QUEUE_LOST, message="the queue lost its job"))

    def _send_again(self, flight: _Flight) -> None:
        """Make sure that the store has what a run needs: it may have lost that, too."""
        if flight.content is not None:
            self._shipping.forget_sent()
            # If it cannot be sent, the worker will say what is missing.
            with contextlib.suppress(ContentError, OSError):
                self._shipping.send(flight.content)

    def _settle(self, flight: _Flight, outcome: RunOutcome) -> None:
        """End an attempt in place of a slot; the event that follows from it tells the rest."""
        self._renew_lease()
        runs.settle(self._connection, flight.ticket, outcome, key=self.address.key, slot=flight.slot)

    def _give_up(self, waiting: Sequence[_Flight]) -> None:
        """End all runs that no worker is there for."""
        address = self.address
        message = (
            f"no worker has served the queue {address.queue!r} at {redacted(address.url)} for {address.patience:g} s; "
            "start one with `python -m oppcloud_worker`"
        )
        for flight in waiting:
            self._arrive(flight, RunOutcome(cause=Cause.NO_WORKER, message=message))

    def _lose_all(self, cause: Cause, message: str) -> None:
        """End all runs that are under way."""
        for flight in list(self._flights.values()):
            self._arrive(flight, RunOutcome(cause=cause, message=message))

    def _arrive(self, flight: _Flight, outcome: RunOutcome) -> None:
        del self._flights[flight.ticket.run]
        self.arrivals.put(Arrival(run=flight.ticket.run, outcome=outcome))

    def _end_session(self) -> None:
        """As the owner, cancel what is left and remove all traces."""
        if not self._owner:
            return
        if self.address.store:
            self._remove_stored_results()
        if self.address.private:
            return
        try:
            self._connection.delete(keys.lease(self.address.session))
            runs.withdraw(self._connection, self.address.queue, self.address.session)
            deadline = time.monotonic() + _STOPPING
            self._catch_up()
            runs.stop(self._connection, self._running.values())
            while self._running and time.monotonic() < deadline and not self.address.trouble():
                for event in self._reader.read(_BLOCK):
                    self._note(event)
            self._deliver(sorted(self._flights))
            for run, digests in self.result_files.copy().items():
                self.results_of(run).remove(digests)
            runs.remove_session(self._connection, self.address.session, self.statistics.seen_runs)
            self._connection.close()
        except redis.RedisError as error:
            self.arrivals.put(Notice(text=f"oppcloud: the session could not be cleaned up: {error}"))

    def _remove_stored_results(self) -> None:
        """Remove the result files of all runs at once from a store that is not Redis."""
        digests = {digest for found in self.result_files.values() for digest in found}
        self.result_files.clear()
        try:
            self.results_of("").remove(sorted(digests))
        except ContentError as error:
            self.arrivals.put(Notice(text=f"oppcloud: result files could not be removed: {error}"))

    def _catch_up(self) -> None:
        """Take in all events that have come until now."""
        while True:
            came = list(self._reader.read(0.001))
            for event in came:
                self._note(event)
            if not came:
                return


def _retry_text(ticket: Ticket, event: Event) -> str:
    cause = Cause[event.cause].text if event.cause in Cause.__members__ else event.cause
    return f"oppcloud: {ticket.request.name}: attempt {ticket.attempt} after {cause} ({event.message})"
