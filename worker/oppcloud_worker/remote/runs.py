"""The runs of sessions in Redis: queued as RQ jobs, settled exactly once.

Both ends use this module: the client queues runs, slots settle them, and whoever finds that a slot has died (its
worker at once, others when its lease ends) settles them in its place. RQ carries the jobs; what it thinks of
their state is never asked, and which one comes next is not its choice (see `pending`). The outcome under our own key
is the truth: the first one written stays.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from rq import Queue
from rq.job import Job

from oppcloud_worker.checking import checked, printable
from oppcloud_worker.messages import Cause, RunOutcome
from oppcloud_worker.signing import ForgedError, seal, sign_ticket, unseal
from oppcloud_worker.wire import MessageError

from . import events, keys, pending, presence
from .connection import as_bytes, as_text
from .events import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import redis
    from redis.client import Pipeline
    from rq.queue import EnqueueData

    from oppcloud_worker.signing import ClusterKey
    from oppcloud_worker.ticket import Ticket

#: The only function that a worker of ours runs.
JOB_FUNCTION = "oppcloud_worker.job.run"

#: RQ's own watchdog is off: `simulation.execute` ends a run that takes too long, with its whole process tree.
_NO_TIMEOUT = -1

#: Jobs that are sent in one go.
_CHUNK = 500

#: Bytes of the JSON of an outcome: enough for some 300,000 recorded values.
OUTCOME_LIMIT = 64 * 1024 * 1024


def rq_queue(connection: redis.Redis, name: str) -> Queue:
    """Return the RQ queue `name`, with JSON instead of RQ's default, pickle."""
    return Queue(name, connection=connection, serializer="json")


def enqueue(connection: redis.Redis, tickets: Sequence[Ticket], *, key: ClusterKey | None) -> None:
    """Queue `tickets`, all for the same queue and session, signed with `key`."""
    for start in range(0, len(tickets), _CHUNK):
        pipeline = connection.pipeline()
        name = keys.queues(tickets[0].session)
        pipeline.sadd(name, tickets[0].queue)
        pipeline.expire(name, keys.kept(tickets[0].deadline))
        _queue(pipeline, connection, tickets[start : start + _CHUNK], key)
        pipeline.execute()


def _queue(
    pipeline: Pipeline,
    connection: redis.Redis,
    tickets: Sequence[Ticket],
    key: ClusterKey | None,
    *,
    at_front: bool = False,
) -> None:
    """Queue `tickets` as part of `pipeline`: as RQ's jobs, for its tools, and where slots take them from."""
    name = tickets[0].queue
    jobs = [_job(ticket, key, at_front=at_front) for ticket in tickets]
    rq_queue(connection, name).enqueue_many(jobs, pipeline=pipeline)
    pending.offer(pipeline, name, tickets, at_front=at_front)


def _job(ticket: Ticket, key: ClusterKey | None, *, at_front: bool = False) -> EnqueueData:
    """Return the RQ job for `ticket`; every time limit is given, as RQ's defaults lose jobs."""
    return Queue.prepare_data(
        JOB_FUNCTION,
        args=(sign_ticket(ticket.to_json(), key),),
        timeout=_NO_TIMEOUT,
        ttl=keys.kept(ticket.deadline),
        result_ttl=keys.RESULT_FILES,
        failure_ttl=keys.SESSION_DATA,
        description=ticket.request.name,
        job_id=ticket.job_id,
        at_front=at_front,
    )


def announce(connection: redis.Redis, session: str, expected: Mapping[str, float]) -> None:
    """Tell all processes of the session which runs it has, and the seconds that each is expected to take."""
    items = list(expected.items())
    for start in range(0, len(items), _CHUNK):
        pipeline = connection.pipeline(transaction=True)
        for run, seconds in items[start : start + _CHUNK]:
            events.add(pipeline, session, Event(kind=events.QUEUED, run=run, attempt=1, expected=seconds))
        pipeline.execute()


def announce_start(connection: redis.Redis, ticket: Ticket, slot: str) -> tuple[bool, bool]:
    """Tell the session that `slot` took the run.

    Return whether anybody still wants its outcome, and whether somebody follows what it prints.
    """
    pipeline = connection.pipeline(transaction=False)
    pipeline.exists(keys.lease(ticket.session))
    pipeline.exists(keys.outcome(ticket.session, ticket.run))
    pipeline.hexists(keys.followed(ticket.session), ticket.run)
    name = ticket.request.name
    started = Event(kind=events.STARTED, run=ticket.run, attempt=ticket.attempt, slot=slot, name=name)
    events.add(pipeline, ticket.session, started, kept=keys.kept(ticket.deadline))
    leased, settled, followed, *_ = pipeline.execute()
    return bool(leased) and not settled, bool(followed)


