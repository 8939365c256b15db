"""What nobody reports: slots that died with their host, jobs that Redis lost, a queue without workers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from oppcloud_worker.address import redacted
from oppcloud_worker.messages import Cause, RunOutcome
from oppcloud_worker.remote import keys, pending, presence, rescue

from .serving import can_serve, why_not

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oppcloud_worker.remote.presence import SlotInfo
    from oppcloud_worker.ticket import Needs

    from .campaign import Campaign, Flight
    from .listening import Listener
    from .sending import Sender

#: Seconds that a run may be neither queued nor started before it counts as lost.
_LIMBO = float(keys.SLOT_LEASE)


class Watch:
    """Looks after the runs of a campaign, now and then."""

    def __init__(self, campaign: Campaign, sender: Sender, listener: Listener) -> None:
        self._campaign = campaign
        self._sender = sender
        self._listener = listener
        self._last_worker = time.monotonic()
        #: Needs of waiting runs that no worker meets, and since when.
        self._unmet_since: dict[Needs, float] = {}
        #: How many runs of the session are under way that other processes sent, as xdist has them.
        self.elsewhere = 0

    def start_waiting(self) -> None:
        """Count the time without a worker from now on."""
        self._unmet_since.clear()
        self._last_worker = time.monotonic()

    def look(self) -> None:
        """Keep the lease, and find what nobody reports."""
        campaign = self._campaign
        if campaign.owner:
            campaign.renew_lease()
            if campaign.hold is not None:
                campaign.hold.look()
            self.elsewhere = 0 if campaign.flights else self._count_elsewhere()
        waiting = [flight for flight in campaign.flights.values() if not flight.slot]
        address = campaign.address
        # In this order: what is taken meanwhile stands in two of them, and whoever took it is there.
        queued = pending.waiting(campaign.connection, address.queue, address.session) if campaign.flights else set()
        taken = pending.taken(campaign.connection, address.queue) if campaign.flights else {}
        slots = presence.present(campaign.connection, address.queue)
        now = time.monotonic()
        campaign.statistics.see(slots)
        if slots:
            self._last_worker = now
        self._find_dead_slots(slots)
        for flight in list(campaign.flights.values()):
            holder = taken.get(flight.ticket.job_id)
            if holder is not None and holder not in slots:
                campaign.settle(flight, RunOutcome(cause=Cause.WORKER_LOST, message=rescue.dead_slot(holder)))
            elif flight.ticket.job_id in queued or holder is not None or not self._sender.is_responsible(flight):
                flight.limbo_since = None
            else:
                self._miss(flight, now)
        if not address.detaching:
            self._find_unservable(waiting, slots, now)
        trouble = address.trouble()
        if trouble:
            campaign.lose_all(Cause.QUEUE_LOST, f"the queue was lost: {trouble}")

    def _count_elsewhere(self) -> int:
        campaign = self._campaign
        queued = pending.waiting(campaign.connection, campaign.address.queue, campaign.address.session)
        return len(queued) + len(self._listener.running)

    def _find_dead_slots(self, slots: dict[str, SlotInfo]) -> None:
        """Hand back the runs of slots that have not been heard of for the time of their lease."""
        for flight in list(self._campaign.flights.values()):
            if flight.slot and flight.slot not in slots:
                message = rescue.dead_slot(flight.slot)
                self._campaign.settle(flight, RunOutcome(cause=Cause.WORKER_LOST, message=message))

    def _miss(self, flight: Flight, now: float) -> None:
        """Queue again what is neither waiting nor taken for a while: Redis lost it, or it was stopped as unwanted."""
        if flight.limbo_since is None:
            flight.limbo_since = now
        elif now - flight.limbo_since > _LIMBO:
            flight.limbo_since = None
            self._sender.send_again(flight)
            self._campaign.settle(flight, RunOutcome(cause=Cause.QUEUE_LOST, message="the queue lost its job"))

    def _find_unservable(self, waiting: Sequence[Flight], slots: dict[str, SlotInfo], now: float) -> None:
        """End runs that no worker there can take, after the time that one may need to appear."""
        address = self._campaign.address
        wanted = {flight.ticket.needs for flight in waiting}
        unmet = {needs for needs in wanted if not can_serve(needs, slots.values())}
        since = now if slots else self._last_worker
        self._unmet_since = {needs: self._unmet_since.get(needs, since) for needs in unmet}
        for flight in waiting:
            needs = flight.ticket.needs
            if needs in unmet and now - self._unmet_since[needs] > address.patience:
                outcome = RunOutcome(cause=Cause.NO_WORKER, message=self._no_worker(needs, slots), attempt=0)
                self._campaign.arrive(flight.ticket.run, outcome)

    def _no_worker(self, needs: Needs, slots: dict[str, SlotInfo]) -> str:
        """Return what people are told of a run that no worker can take."""
        address = self._campaign.address
        where = f"the queue {address.queue!r} at {redacted(address.url)}"
        if slots:
            return f"no worker of {where} could take it for {address.patience:g} s: {why_not(needs, slots.values())}"
        return f"no worker has served {where} for {address.patience:g} s; start one with `python -m oppcloud_worker`"
