"""What a session has under way in its queue: the state that its thread works on, and the few things that change it.

The dispatcher's thread owns all of it; the session's thread only takes what lies in `arrivals`.
"""

from __future__ import annotations

import queue
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oppcloud_worker.messages import RunOutcome
from oppcloud_worker.remote import runs
from oppcloud_worker.settings import URL_VARIABLE
from oppcloud_worker.ticket import Needs

from .progress import Board
from .statistics import Statistics

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from oppcloud_worker.messages import Cause, RunRequest
    from oppcloud_worker.remote.sessions import SessionRecord, SubmittedRun
    from oppcloud_worker.signing import ClusterKey
    from oppcloud_worker.ticket import Ticket

    from pytest_oppcloud.content import Content

    from .holding import Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A request, and the files that it needs."""

    request: RunRequest
    content: Content | None
    #: Folder of the model below that of the tests, as `model_folder` tells it: where its result files belong.
    model: str = "."
    #: Which workers may take it.
    needs: Needs = field(default_factory=Needs)
    #: Seconds that it is expected to take.
    expected: float = 0.0
    #: Where it is queued, "" for the queue of the session.
    queue: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run to be sent."""

    #: What it is called in keys.
    run: str
    submission: Submission
    #: Whether it is simulated anew in this session: whatever other processes send, this is for its own to send.
    again: bool = False
    #: Whether what it prints is wanted as it comes.
    followed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A slot began an attempt at a run."""

    run: str
    slot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """The outcome of a run; of attempt 0 if none of its attempts came to one."""

    run: str
    outcome: RunOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that people should know at once."""

    text: str


@dataclass(slots=True, kw_only=True)
class Flight:
    """A run under way, as far as it is known here."""

    ticket: Ticket
    content: Content | None
    followed: bool = False
    #: What is noted of it where that is up to this process.
    noted: SubmittedRun | None = None
    #: Whether only this process has it queued, and whether it has done so.
    again: bool = False
    sent: bool = False
    #: The slot that has it, "" while it is queued.
    slot: str = ""
    #: Whether it waits for its program: it may not be queued, and nobody else may queue it as it is.
    held: bool = False
    #: Takes the outcome in place of the session.
    then: Callable[[RunOutcome], None] | None = None
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
    #: The machines that workers may come on, for people, and the bytes of memory that a run has there at most; "" and 0
    #: where any may come.
    machines: str = ""
    memory: int = 0
    #: What requests and outcomes are signed with; None: they are not.
    key: ClusterKey | None = None
    #: Where content and result files lie: "" for Redis, or "s3://bucket/prefix".
    store: str = ""
    #: Whether the result files of all runs are wanted.
    all_results: bool = False
    #: What people are told of the session, and the token that its processes share; None: it is private.
    record: SessionRecord | None = None
    token: str = ""
    #: The runs of the session of before that this one goes on with; None: it is a new one.
    submitted: tuple[SubmittedRun, ...] | None = None
    #: Whether this process has runs sent; xdist's controller has others do so.
    judges: bool = True
    #: Sessions with a higher one are served first.
    priority: int = 0
    #: Tells what of our own server or worker ended, "" as long as all is well.
    trouble: Callable[[], str] = field(default=lambda: "")
    #: Tells why no more may be run, "" as long as it may; asked where the session is owned.
    objection: Callable[[], str] = field(default=lambda: "")

    @property
    def advice(self) -> str:
        """What people can do where the queue is not as it should be: the end of a message."""
        # A session that people may come back to is at the queue that they have named; others bring their own.
        return "" if self.record is None else f"; check {URL_VARIABLE} and the server that it names"

    @property
    def detaching(self) -> bool:
        """Whether the session is left to its workers as soon as all is sent."""
        return self.record is not None and self.record.detached and self.submitted is None


@dataclass(slots=True, kw_only=True)
class Campaign:
    """The runs of one session, from their orders to their arrivals."""

    address: QueueAddress
    connection: redis.Redis
    #: Whether this process keeps the session's lease and ends it; other processes only use it.
    owner: bool
    #: None where the session is private.
    hold: Hold | None = None
    arrivals: queue.SimpleQueue[Start | Arrival | Notice] = field(default_factory=queue.SimpleQueue)
    statistics: Statistics = field(default_factory=Statistics)
    #: What people are shown meanwhile.
    board: Board = field(default_factory=Board)
    #: By run; those that have no outcome yet.
    flights: dict[str, Flight] = field(default_factory=dict)

    @property
    def queues(self) -> set[str]:
        """The queues that runs are waiting in or may be."""
        return {self.address.queue, *(flight.ticket.queue for flight in self.flights.values())}

    def renew_lease(self) -> None:
        """Say that the outcomes are still wanted; raise `SessionTakenError`."""
        if self.hold is not None:
            self.hold.renew()
            return
        pipeline = self.connection.pipeline()
        runs.renew_session(pipeline, self.address.session)
        pipeline.execute()

    def notify(self, text: str) -> None:
        """Tell people something at once."""
        self.arrivals.put(Notice(text=text))

    def settle(self, flight: Flight, outcome: RunOutcome) -> None:
        """End an attempt in place of a slot; the event that follows from it tells the rest."""
        self.renew_lease()
        runs.settle(self.connection, flight.ticket, outcome, key=self.address.key, slot=flight.slot)

    def hand_back(self, flight: Flight, cause: Cause, message: str) -> None:
        """Queue the next attempt of a run; this one does not count against its retries."""
        self.renew_lease()
        runs.hand_back(
            self.connection, flight.ticket, cause, message, key=self.address.key, slot=flight.slot, counts=False
        )

    def arrive(self, run: str, outcome: RunOutcome) -> None:
        """End a run, unless it has ended before."""
        flight = self.flights.pop(run, None)
        if flight is None:
            return
        self.board.fetch(run)
        if flight.then is not None:
            flight.then(outcome)
        else:
            self.arrivals.put(Arrival(run=run, outcome=outcome))

    def lose_all(self, cause: Cause, message: str) -> None:
        """End all runs that are under way."""
        for run in list(self.flights):
            self.arrive(run, RunOutcome(cause=cause, message=message, attempt=0))
