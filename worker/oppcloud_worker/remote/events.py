"""The events of a session: one Redis stream, written by slots and supervisors, read by the client.

Nothing polls per job: whoever wants to know what happens waits for the next entry of this stream.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from oppcloud_worker.checking import MAX_MESSAGE, printable
from oppcloud_worker.wire import MessageError, decode, encode

from . import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis
    from redis.client import Pipeline

#: A slot took the run.
STARTED = "started"
#: The attempt came to nothing, and the next one lies in the queue.
REQUEUED = "requeued"
#: There is an outcome.
FINISHED = "finished"

#: Entries that are fetched at a time.
_BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a run."""

    #: STARTED, REQUEUED or FINISHED; a reader passes over kinds that it does not know.
    kind: str
    run: str
    #: The attempt that it happened to.
    attempt: int
    #: Name of the slot, "" where none was involved.
    slot: str = ""
    #: Name of the `Cause`, "" for STARTED.
    cause: str = ""
    #: Why, for people.
    message: str = ""
    #: Seconds that the simulation took, and that the slot was busy with it.
    wall_time: float = 0.0
    busy_time: float = 0.0
    #: Bytes of memory of the whole process tree (FINISHED).
    peak_memory: int = 0
    #: Earlier attempts that count against the retries, this one included (REQUEUED).
    losses: int = 0
    #: Bytes of memory that are set aside for the next attempt (REQUEUED).
    needs_memory: int = 0
    #: When it came into the stream: seconds since 1970 by the clock of Redis. The reader knows.
    time: float = 0.0


def add(pipeline: Pipeline, session: str, event: Event, *, kept: int = keys.SESSION_DATA) -> None:
    """Append `event` to the session's stream, as part of `pipeline`; it stays for `kept` seconds."""
    key = keys.events(session)
    pipeline.xadd(key, {"event": json.dumps(encode(event), separators=(",", ":"))})
    pipeline.expire(key, kept)


class EventReader:
    """Reads the stream of one session from its beginning."""

    def __init__(self, connection: redis.Redis, session: str) -> None:
        self._connection = connection
        self._key = keys.events(session)
        self._last = b"0"

    def read(self, timeout: float) -> Iterator[Event]:
        """Yield what came since; wait up to `timeout` seconds for the first event. Entries that are none are left out.

        Raises redis errors.
        """
        answer = cast(
            "list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]",
            self._connection.xread({self._key: self._last}, count=_BATCH, block=max(1, int(timeout * 1000))),
        )
        for _, entries in answer:
            for number, fields in entries:
                self._last = number
                try:
                    event = decode(Event, json.loads(fields[b"event"]))
                    # They are not signed: nothing follows from them but that somebody looks, and a text for people.
                    when = int(number.partition(b"-")[0]) / 1000
                    yield replace(event, message=printable(event.message[:MAX_MESSAGE]), time=when)
                except (KeyError, ValueError, MessageError):
                    continue
