"""Somebody who can write to Redis, and nothing more: it damages, forges and replays what lies there."""

from __future__ import annotations

import json
import uuid
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oppcloud_worker.messages import Cause, RecordedValue, RunOutcome, RunRequest
from oppcloud_worker.remote import events, keys, pending, runs
from oppcloud_worker.remote.events import Event
from oppcloud_worker.signing import ClusterKey, sign_ticket
from oppcloud_worker.ticket import Ticket

if TYPE_CHECKING:
    from .machines import RedisServer


class Outsider:
    """What can be done to a server."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    def ticket(self, session: str, mark: Path, run: str = "forged") -> dict[str, object]:
        """Return a ticket, not signed, of a run that would leave a mark."""
        request = RunRequest(
            name=run,
            program=("/bin/sh", "-c", f"echo {run} >> {mark}; sleep 3", "sh"),
            arguments=(),
            directory="/",
            config="General",
            run_number=0,
            repetition=0,
        )
        return Ticket(session=session, run=run, queue="oppcloud", request=request).to_json()

    def enqueue(self, ticket: dict[str, object]) -> None:
        """Put a ticket into the queue."""
        connection = self._server.connection
        # What slots take them by: the id of a job of some session, whatever its ticket says.
        name = Ticket.from_json(self.ticket(uuid.uuid4().hex[:8], Path("/")))
        runs.rq_queue(connection, "oppcloud").enqueue(runs.JOB_FUNCTION, ticket, job_id=name.job_id)
        pipeline = connection.pipeline()
        pending.offer(pipeline, "oppcloud", [name])
        pipeline.execute()

    def forge(self, session: str, mark: Path) -> None:
        """Ask for runs: not signed, and signed with another key."""
        ticket = self.ticket(session, mark)
        self.enqueue(ticket)
        self.enqueue(sign_ticket({**ticket, "run": "forged2"}, ClusterKey.generate()))

    def replay(self, limit: int = 1000) -> int:
        """Put tickets that were seen into the queue once more, `limit` at most; return how many there were."""
        queue = runs.rq_queue(self._server.connection, "oppcloud")
        found = 0
        for name in sorted(self._server.connection.scan_iter("rq:job:*"))[:limit]:
            job = queue.fetch_job(name.decode().removeprefix("rq:job:"))
            if job is not None and job.args:
                self.enqueue(job.args[0])
                found += 1
        return found

    def content_keys(self) -> list[bytes]:
        """Return the keys of what runs need."""
        return sorted(self._server.connection.scan_iter(keys.content() + "*"))

    def damage_content(self, how: str) -> int:
        """Truncate, change or remove all content; return how much there was."""
        connection = self._server.connection
        found = self.content_keys()
        for name in found:
            data: Any = connection.get(name)
            if how == "truncated":
                connection.set(name, data[: len(data) // 2])
            elif how == "changed":
                connection.set(name, data[:-8] + bytes(byte ^ 1 for byte in data[-8:]))
            else:
                connection.delete(name)
        return len(found)

    def replace_content(self, old: bytes, new: bytes) -> int:
        """Put other content in the place of some, well-formed but for its digest; return how often it was found."""
        connection = self._server.connection
        found = 0
        for name in self.content_keys():
            data: Any = connection.get(name)
            if zlib.decompress(data) == old:
                connection.set(name, zlib.compress(new))
                found += 1
        return found

    def forge_outcome(self, session: str, run: str, data: bytes | None = None) -> None:
        """Store an outcome, one that looks right if no `data` is given, and say that it is there."""
        if data is None:
            value = RecordedValue(kind="scalar", module="Tiny", name="value", value="666")
            outcome = RunOutcome(cause=Cause.COMPLETED, values=(value,))
            data = zlib.compress(json.dumps(outcome.to_json()).encode())
        connection = self._server.connection
        connection.set(keys.outcome(session, run), data)
        pipeline = connection.pipeline()
        events.add(pipeline, session, Event(kind=events.FINISHED, run=run, attempt=1, cause="COMPLETED"))
        pipeline.execute()

    def runs_of(self, session: str) -> list[str]:
        """Return the runs of a session that something was heard of."""
        stream: Any = self._server.connection.xrange(keys.events(session))
        return [json.loads(fields[b"event"])["run"] for _, fields in stream]
