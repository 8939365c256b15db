"""Tells a session of the run under way: its progress, and its console output while somebody follows it.

A thread of its own does so, with a connection of its own: what the simulation prints is never kept waiting for Redis.
A run that ends before the first look costs nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from redis import RedisError

from oppcloud_worker.following import Following

from . import events, keys
from .events import Event

if TYPE_CHECKING:
    import redis

    from oppcloud_worker.progress import Progress
    from oppcloud_worker.ticket import Ticket

#: Seconds between two blocks of output of a run that is followed.
_FOLLOWING = 0.3
#: Seconds after which a run is worth a look: OMNeT++ tells for the first time after two.
_SHORT = 2.0
#: Characters of output in one event.
_BLOCK = 16 * 1024


class _Run:
    """The run under way."""

    def __init__(self, ticket: Ticket, *, followed: bool) -> None:
        self.ticket = ticket
        self.output = Following()
        #: Whether somebody follows it; known at its start, and after each look.
        self.followed = followed
        self.begun = time.monotonic()
        #: Output that is still to be told.
        self.untold = ""


class Reporter:
    """The thread; one run after the other is given to it."""

    def __init__(self, connection: redis.Redis, slot: str) -> None:
        self._connection = connection
        self._slot = slot
        self._run: _Run | None = None
        #: One look at a time: at the end of a run, the slot itself looks, too.
        self._looking = threading.Lock()
        self._awake = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._work, daemon=True, name="report")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Have the thread end."""
        self._ended = True
        self._awake.set()

    def begin(self, ticket: Ticket, *, followed: bool) -> None:
        """Take up a run."""
        self._run = _Run(ticket, followed=followed)
        if followed:
            self._awake.set()

    def hear(self, data: bytes) -> None:
        """Take in a piece of its output."""
        if self._run is not None:
            self._run.output.feed(data)

    def end(self) -> None:
        """Put the run aside; whoever follows it gets the rest of its output."""
        run, self._run = self._run, None
        if run is not None and run.followed:
            # If Redis is away now, there is still the failure report, and the log among the results.
            with self._looking, contextlib.suppress(RedisError):
                self._look(run, last=True)

    def _work(self) -> None:
        while not self._ended:
            run = self._run
            self._awake.wait(_FOLLOWING if run is not None and run.followed else keys.RENEW)
            self._awake.clear()
            with self._looking, contextlib.suppress(RedisError):
                run = self._run
                if run is not None and (run.followed or time.monotonic() - run.begun > _SHORT):
                    self._look(run, last=False)

    def _look(self, run: _Run, *, last: bool) -> None:
        """Tell what is new, and find out whether somebody follows; raise `RedisError`."""
        pipeline = self._connection.pipeline(transaction=False)
        session = run.ticket.session
        progress = run.output.take_progress()
        if progress is not None:
            events.add_live(pipeline, session, self._event(run, events.PROGRESS, progress=progress))
        # What could not be told the last time comes first.
        run.untold = run.untold or (run.output.take_lines(rest=last) if run.followed else "")
        for start in range(0, len(run.untold), _BLOCK):
            block = run.untold[start : start + _BLOCK]
            events.add_live(pipeline, session, self._event(run, events.OUTPUT, message=block))
        pipeline.hexists(keys.followed(session), run.ticket.run)
        followed = bool(pipeline.execute()[-1])
        run.untold = ""
        if followed and not run.followed:
            run.followed = True
            self._awake.set()

    def _event(self, run: _Run, kind: str, *, message: str = "", progress: Progress | None = None) -> Event:
        ticket = run.ticket
        return Event(
            kind=kind, run=ticket.run, attempt=ticket.attempt, slot=self._slot, message=message, progress=progress
        )