def settle(  # noqa: PLR0913  # who asks, how it went, and what stands in the event
    connection: redis.Redis,
    ticket: Ticket,
    outcome: RunOutcome,
    *,
    key: ClusterKey | None,
    slot: str = "",
    busy_time: float = 0.0,
) -> None:
    """End an attempt: queue the next one if the cause allows, else store the outcome as the run's result.

    Both are signed with `key`; so `ticket` must be our own, or one whose signature was right.

    May be called by several for the same attempt; only the first has an effect.
    """
    if ticket.may_be_repeated(outcome.cause):
        message, memory = outcome.message, None
        if outcome.cause is Cause.OUT_OF_MEMORY:
            memory = _more_memory(connection, ticket, outcome)
            message += f"; {memory / 2**30:.3g} GiB are set aside for it now"
        hand_back(connection, ticket, outcome.cause, message, key=key, slot=slot, counts=True, memory=memory)
    else:
        _publish(connection, ticket, outcome, key=key, slot=slot, busy_time=busy_time)


def _more_memory(connection: redis.Redis, ticket: Ticket, outcome: RunOutcome) -> int:
    """Return the bytes that a run needs which was out of memory: twice as many, but not more than any worker has."""
    doubled = 2 * max(ticket.needs.memory, outcome.peak_memory)
    slots = presence.present(connection, ticket.queue).values()
    largest = max((slot.memory for slot in slots if ticket.needs.image in {"", slot.image}), default=0)
    return min(doubled, largest) if largest else doubled


def hand_back(  # noqa: PLR0913  # all of it stands in the event
    connection: redis.Redis,
    ticket: Ticket,
    cause: Cause,
    message: str,
    *,
    key: ClusterKey | None,
    slot: str = "",
    counts: bool,
    memory: int | None = None,
) -> None:
    """Queue the next attempt, in front of the others, unless somebody already has or nobody wants the outcome.

    `memory` is what it needs then, None for the same as before.
    """
    following = ticket.again(counted=cause.name if counts else "", memory=memory)
    fences, fence = keys.attempts(ticket.session), f"{ticket.run}-{following.attempt}"
    event = Event(
        kind=events.REQUEUED,
        run=ticket.run,
        attempt=ticket.attempt,
        slot=slot,
        cause=cause.name,
        message=message,
        losses=following.losses,
        needs_memory=following.needs.memory,
    )

    def queue_once(pipeline: Pipeline) -> None:
        # The fence falls together with the new job: whoever dies in between has done nothing.
        taken, leased = pipeline.hexists(fences, fence), pipeline.exists(keys.lease(ticket.session))
        pipeline.multi()
        pending.release(pipeline, ticket.queue, ticket.job_id)
        if taken or not leased:
            return
        pipeline.hset(fences, fence, slot)
        pipeline.expire(fences, keys.kept(ticket.deadline))
        _queue(pipeline, connection, [following], key, at_front=True)
        events.add(pipeline, ticket.session, event, kept=keys.kept(ticket.deadline))

    connection.transaction(queue_once, fences)


def _publish(  # noqa: PLR0913  # all of it stands in the event
    connection: redis.Redis,
    ticket: Ticket,
    outcome: RunOutcome,
    *,
    key: ClusterKey | None,
    slot: str,
    busy_time: float,
) -> None:
    """Store the outcome unless there is one, and tell the session, in one transaction."""
    outcome = replace(outcome, attempt=ticket.attempt)
    data = json.dumps(outcome.to_json(), separators=(",", ":")).encode()
    if len(data) > OUTCOME_LIMIT:
        outcome = replace(
            outcome,
            cause=Cause.OUT_OF_SPACE,
            message=f"the recorded values take {len(data)} bytes, more than the {OUTCOME_LIMIT} that may travel; "
            "record fewer of them, or run it at the desk",
            values=(),
        )
        data = json.dumps(outcome.to_json(), separators=(",", ":")).encode()
    event = Event(
        kind=events.FINISHED,
        run=ticket.run,
        attempt=ticket.attempt,
        slot=slot,
        cause=outcome.cause.name,
        wall_time=outcome.wall_time,
        busy_time=busy_time,
        peak_memory=outcome.peak_memory,
    )
    pipeline = connection.pipeline(transaction=True)
    sealed = seal(zlib.compress(data, 1), key, session=ticket.session, run=ticket.run)
    kept = keys.kept(ticket.deadline)
    pipeline.set(keys.outcome(ticket.session, ticket.run), sealed, nx=True, ex=kept)
    events.add(pipeline, ticket.session, event, kept=kept)
    pending.release(pipeline, ticket.queue, ticket.job_id)
    pipeline.execute()


def outcomes(
    connection: redis.Redis, session: str, runs: Sequence[str], *, key: ClusterKey | None
) -> dict[str, RunOutcome]:
    """Fetch the outcomes of `runs` as far as there are any.

    What is no outcome, or not signed with `key`, is one that says so; it is of attempt 0.
    """
    found: dict[str, RunOutcome] = {}
    if not runs:
        return found
    for run, data in zip(runs, connection.mget([keys.outcome(session, run) for run in runs]), strict=True):
        if data is not None:
            found[run] = _read_outcome(as_bytes(data), key, session, run)
    return found


