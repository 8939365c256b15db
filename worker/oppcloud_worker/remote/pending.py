"""Runs that wait for a slot, and runs that a slot has taken.

A slot that is free takes one run, the next one by these rules, and no other before it is done with that:

- sessions of higher priority first, among them the one that has fewest runs under way, then the one whose last turn
  was longest ago; so a small session does not wait for the end of a large one;
- of a session's runs, first those that were handed back, then those that are expected to take longest, then the
  first come;
- never a run that needs another image, system or OMNeT++ than that of the slot's worker, or more memory than the
  worker has left: what its runs under way need is set aside for them;
- where a worker has no room for the run whose turn it is, a smaller one goes first; but one worker keeps room for the
  large one: smaller ones get there only what it leaves, so that it does not wait for their end.

A slot that finds nothing waits for its bell, a list of its own, so that nobody polls; whoever has runs wait rings for
as many slots as there are new runs. All of it happens inside Redis, in the script `queue.lua`, which RQ's own list of
jobs is kept in step by: it shows RQ's tools what waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, cast

from . import keys
from .connection import as_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    import redis
    from redis.client import Pipeline

    from oppcloud_worker.ticket import Needs, Ticket

    from .presence import SlotInfo

#: Sent with each move. Redis knows it again by its digest; to ask whether it does would be a round trip more, and a
#: transaction has no second try.
_SCRIPT = files(__package__).joinpath("queue.lua").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Unfinished:
    """How many runs of a session need so much memory and have no outcome."""

    #: Bytes for each, 0 for those that need none set aside.
    memory: int
    waiting: int
    taken: int


def _move(client: redis.Redis | Pipeline, move: str, queue: str, *values: str, kept: int = keys.SESSION_DATA) -> object:
    """Make a move of the script; on a pipeline, with the rest of it. What it notes stays for `kept` seconds."""
    names = keys.pending(queue)
    return client.eval(_SCRIPT, len(names), *names, move, queue, str(kept), *values)


def offer(pipeline: Pipeline, queue: str, tickets: Iterable[Ticket], *, at_front: bool = False) -> None:
    """Have runs wait in `queue`, in their order where they are expected to take equally long."""
    values: list[str] = []
    deadline = 0.0
    for ticket in tickets:
        deadline = max(deadline, ticket.deadline)
        tenths = str(round(ticket.expected * 10))
        values += ticket.job_id, _class_of(ticket.needs), tenths, "1" if at_front else "", str(ticket.priority)
    if values:
        _move(pipeline, "offer", queue, *values, kept=keys.kept(deadline))


def _class_of(needs: Needs) -> str:
    return f"{needs.memory} {_kind(needs)}"


def _kind(of: Needs | SlotInfo) -> str:
    """Return image, system and OMNeT++ as the script compares them: none of them has a blank in it."""
    return " ".join("".join(text.split()) for text in (of.image, of.system, of.omnetpp))


def take(connection: redis.Redis, queue: str, slot: SlotInfo, *, done: str) -> str | None:
    """Return the id of the job that `slot` runs next; None if it is to `wait`.

    `done` is the last job that it was given, "" for none. A slot that asks again without having been told, as the
    connection was lost, is given the same job again.
    """
    job_id = cast("bytes | None", _move(connection, "take", queue, slot.name, str(slot.memory), _kind(slot), done))
    return None if job_id is None else as_text(job_id)


def wait(connection: redis.Redis, slot: str) -> None:
    """Wait until it makes sense that `slot` looks again."""
    connection.blpop([keys.bell(slot)], timeout=keys.LOOK)


def release(pipeline: Pipeline, queue: str, job_id: str) -> None:
    """Note that a run has ended, or goes back to those that wait; what was set aside for it is free again."""
    _move(pipeline, "release", queue, job_id)


def leave(pipeline: Pipeline, queue: str, slots: Iterable[str]) -> None:
    """Note that slots serve the queue no more: nobody rings for them."""
    _move(pipeline, "leave", queue, *slots)


def withdraw(pipeline: Pipeline, queue: str, session: str) -> None:
    """Have no run of `session` wait any more; RQ's list is left as it is."""
    _move(pipeline, "withdraw", queue, session)


def forget(connection: redis.Redis, queue: str, session: str) -> None:
    """Forget which runs of a session that has ended were taken."""
    for job_id in taken(connection, queue):
        if job_id.startswith(f"{session}-"):
            connection.hdel(keys.taken(queue), job_id)


def waiting(connection: redis.Redis, queue: str, session: str) -> set[str]:
    """Return the ids of the jobs of `session` that wait."""
    return {as_text(job_id) for job_id in cast("list[bytes]", _move(connection, "jobs", queue, session))}


def taken(connection: redis.Redis, queue: str) -> dict[str, str]:
    """Return the ids of the jobs that were taken and have not ended, and the slots that took them."""
    entries = connection.hgetall(keys.taken(queue))
    return {as_text(job_id): as_text(entry).partition(" ")[0] for job_id, entry in entries.items()}


def unfinished(connection: redis.Redis, queue: str, session: str) -> list[Unfinished]:
    """Return what `session` has waiting and under way, by the memory that it needs."""
    rows = cast("list[bytes]", _move(connection, "unfinished", queue, session))
    numbers = [[int(number) for number in as_text(row).split()] for row in rows]
    return sorted(Unfinished(memory=memory, waiting=waiting, taken=taken) for memory, waiting, taken in numbers)


def has_work(connection: redis.Redis, queue: str, session: str) -> bool:
    """Tell whether any run of `session` waits in `queue` or is under way; one that is handed back is seen, too."""
    pipeline = connection.pipeline(transaction=True)
    _move(pipeline, "jobs", queue, session)
    pipeline.hkeys(keys.taken(queue))
    waits, under_way = pipeline.execute()
    return bool(waits) or any(as_text(job_id).startswith(f"{session}-") for job_id in under_way)
