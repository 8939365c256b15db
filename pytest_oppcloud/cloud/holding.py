"""What pytest holds of a session at a shared queue: its record, its lease, and its place as the one that judges."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oppcloud_worker.remote import ending, keys, sessions

from pytest_oppcloud.queues.sessions import person

if TYPE_CHECKING:
    from collections.abc import Iterable

    import redis
    from oppcloud_worker.remote.sessions import SessionRecord, SubmittedRun
    from oppcloud_worker.signing import ClusterKey


class SessionTakenError(Exception):
    """Somebody else has taken the session over, or has cancelled it; the text says who."""


@dataclass(slots=True, kw_only=True)
class Hold:
    """The hold of this session's processes on it: all those of xdist share one token."""

    connection: redis.Redis
    record: SessionRecord
    key: ClusterKey | None
    token: str
    #: The runs that the session was asked for, as far as it is known here.
    runs: tuple[SubmittedRun, ...] = ()
    #: Who has taken it over.
    lost_to: str = ""
    #: Two threads renew it while content is sent.
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def announce(self) -> None:
        """Note the session, so that people find it; raise `SessionTakenError`."""
        sessions.write_record(self.connection, self.record, key=self.key)
        if self.runs:
            sessions.write_runs(self.connection, self.record, self.runs, key=self.key)
        self.renew()

    def note_runs(self, runs: Iterable[SubmittedRun]) -> None:
        """Note what the session is asked for, before any of it is queued."""
        noted = tuple(runs)
        sessions.write_runs(self.connection, self.record, noted, key=self.key)
        self.runs = noted

    def renew(self) -> None:
        """Say that somebody is there who wants the outcomes; raise `SessionTakenError`."""
        with self._lock:
            self.lost_to = self.lost_to or sessions.renew(
                self.connection, self.record.id, self.token, myself(), deadline=self.record.deadline
            )
        if self.lost_to:
            raise SessionTakenError(f"session {self.record.id} was taken away by {self.lost_to}")

    def look(self) -> None:
        """Note the session again if Redis lost it, as it may have lost everything; raise `SessionTakenError`."""
        if not self.connection.expire(keys.record(self.record.id), keys.kept(self.record.deadline)):
            # Whoever has cancelled it took it over before: then it is not to come back.
            self.renew()
            self.announce()

    def unfinished(self) -> int:
        """Return how many of the session's runs have no outcome."""
        return len(self.runs) - sessions.finished(self.connection, self.record.id, self.runs)

    def leave(self) -> None:
        """Leave the session to its workers."""
        sessions.release(self.connection, self.record.id, self.token, deadline=self.record.deadline)

    def remove(self, names: Iterable[str]) -> None:
        """Remove all that is left of a session whose runs have ended; `names` are those that were heard of."""
        every = {*names, *(run.run for run in self.runs)}
        # Files of others were discarded one by one.
        ending.remove(self.connection, self.record, every, key=self.key, results=self.record.deadline > 0)

    def claim(self) -> str:
        """Become the one that judges; return who is it instead, "" if nobody is."""
        return sessions.claim(self.connection, self.record.id, self.token, myself())


def myself() -> str:
    """Return what this process says of itself."""
    return f"{person()} (process {os.getpid()})"
