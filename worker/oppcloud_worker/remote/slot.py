"""One slot of a worker: a process that takes one run after the other from the queue.

Started by its worker (`oppcloud_worker.remote.pool`) as `python -m oppcloud_worker.remote.slot`, with its settings
as one line of JSON on standard input. That input then stays open: when it closes, the worker is gone, and the slot
goes, too. On standard output the slot tells the worker what it does, one JSON object per line, so that the worker can
hand its run back should it be killed.

To RQ, the slot is a worker (`rq_worker`) that runs its jobs in its own process: what runs long is the simulation, and
that is a process tree of its own under a guardian already. Which job it runs next, `pending` says, not RQ.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import redis
from rq.exceptions import NoSuchJobError, StopRequested
from rq.worker import WorkerStatus

from oppcloud_worker import health, machine
from oppcloud_worker import job as job_function
from oppcloud_worker.account import find_account
from oppcloud_worker.address import redacted
from oppcloud_worker.cache import Cache
from oppcloud_worker.confinement import close_to_others
from oppcloud_worker.messages import Cause, RunOutcome
from oppcloud_worker.replay import ServedTickets
from oppcloud_worker.room import lack_of_room
from oppcloud_worker.settings import SlotSettings
from oppcloud_worker.signing import ClusterKey, Proof
from oppcloud_worker.store import ContentError
from oppcloud_worker.supervision import Stop
from oppcloud_worker.wire import decode

from . import channel, keys, pending, presence, rescue, runs
from .connection import LOST, connect, reach, told
from .reporter import Reporter
from .results import store_results
from .rq_worker import RunWorker
from .stores import content_store, marks, result_limits, result_store
from .work_signs import WorkSigns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from rq.executions import Execution
    from rq.job import Job
    from rq.queue import Queue

    from oppcloud_worker.store import Store
    from oppcloud_worker.ticket import Ticket

_log = logging.getLogger("oppcloud_worker")

#: How often a command is tried again when Redis is away: more than a minute.
_RETRIES = 45
#: Seconds for the first contact.
_FIRST_CONTACT = 5.0

#: How often the session's lease must be missing before the run is stopped. A client that slept, as laptops do,
#: renews it as soon as it is awake.
_UNWANTED = 3

#: Seconds that a renewal under way may take when the slot ends; less than its worker waits for it.
_LAST_RENEWAL = 1.0

#: Seconds that a client may need to send content that a store has lost.
_SENT_AGAIN = 3.0

#: Seconds between two looks for room on a disk that is full.
_NO_ROOM = 1.0
#: Seconds between two tries when Redis is away for longer than the connection bridges.
_AWAY = 1.0


class Slot(RunWorker):
    """The RQ worker, and the host of the runs."""

    def __init__(
        self,
        settings: SlotSettings,
        connection: redis.Redis,
        side: redis.Redis,
        tell: Callable[[dict[str, object]], None],
    ) -> None:
        super().__init__(settings.queue, name=settings.name, connection=connection)
        self.scratch = Path(settings.scratch)
        self.bounds = settings.bounds
        self.image, self.system, self.omnetpp = settings.image, settings.system, settings.omnetpp
        self.compiler_cache = Path(settings.cache) / "ccache"
        self.account = find_account(settings.account) if settings.account else None
        self.stop = Stop()
        self.cluster_key = ClusterKey.from_text(settings.key) if settings.key else None
        self.info = presence.SlotInfo(
            name=settings.name,
            worker=settings.worker,
            host=machine.name(),
            pid=os.getpid(),
            image=settings.image,
            system=settings.system,
            omnetpp=settings.omnetpp,
            memory=settings.memory,
        )
        self._queue_name = settings.queue
        self._tell = tell
        self._cache = Cache(Path(settings.cache), settings.cache_limit)
        self._served = ServedTickets(Path(settings.cache) / "served")
        #: The run that is under way.
        self._ticket: Ticket | None = None
        #: For the other threads, so that they disturb nothing.
        self._side = side
        #: How often in a row nobody seemed to want the outcome of the run.
        self._unwanted = 0
        #: Why the slot ends, "" as long as it does not.
        self._ending = ""
        self._renewer = threading.Thread(target=self._renew, daemon=True, name="renew")
        self._ended = threading.Event()
        self._reporter = Reporter(side, settings.name)
        self._signs = WorkSigns(marks(settings.work_signs), side) if settings.work_signs else None
        #: The job that was taken last, "" before the first.
        self._taken = ""
        #: Why no run is taken for the time being, "" if one is.
        self._trouble = ""

    # What the job function asks for (`job.Host`).

    @contextlib.contextmanager
    def content(self, ticket: Ticket, digest: str) -> Iterator[Path]:
        """Give the unpacked content; wait a moment for what the client sends again after an attempt that missed it."""
        store = self.store(ticket)
        deadline = time.monotonic() + (_SENT_AGAIN if ticket.losses else 0)
        with contextlib.ExitStack() as stack:
            place = None
            while place is None:
                try:
                    place = stack.enter_context(self._cache.content(digest, store))
                except ContentError:  # noqa: PERF203  # the next time it may be there
                    if time.monotonic() >= deadline or select.select([self.stop], [], [], 0.1)[0]:
                        raise
            yield place

    def admit(self, proof: Proof) -> None:
        """Remember the ticket."""
        self._served.admit(proof, time.time())

    def store(self, ticket: Ticket) -> Store:
        """Return the store of content."""
        return content_store(ticket.store, self.connection)

    def begin(self, ticket: Ticket) -> bool:
        """Note the run, here, at the worker and in its session."""
        self.stop, self._unwanted = Stop(), 0
        self._ticket = ticket
        self._tell({"ticket": ticket.to_json()})
        wanted, followed = runs.announce_start(self.connection, ticket, self.name)
        if wanted:
            self._reporter.begin(ticket, followed=followed)
            if self._signs is not None:
                self._signs.begin(ticket)
        else:
            self._forget()
        if self._ending:
            # The signal came before there was anything to stop.
            self.stop.set()
        return wanted

    def hear(self, data: bytes) -> None:
        """Pass on what the simulation prints."""
        self._reporter.hear(data)

    def keep_results(self, ticket: Ticket, outcome: RunOutcome) -> RunOutcome:
        """Store the result files; those of a stopped run are of no use to anybody."""
        if outcome.cause is Cause.STOPPED:
            return replace(outcome, files=(), directory="")
        store = result_store(ticket.store, self.connection, ticket.session, ticket.run, deadline=ticket.deadline)
        completed = outcome.cause is Cause.COMPLETED
        limits = result_limits(ticket.store, completed=completed, wanted=ticket.all_results)
        return store_results(outcome, store, limits)

    def end(self, ticket: Ticket, outcome: RunOutcome, busy_time: float) -> None:
        """Settle the attempt, or hand the run back if it was us who ended it."""
        self._reporter.end()
        why = self._ending or ("its session was away" if self._unwanted >= _UNWANTED else "")
        if outcome.cause is Cause.STOPPED and why:
            runs.hand_back(
                self.connection, ticket, outcome.cause, why, key=self.cluster_key, slot=self.name, counts=False
            )
        else:
            runs.settle(self.connection, ticket, outcome, key=self.cluster_key, slot=self.name, busy_time=busy_time)
        if self._signs is not None:
            self._signs.end(ticket)
        self._forget()

    def _forget(self) -> None:
        self._ticket = None
        self._tell({"ticket": None})

    # What RQ calls.

    def bootstrap(self, *arguments: object, **options: object) -> None:
        """Announce the slot after RQ has announced its worker."""
        # RQ does so only afterwards; a slot that is told to end in between would leave its announcements behind.
        self._install_signal_handlers()  # type: ignore[no-untyped-call]  # RQ's
        super().bootstrap(*arguments, **options)  # type: ignore[arg-type]  # passed through
        self._announce()
        self._renewer.start()
        self._reporter.start()
        if self._signs is not None:
            self._signs.start()
        self._tell({"ready": True})

    def teardown(self) -> None:
        """Take the announcements back, as far as Redis can be reached."""
        self._ended.set()
        self._reporter.stop()
        if self._renewer.is_alive():
            # What it is just sending would announce the slot once more.
            self._renewer.join(_LAST_RENEWAL)
        with contextlib.suppress(redis.RedisError):
            pipeline = self.connection.pipeline()
            presence.withdraw(pipeline, self._queue_name, self.name)
            pipeline.execute()
            super().teardown()  # type: ignore[no-untyped-call]  # RQ's

    def dequeue_job_and_maintain_ttl(
        self,
        timeout: int | None,  # noqa: ARG002  # RQ's signature
        max_idle_time: int | None = None,  # noqa: ARG002  # RQ's signature
    ) -> tuple[Job, Queue]:
        """Wait for a run as long as it takes, and take it; not as RQ would, in the order of its list."""
        self.set_state(WorkerStatus.IDLE)
        while True:
            try:
                self.heartbeat()
                if self.should_run_maintenance_tasks:
                    self.run_maintenance_tasks()  # type: ignore[no-untyped-call]  # RQ's
                job = self._take() if self._has_room() else None
                if job is not None:
                    return job, self.queues[0]
            except LOST as error:  # noqa: PERF203  # the next time may be better
                _log.warning("slot %s: the queue is away: %s", self.name, told(error))
                self._ended.wait(_AWAY)

    def _has_room(self) -> bool:
        """Tell whether there is room for what a run writes; wait a moment if there is none."""
        before, self._trouble = self._trouble, lack_of_room([self.scratch, self._cache.root])
        if not self._trouble:
            return True
        if not before:
            _log.error("slot %s: %s; it takes no runs until there is more", self.name, self._trouble)
            pipeline = self.connection.pipeline()
            # Whoever rings for a run would do so in vain.
            pending.leave(pipeline, self._queue_name, [self.name])
            if self._taken:
                pending.release(pipeline, self._queue_name, self._taken)
            pipeline.execute()
            self._taken = ""
        self._ended.wait(_NO_ROOM)
        return False

    def _take(self) -> Job | None:
        """Return the job to run next; None after a while without one."""
        job_id = pending.take(self.connection, self._queue_name, self.info, done=self._taken)
        if job_id is None:
            self._taken = ""
            pending.wait(self.connection, self.name)
            return None
        self._taken = job_id
        try:
            return self.job_class.fetch(job_id, connection=self.connection, serializer=self.serializer)
        except NoSuchJobError:
            # Withdrawn, or lost by Redis: whoever wants it will miss it.
            return None

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:  # noqa: ARG002  # RQ's signature
        """Stop the simulation: the session no longer wants it. RQ calls this in its own thread."""
        self.stop.set()

    def request_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal handler
        """End soon after SIGTERM or SIGINT: stop the simulation and hand its run back."""
        if not self._ending:
            self._ending = f"its worker was told to end ({signal.Signals(signum).name})"
            self.stop.set()
            threading.Thread(target=self._stop_waiting, daemon=True, name="unblock").start()

    def _stop_waiting(self) -> None:
        """Have the main thread come back from waiting for a job (in a thread of its own).

        An exception there could lose a job that Redis has just given away; to be unblocked is an ordinary time-out.
        """
        try:
            while not self._ended.wait(0.05):
                for client in self._side.client_list(_type="normal"):
                    if client["name"] == self.name and client["cmd"] == "blpop":
                        self._side.client_unblock(int(client["id"]))
        except redis.RedisError:
            # No Redis, no job to lose.
            if self._ticket is None:
                os._exit(0)

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """Tell RQ whether to clean up after others; asked before each wait for a job, so here is where we end."""
        if self._ending:
            raise StopRequested
        return bool(super().should_run_maintenance_tasks)

    def _announce(self) -> bool:
        """Renew all leases; return whether the session of the current run still wants its outcome."""
        ticket = self._ticket
        pipeline = self._side.pipeline()
        info = replace(self.info, job="" if ticket is None else ticket.job_id, trouble=self._trouble)
        presence.announce(pipeline, self._queue_name, info)
        rescue.ask_for_duty(pipeline, self._queue_name, self.name)
        pipeline.exists(keys.slot(self.name) if ticket is None else keys.lease(ticket.session))
        *_, on_duty, wanted = pipeline.execute()
        health.note(self.scratch)
        if on_duty:
            rescue.look_after_others(self._side, self._queue_name, key=self.cluster_key)
        if ticket is None:
            return True
        execution: Execution | None = next(iter(self.executions.values()), None)
        if execution is not None and execution._job is not None:  # noqa: SLF001  # it would be fetched anew otherwise
            self.maintain_heartbeats(execution._job, execution)  # noqa: SLF001  # see above
        return bool(wanted) or ticket is not self._ticket

    def _renew(self) -> None:
        """Renew the leases until the slot ends (in a thread of its own); stop a run that nobody wants any more."""
        while not self._ended.wait(keys.RENEW):
            try:
                self._unwanted = 0 if self._announce() else self._unwanted + 1
                if self._unwanted >= _UNWANTED:
                    self.stop.set()
            except redis.RedisError as error:  # noqa: PERF203  # the next time may be better
                _log.warning("slot %s: cannot renew its lease: %s", self.name, error)


def main() -> NoReturn:
    """Serve the queue until told to end."""
    close_to_others()
    settings = decode(SlotSettings, json.loads(channel.read_line()))
    tell = channel.teller()
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("rq").setLevel(logging.WARNING)
    # Simulations in Python must not write what they compile beside their source, where content is not to change.
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(Path(settings.cache) / "pycache"))
    try:
        # A wrong address should show soon, a Redis that goes away later may come back.
        reach(settings.url, _FIRST_CONTACT)
        connection = connect(settings.url, retries=_RETRIES, name=settings.name)
        slot = Slot(settings, connection, connect(settings.url), tell)
    except ContentError as error:
        tell({"failed": f"cannot leave signs of work: {error}"})
        sys.exit(1)
    except (*LOST, redis.RedisError, ValueError) as error:
        tell({"failed": f"cannot use the queue at {redacted(settings.url)}: {told(error)}"})
        sys.exit(1)
    job_function.serve(slot)
    threading.Thread(target=channel.watch_worker, daemon=True, name="worker").start()
    try:
        slot.work(logging_level="WARNING")
    except redis.RedisError as error:
        # A server that answers and takes nothing: it is full, another's copy, or part of a cluster.
        tell({"failed": f"the queue at {redacted(settings.url)} cannot be used: {told(error)}"})
        sys.exit(1)
    sys.exit(0)


if __name__ == "__main__":
    main()
