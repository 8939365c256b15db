"""Runs of slots that have died: handed back by whoever lives.

A slot's worker does so at once, as long as it lives itself; other workers and clients do when the slot's lease has
ended. So a session whose client is away needs nobody but workers.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import Job

from oppcloud_worker.messages import Cause, RunOutcome
from oppcloud_worker.signing import RefusedError, verify_ticket
from oppcloud_worker.ticket import Ticket, VersionMismatchError, check_version
from oppcloud_worker.wire import MessageError

from . import keys, pending, presence, runs

if TYPE_CHECKING:
    import redis
    from redis.client import Pipeline

    from oppcloud_worker.signing import ClusterKey

_log = logging.getLogger("oppcloud_worker")


def ask_for_duty(pipeline: Pipeline, queue: str, slot: str) -> None:
    """Ask whether it is up to `slot` to look after the others this time: one of all slots does at a time."""
    pipeline.set(keys.duty(queue), slot, nx=True, px=int(keys.RENEW * 900))


def look_after_others(connection: redis.Redis, queue: str, *, key: ClusterKey | None) -> None:
    """Hand back the runs of all slots whose lease has ended; after some seconds, leave the rest to the next."""
    deadline = time.monotonic() + keys.RENEW
    holders = pending.taken(connection, queue)
    if not holders:
        return
    living = presence.present(connection, queue)
    for job_id, slot in holders.items():
        if slot not in living and time.monotonic() < deadline:
            hand_back(connection, queue, job_id, dead_slot(slot), key=key, slot=slot)


def hand_back_of(connection: redis.Redis, queue: str, slot: str, why: str, *, key: ClusterKey | None) -> None:
    """Hand back what `slot` has taken."""
    for job_id, holder in pending.taken(connection, queue).items():
        if holder == slot:
            hand_back(connection, queue, job_id, why, key=key, slot=slot)


def dead_slot(slot: str) -> str:
    """Return what people are told about a slot whose lease has ended."""
    return f"its worker slot {slot} has not been heard of for {keys.SLOT_LEASE} s"


def hand_back(  # noqa: PLR0913  # what, where, why, and who
    connection: redis.Redis, queue: str, job_id: str, why: str, *, key: ClusterKey | None, slot: str
) -> None:
    """Settle the attempt `job_id`, which a dead slot had taken, as lost."""
    try:
        payload = Job.fetch(job_id, connection=connection, serializer="json").args[0]
        body, _ = verify_ticket(check_version(payload), key)
        ticket = Ticket.from_json(body)
    except (NoSuchJobError, DeserializationError, IndexError, MessageError) as error:
        # There is nothing to be handed back: if it was a run, its client will miss it.
        _log.warning("%s, which the dead slot %s had taken, is lost: %s", job_id, slot, error)
        pipeline = connection.pipeline()
        pending.release(pipeline, queue, job_id)
        pipeline.execute()
    except (RefusedError, VersionMismatchError) as error:
        # Somebody else's to hand back: of that version, with that key.
        _log.warning("%s, which the dead slot %s had taken, is left to others: %s", job_id, slot, error)
    else:
        runs.settle(connection, ticket, RunOutcome(cause=Cause.WORKER_LOST, message=why), key=key, slot=slot)