def _read_outcome(data: bytes, key: ClusterKey | None, session: str, run: str) -> RunOutcome:
    """Read what a worker wrote; a damaged or forged outcome is one that says so."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(unseal(data, key, session=session, run=run), OUTCOME_LIMIT + 1)
        if len(text) > OUTCOME_LIMIT:
            return _damaged(f"an outcome of more than {OUTCOME_LIMIT} bytes came")
        return checked(RunOutcome.from_json(json.loads(text)))
    except ForgedError as error:
        return _damaged(f"what came back cannot be trusted: {error}")
    except (zlib.error, ValueError, RecursionError, MessageError) as error:
        return _damaged(f"what came back is no outcome: {error}")


def _damaged(message: str) -> RunOutcome:
    return RunOutcome(cause=Cause.RESULT_DAMAGED, message=printable(message), attempt=0)


def discard_damaged(connection: redis.Redis, session: str, run: str, *, key: ClusterKey | None) -> None:
    """Remove what is stored as the outcome of a run but is none, so that it keeps no other away."""
    name = keys.outcome(session, run)

    def remove(pipeline: Pipeline) -> None:
        data = pipeline.get(name)
        pipeline.multi()
        # Somebody else may have done so, and a right one may have come since.
        if data is not None and _read_outcome(as_bytes(data), key, session, run).attempt == 0:
            pipeline.delete(name)

    connection.transaction(remove, name)


def queued(connection: redis.Redis, queue: str) -> set[str]:
    """Return the ids of all jobs in the queue, those of other sessions included."""
    return set(_queued(connection, rq_queue(connection, queue)))


def _queued(connection: redis.Redis, queue: Queue) -> list[str]:
    return [as_text(job_id) for job_id in connection.lrange(queue.key, 0, -1)]


def withdraw(connection: redis.Redis, queue: str, session: str) -> int:
    """Take all jobs of `session` out of the queue; return how many there were."""
    jobs = rq_queue(connection, queue)
    pipeline = connection.pipeline()
    pending.withdraw(pipeline, queue, session)
    pipeline.execute()
    ours = [job_id for job_id in _queued(connection, jobs) if job_id.startswith(f"{session}-")]
    for start in range(0, len(ours), _CHUNK):
        pipeline = connection.pipeline(transaction=False)
        for job_id in ours[start : start + _CHUNK]:
            # In the order of the queue, so that each is found near its front.
            pipeline.lrem(jobs.key, 1, job_id)
            pipeline.delete(Job.key_for(job_id))
        pipeline.execute()
    return len(ours)


def follow(connection: redis.Redis, session: str, wanted: Iterable[str]) -> None:
    """Ask for the console output of runs as it comes, from those that run and from those that will."""
    pipeline = connection.pipeline()
    key = keys.followed(session)
    for run in wanted:
        pipeline.hset(key, run, "1")
    pipeline.expire(key, keys.SESSION_DATA)
    pipeline.execute()


def become_submitter(connection: redis.Redis, session: str) -> bool:
    """Return whether this process is the one that queues the runs of `session`: the first that asks is."""
    return bool(connection.set(keys.submitter(session), b"1", nx=True, ex=keys.SESSION_DATA))


def renew_session(pipeline: Pipeline, session: str) -> None:
    """Say that the outcomes of `session` are still wanted."""
    pipeline.set(keys.lease(session), b"1", ex=keys.SESSION_LEASE)


def stop(connection: redis.Redis, running: Iterable[tuple[str, str]]) -> None:
    """Tell slots to stop what they run: pairs of slot name and job id."""
    pipeline = connection.pipeline(transaction=False)
    for slot, job_id in running:
        pipeline.publish(f"rq:pubsub:{slot}", json.dumps({"command": "stop-job", "job_id": job_id}))
    pipeline.execute()


def queues_of(connection: redis.Redis, session: str) -> set[str]:
    """Return the queues that runs of `session` were sent to, by any of its processes."""
    return {as_text(name) for name in connection.smembers(keys.queues(session))}


def remove_session(connection: redis.Redis, queues: Iterable[str], session: str, runs: Iterable[str]) -> None:
    """Remove all keys of a session that has ended."""
    for queue in queues:
        pending.forget(connection, queue, session)
    names = [
        key(session)
        for key in (
            keys.lease,
            keys.submitter,
            keys.objection,
            keys.events,
            keys.live,
            keys.followed,
            keys.attempts,
            keys.queues,
        )
    ]
    names += [keys.outcome(session, run) for run in runs]
    for start in range(0, len(names), _CHUNK):
        connection.delete(*names[start : start + _CHUNK])
