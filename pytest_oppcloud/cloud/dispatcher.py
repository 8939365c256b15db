"""Everything between a session and its queue, in a thread of its own.

The thread sends runs (`sending`), takes in what comes back (`listening`), renews the session's lease and finds out
what nobody reports (`watching`); here is when it does what, and what it does when Redis is gone. Whatever happens, each
run that was given to it ends with an outcome; the session's thread only ever takes those from `arrivals`.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import redis
from oppcloud_worker.address import redacted
from oppcloud_worker.messages import Cause
from oppcloud_worker.remote import keys, runs
from oppcloud_worker.remote.connection import LOST, connect, told
from oppcloud_worker.remote.stores import result_store
from oppcloud_worker.store import ContentError

from .backlog import Backlog
from .campaign import Campaign
from .holding import Hold, SessionTakenError
from .listening import Listener
from .sending import Sender
from .watching import Watch

if TYPE_CHECKING:
    import queue
    from collections.abc import Sequence

    from oppcloud_worker.messages import RunRequest
    from oppcloud_worker.remote.stores import RemoteStore

    from pytest_oppcloud.content import Content

    from .campaign import Arrival, Notice, Order, QueueAddress, Start
    from .fleet import Demand
    from .progress import Board
    from .statistics import Statistics

#: Seconds for the first connection: a wrong address shows at once.
_FIRST_CONNECTION = 10.0
#: Longest wait for an event before other duties are looked at.
_BLOCK = 0.25
#: Seconds for the thread to end.
_ENDING = 15.0
#: Seconds for running simulations to say that they have been stopped.
_STOPPING = 3.0


class Dispatcher(threading.Thread):
    """The thread; `start` it, give it orders, take arrivals, and `finish` it."""

    def __init__(self, address: QueueAddress, *, owner: bool) -> None:
        """Prepare. The `owner` of a session keeps its lease and ends it; other processes only use it."""
        super().__init__(daemon=True, name="oppcloud-dispatcher")
        self.address = address
        # One more try is enough: what is to be done about a lost connection is decided in `_serve`.
        self._connection = connect(address.url, retries=1)
        hold = None
        if address.record is not None:
            hold = Hold(
                connection=self._connection,
                record=address.record,
                key=address.key,
                token=address.token,
                runs=address.submitted or (),
            )
        self._campaign = Campaign(address=address, connection=self._connection, owner=owner, hold=hold)
        self._sender = Sender(self._campaign)
        self._listener = Listener(self._campaign, self._sender)
        self._watch = Watch(self._campaign, self._sender, self._listener)
        self._backlog = Backlog(self._campaign, self._sender)
        self._finishing = threading.Event()
        self._next_look = 0.0
        #: Whether the session is to be left to its workers, and whether it was.
        self._leaving = False
        self.left = False
        #: How many of its runs had no outcome when it was left.
        self.unfinished = 0

    @property
    def arrivals(self) -> queue.SimpleQueue[Start | Arrival | Notice]:
        """What the session's thread takes: outcomes, each once, what came before them, and notices."""
        return self._campaign.arrivals

    @property
    def statistics(self) -> Statistics:
        """What happened so far."""
        return self._campaign.statistics

    @property
    def board(self) -> Board:
        """What people are shown meanwhile."""
        return self._campaign.board

    def order(self, orders: Sequence[Order]) -> None:
        """Have runs sent (called by the session's thread)."""
        self._sender.order(orders)

    @property
    def all_sent(self) -> bool:
        """Whether all that was ordered lies in the queue, or never will (read by the session's thread)."""
        return self._sender.all_sent

    def addressed(self, request: RunRequest, content: Content) -> RunRequest:
        """Return `request` as a worker is asked; called by the session's thread, before it orders anything.

        Raises `ContentError` and OSError.
        """
        return self._sender.addressed(request, content)

    def results_of(self, run: str) -> RemoteStore:
        """Return where the files of a run are."""
        return result_store(self.address.store, self._connection, self.address.session, run)

    def demand(self, expected: int) -> Demand:
        """Return what is left to be done, `expected` runs if none was ordered yet (called by any thread)."""
        return self._backlog.demand(expected)

    def take_result_files(self, run: str) -> list[str]:
        """Return the digests of the files of a run that are still in the store, and leave them to the caller."""
        return self._listener.result_files.pop(run, [])

    def finish(self, *, leave: bool = False) -> None:
        """End the thread (called by the session's thread).

        What has not come by then is cancelled by the owner; or else, if it is to `leave` the session, everything stays.
        """
        self._leaving = leave
        self._finishing.set()
        # A Redis that hangs must not keep pytest from its end.
        self.join(_ENDING)

    # What follows runs in the thread.

    def run(self) -> None:
        """Serve until finished; every run ends with an outcome, whatever goes wrong here."""
        try:
            if self._connected():
                self._watch.start_waiting()
                self._serve()
                self._end_session()
        except Exception as error:
            self._campaign.lose_all(Cause.WORKER_BROKEN, f"the dispatcher broke: {type(error).__name__}: {error}")
            raise
        finally:
            self._sender.close()
        # Whoever orders now gets an answer, too.
        while not self._finishing.is_set():
            self._lose_all("the queue was lost earlier in this session")
            time.sleep(_BLOCK)

    def _lose_all(self, message: str) -> None:
        """End all runs that are under way, those that were just ordered included."""
        self._sender.take_orders(send=False)
        self._campaign.lose_all(Cause.QUEUE_LOST, message)

    def _connected(self) -> bool:
        """Connect for the first time."""
        deadline = time.monotonic() + min(_FIRST_CONNECTION, self.address.patience)
        while True:
            try:
                self._connection.ping()
                if self._campaign.owner:
                    self._begin()
            except redis.AuthenticationError as error:
                why = told(error)
            except (redis.RedisError, OSError) as error:
                why = told(error)
                if time.monotonic() < deadline and not self._finishing.is_set():
                    time.sleep(_BLOCK)
                    continue
            else:
                return True
            self._lose_all(f"cannot reach the queue at {redacted(self.address.url)}: {why}{self.address.advice}")
            return False

    def _begin(self) -> None:
        """Note the session, if it is a new one that people may come back to, and take its lease."""
        hold = self._campaign.hold
        if hold is not None and self.address.submitted is None:
            hold.announce()
        else:
            self._campaign.renew_lease()

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
                    since = f"{redacted(self.address.url)} could not be used for {now - away_since:.0f} s"
                    why = why or f"{since}: {told(error)}{self.address.advice}"
                    self._lose_all(f"the queue was lost: {why}")
                    return
                time.sleep(_BLOCK)
            except SessionTakenError as error:
                self._sender.take_orders(send=False)
                self._campaign.lose_all(Cause.STOPPED, str(error))
                return
            except redis.RedisError as error:
                # It answers, but will never do as asked: no permission, not a Redis.
                self._lose_all(f"the queue at {redacted(self.address.url)} refuses: {told(error)}{self.address.advice}")
                return

    def _report_away(self, since: float | None, error: Exception) -> float:
        if since is None:
            self._campaign.notify(f"oppcloud: connection to the queue lost, reconnecting ({told(error)})")
            return time.monotonic()
        return since

    def _report_back(self) -> None:
        self._sender.forget_sent()
        self._watch.start_waiting()
        self._campaign.notify("oppcloud: connected to the queue again")

    def _turn(self) -> None:
        """Do what there is to do now, then wait a moment for an event."""
        waiting = self.address.judges and not self._sender.boarded
        ordered = self._sender.take_orders(send=True, wait=_BLOCK if waiting else 0.0)
        if ordered and self.address.submitted is not None:
            self._listener.replay(ordered)
        self._sender.provide_programs()
        self._sender.send_some()
        # What happened in the session until now is of use to those only who know its runs.
        if self._sender.boarded or not self.address.judges:
            self._listener.listen(0.0 if self._sender.busy else _BLOCK)
        self._sender.note_progress()
        if time.monotonic() >= self._next_look:
            self._watch.look()
            self._backlog.look()
            self._next_look = time.monotonic() + keys.RENEW

    def _end_session(self) -> None:
        """As the owner, cancel what is left and remove all traces; or leave it, if that is wanted."""
        hold = self._campaign.hold
        if not self._campaign.owner or (hold is not None and hold.lost_to):
            return
        try:
            if hold is not None and self._is_to_be_left(hold):
                hold.leave()
                self.left = True
                self.unfinished = hold.unfinished()
                return
        except redis.RedisError as error:
            self._campaign.notify(f"oppcloud: the session could not be left in order: {error}")
            return
        if self.address.store:
            self._remove_stored_results()
        if self.address.private:
            return
        try:
            self._cancel()
            self._sender.leave()
            for run, digests in self._listener.result_files.copy().items():
                self.results_of(run).remove(digests)
            if hold is None:
                session, seen = self.address.session, self.statistics.seen_runs
                runs.remove_session(self._connection, self._queues(), session, seen)
            else:
                hold.remove(self.statistics.seen_runs)
            self._connection.close()
        except redis.RedisError as error:
            self._campaign.notify(f"oppcloud: the session could not be cleaned up: {error}")

    def _is_to_be_left(self, hold: Hold) -> bool:
        """Tell whether a session that was detached has runs that nobody has judged, as they have not ended."""
        return self._leaving or (hold.record.detached and self.address.submitted is not None and hold.unfinished() > 0)

    def _queues(self) -> set[str]:
        """Return all queues that the session has used, its other processes included."""
        return self._campaign.queues | runs.queues_of(self._connection, self.address.session)

    def _cancel(self) -> None:
        """Take what waits out of the queue, and stop what runs."""
        self._connection.delete(keys.lease(self.address.session))
        for name in self._queues():
            runs.withdraw(self._connection, name, self.address.session)
        deadline = time.monotonic() + _STOPPING
        self._listener.catch_up()
        runs.stop(self._connection, self._listener.running.values())
        while self._listener.running and time.monotonic() < deadline and not self.address.trouble():
            self._listener.listen(_BLOCK)
        self._listener.deliver(sorted(self._campaign.flights))

    def _remove_stored_results(self) -> None:
        """Remove the result files of all runs at once from a store that is not Redis."""
        digests = {digest for found in self._listener.result_files.values() for digest in found}
        self._listener.result_files.clear()
        try:
            self.results_of("").remove(sorted(digests))
        except ContentError as error:
            self._campaign.notify(f"oppcloud: result files could not be removed: {error}")
