"""The events of a session: a Redis stream, written by slots and workers, read by the client.

Nothing polls per job: whoever wants to know what happens waits for the next entry. What is of use for a moment only,
progress and console output, lies in a second stream, which is kept short; both are read with one command.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from oppcloud_worker.checking import MAX_MESSAGE, printable
from oppcloud_worker.progress import Progress  # noqa: TC001  # read at run time by wire.decode
from oppcloud_worker.wire import MessageError, decode, encode

from . import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis
    from redis.client import Pipeline
    from redis.typing import EncodableT, FieldT, KeyT, StreamIdT

#: The run waits to be simulated; told where others than the process that submits it want to know.
QUEUED = "queued"
#: A slot took the run.
STARTED = "started"
#: The attempt came to nothing, and the next one lies in the queue.
REQUEUED = "requeued"
#: There is an outcome.
FINISHED = "finished"
#: In the second stream: where the simulation is, and what it printed.
PROGRESS = "progress"
OUTPUT = "output"

#: Entries that are fetched at a time.
_BATCH = 1000
#: Characters of the name of a run.
_MAX_NAME = 1000
#: No run takes longer, nor has more events in a second; JSON can hold what is no number, too.
_MAX_AMOUNT = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a run."""

    #: QUEUED, STARTED, REQUEUED, FINISHED, PROGRESS or OUTPUT; a reader passes over kinds that it does not know.
    kind: str
    run: str
    #: The attempt that it happened to.
    attempt: int
    #: Name of the slot, "" where none was involved.
    slot: str = ""
    #: Name of the `Cause`, "" for STARTED.
    cause: str = ""
    #: Why, for people (REQUEUED); what the simulation printed (OUTPUT).
    message: str = ""
    #: What people call the run (STARTED).
    name: str = ""
    #: Seconds that it is expected to take, 0 where nobody knows (QUEUED).
    expected: float = 0.0
    #: Where the simulation is (PROGRESS).
    progress: Progress | None = None
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
    pipeline.xadd(key, _fields(event))
    pipeline.expire(key, kept)


def add_live(pipeline: Pipeline, session: str, event: Event) -> None:
    """Append `event` to the session's stream of what is soon forgotten, as part of `pipeline`."""
    key = keys.live(session)
    pipeline.xadd(key, _fields(event), maxlen=keys.LIVE_LENGTH, approximate=True)
    pipeline.expire(key, keys.LIVE)


def _fields(event: Event) -> dict[FieldT, EncodableT]:
    return {"event": json.dumps(encode(event), separators=(",", ":"))}


class EventReader:
    """Reads the streams of one session from their beginning."""

    def __init__(self, connection: redis.Redis, session: str) -> None:
        self._connection = connection
        #: Where to read on in each stream. That of progress comes first: output is told before the end of its run.
        self._last: dict[KeyT, int | StreamIdT] = {keys.live(session): b"0", keys.events(session): b"0"}

    def read(self, timeout: float) -> Iterator[Event]:
        """Yield what came since; wait up to `timeout` seconds for the first event. Entries that are none are left out.

        Raises redis errors.
        """
        answer = cast(
            "list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]",
            self._connection.xread(self._last, count=_BATCH, block=max(1, int(timeout * 1000))),
        )
        for stream, entries in answer:
            for number, fields in entries:
                self._last[stream.decode()] = number
                try:
                    event = _readable(decode(Event, json.loads(fields[b"event"])))
                    yield replace(event, time=int(number.partition(b"-")[0]) / 1000)
                except (KeyError, ValueError, MessageError):
                    continue


def _readable(event: Event) -> Event:
    """Return an event as people may see it.

    They are not signed: nothing follows from them but that somebody looks, and a text for people.
    """
    progress = event.progress
    if progress is not None:
        progress = replace(
            progress,
            sim_time=_text(progress.sim_time[:40]),
            percent=max(-1, min(100, progress.percent)),
            elapsed=_amount(progress.elapsed),
            speed=_amount(progress.speed),
        )
    return replace(
        event,
        message=_text(event.message[:MAX_MESSAGE]),
        name=_text(event.name[:_MAX_NAME]),
        expected=_amount(event.expected),
        wall_time=_amount(event.wall_time),
        busy_time=_amount(event.busy_time),
        progress=progress,
    )


def _amount(number: float) -> float:
    return number if 0 <= number < _MAX_AMOUNT else 0.0


def _text(text: str) -> str:
    # JSON can hold halves of surrogate pairs, which no terminal takes.
    return printable(text.encode("utf-8", "backslashreplace").decode())
