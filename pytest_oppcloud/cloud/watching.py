"""What nobody reports: slots that died with their host, jobs that Redis lost, a queue without workers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from oppcloud_worker.address import redacted
from oppcloud_worker.messages import Cause, RunOutcome
from oppcloud_worker.remote import keys, presence, runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oppcloud_worker.remote.presence import SlotInfo

    from .campaign import Campaign, Flight
    from .sending import Sender

#: Seconds that a run may be neither queued nor started before it counts as lost.
_LIMBO = float(keys.SLOT_LEASE)


class Watch:
    """Looks after the runs of a campaign, now and then."""

    def __init__(self, campaign: Campaign, sender: Sender) -> None:
        self._campaign = campaign
        self._sender = sender
        self._last_worker = time.monotonic()

    def start_waiting(self) -> None:
        """Count the time without a worker from now on."""
        self._last_worker = time.monotonic()

    def look(self) -> None:
        """Keep the lease, and find what nobody reports."""
        campaign = self._campaign
        if campaign.owner:
            campaign.renew_lease()
            if campaign.hold is not None:
                campaign.hold.look()
        slots = presence.present(campaign.connection, campaign.address.queue)
        now = time.monotonic()
        campaign.statistics.see(slots)
        if slots:
            self._last_worker = now
        self._find_dead_slots(slots)
        waiting = [flight for flight in campaign.flights.values() if not flight.slot]
        if waiting:
            self._find_lost_jobs([flight for flight in waiting if self._sender.is_responsible(flight)], now)
            if not slots and now - self._last_worker > campaign.address.patience and not campaign.address.detaching:
                self._give_up(waiting)
        trouble = campaign.address.trouble()
        if trouble:
            campaign.lose_all(Cause.QUEUE_LOST, f"the queue was lost: {trouble}")

    def _find_dead_slots(self, slots: dict[str, SlotInfo]) -> None:
        """Hand back the runs of slots that have not been heard of for the time of their lease."""
        for flight in list(self._campaign.flights.values()):
            if flight.slot and flight.slot not in slots:
                outcome = RunOutcome(
                    cause=Cause.WORKER_LOST,
                    message=f"its worker slot {flight.slot} has not been heard of for {keys.SLOT_LEASE} s",
                )
                self._campaign.settle(flight, outcome)

    def _find_lost_jobs(self, waiting: Sequence[Flight], now: float) -> None:
        """Queue again what is neither queued nor started: Redis lost it, or a slot died just after taking it."""
        campaign = self._campaign
        queued = runs.queued(campaign.connection, campaign.address.queue)
        for flight in waiting:
            if flight.ticket.job_id in queued:
                flight.limbo_since = None
            elif flight.limbo_since is None:
                flight.limbo_since = now
            elif now - flight.limbo_since > _LIMBO:
                flight.limbo_since = None
                runs.forget_popped(campaign.connection, campaign.address.queue, flight.ticket.job_id)
                self._sender.send_again(flight)
                campaign.settle(flight, RunOutcome(cause=Cause.QUEUE_LOST, message="the queue lost its job"))

    def _give_up(self, waiting: Sequence[Flight]) -> None:
        """End all runs that no worker is there for."""
        address = self._campaign.address
        message = (
            f"no worker has served the queue {address.queue!r} at {redacted(address.url)} for {address.patience:g} s; "
            "start one with `python -m oppcloud_worker`"
        )
        for flight in waiting:
            self._campaign.arrive(flight.ticket.run, RunOutcome(cause=Cause.NO_WORKER, message=message, attempt=0))
