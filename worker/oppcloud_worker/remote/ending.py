"""The end of a session that pytest does not end itself: its runs are stopped, and nothing of it is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import events, keys, pending, runs, sessions
from .results import EMPTY
from .stores import result_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import redis

    from oppcloud_worker.signing import ClusterKey

    from .sessions import SessionRecord

#: Seconds for running simulations to say that they have been stopped.
_STOPPING = 5.0
#: Longest wait for an event.
_BLOCK = 0.25
#: Outcomes that are looked at in one go.
_CHUNK = 100


def cancel(connection: redis.Redis, record: SessionRecord, *, key: ClusterKey | None, who: str) -> None:
    """Stop the runs of a session and remove all traces of it; its client, if it has one, is told that `who` did so.

    Raises `SessionUnusableError`, `ContentError` where a store cannot be reached, and redis errors.
    """
    names = {run.run for run in sessions.read_runs(connection, record.id, key=key)}
    told = bool(sessions.client_of(connection, record.id)) or not record.detached
    sessions.take_over(connection, record.id, "", who)
    connection.delete(keys.lease(record.id))
    for queue in queues_of(connection, record):
        runs.withdraw(connection, queue, record.id)
    names |= _stop(connection, record)
    remove(connection, record, names, key=key, client=not told)


def remove(  # noqa: PLR0913  # of what, and what of it
    connection: redis.Redis,
    record: SessionRecord,
    names: Iterable[str],
    *,
    key: ClusterKey | None,
    results: bool = True,
    client: bool = True,
) -> None:
    """Remove all keys of a session whose runs have ended, and their result files unless these are gone already.

    Unless `client`, what tells its client so is left for a while. Raises as `cancel` does.
    """
    found = sorted(names)
    if results:
        _remove_results(connection, record, found, key)
    runs.remove_session(connection, queues_of(connection, record), record.id, found)
    sessions.forget(connection, record.id, client=client)


def _stop(connection: redis.Redis, record: SessionRecord) -> set[str]:
    """Stop what runs, and wait until it has; return the names of all runs that anything was heard of."""
    runs.stop(connection, ((slot, job_id) for job_id, slot in running(connection, record).items()))
    reader, names = events.EventReader(connection, record.id), set()
    deadline = time.monotonic() + _STOPPING
    while True:
        came = list(reader.read(_BLOCK))
        names |= {event.run for event in came}
        if not came and (time.monotonic() >= deadline or not running(connection, record)):
            return names


def running(connection: redis.Redis, record: SessionRecord) -> dict[str, str]:
    """Return the jobs of a session that were taken, and the slots that have them."""
    taken: dict[str, str] = {}
    for queue in queues_of(connection, record):
        taken |= pending.taken(connection, queue)
    return {job_id: slot for job_id, slot in taken.items() if job_id.startswith(f"{record.id}-")}


def queues_of(connection: redis.Redis, record: SessionRecord) -> set[str]:
    """Return the queues that runs of a session may be in."""
    return {record.queue, *runs.queues_of(connection, record.id)}


def _remove_results(
    connection: redis.Redis, record: SessionRecord, names: Sequence[str], key: ClusterKey | None
) -> None:
    """Remove the result files of runs: of each on its own from Redis, of all at once from another store."""
    together: set[str] = set()
    for run, digests in _result_files(connection, record.id, names, key):
        if record.store:
            together |= digests
        else:
            result_store("", connection, record.id, run).remove(digests)
    if together:
        result_store(record.store, connection, record.id, "").remove(sorted(together))


def _result_files(
    connection: redis.Redis, session: str, names: Sequence[str], key: ClusterKey | None
) -> Iterator[tuple[str, set[str]]]:
    for start in range(0, len(names), _CHUNK):
        found = runs.outcomes(connection, session, names[start : start + _CHUNK], key=key)
        for run, outcome in found.items():
            yield run, {file.digest for file in outcome.files if file.digest not in {"", EMPTY}}
