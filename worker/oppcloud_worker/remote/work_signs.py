"""Tells the timer of a cluster that sessions without a client still have work, and when they have none any more.

The timer stops what nobody wants, and a client that left cannot tell it. So the workers of a cluster leave empty
objects in its bucket, of which only the dates count: `<prefix>/<session>/working`, every now and then while a run of
it is under way, and `<prefix>/<session>/done`, when none waits or is under way. That prolongs nothing beyond what the
client allowed when it left: the timer reads that elsewhere, where no worker can write.

A thread of its own does so: no simulation waits for S3.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING

from redis import RedisError

from oppcloud_worker.store import ContentError

from . import pending

if TYPE_CHECKING:
    import redis

    from oppcloud_worker.ticket import Ticket

    from .s3_store import S3Store

_log = logging.getLogger("oppcloud_worker")

#: Seconds between two signs of one slot: a cluster's timer waits for ten minutes at least.
PERIOD = 240.0


class WorkSigns:
    """The thread; one run after the other is given to it."""

    def __init__(self, place: S3Store, connection: redis.Redis) -> None:
        self._place = place
        self._connection = connection
        #: Runs that began and ended, each with whether it began.
        self._news: queue.SimpleQueue[tuple[Ticket, bool]] = queue.SimpleQueue()
        #: The session that the slot works for, "" for none that was detached.
        self._session = ""
        #: By session: when its last sign was left (monotonic).
        self._last: dict[str, float] = {}
        self._thread = threading.Thread(target=self._work, daemon=True, name="signs")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def begin(self, ticket: Ticket) -> None:
        """Note that a run began; those of sessions that end with their client need no sign."""
        if ticket.deadline:
            self._news.put((ticket, True))

    def end(self, ticket: Ticket) -> None:
        """Note that a run ended, or was handed back; in the queue that must have been told before."""
        if ticket.deadline:
            self._news.put((ticket, False))

    def _work(self) -> None:
        while True:
            try:
                ticket, began = self._news.get(timeout=PERIOD if self._session else None)
            except queue.Empty:
                self._tell_of_work()
                continue
            self._session = ticket.session if began else ""
            if began:
                self._tell_of_work()
            elif self._is_done(ticket):
                self._leave(f"{ticket.session}/done")

    def _is_done(self, ticket: Ticket) -> bool:
        """Tell whether no run of the session waits or is under way; not, if nobody can say."""
        try:
            return not pending.has_work(self._connection, ticket.queue, ticket.session)
        except RedisError:
            return False

    def _tell_of_work(self) -> None:
        """Leave the sign of work unless one was left a moment ago."""
        now = time.monotonic()
        if self._session and now - self._last.get(self._session, -PERIOD) >= PERIOD:
            self._last = {self._session: now}
            self._leave(f"{self._session}/working")

    def _leave(self, name: str) -> None:
        try:
            self._place.mark(name)
        except ContentError as error:
            _log.warning("cannot tell the cluster's timer (%s): %s", name, error)
