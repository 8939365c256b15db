"""What nobody reports: slots that died with their host, jobs that Redis lost, a queue without workers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from oppcloud_worker.address import redacted
from oppcloud_worker.messages import Cause, RunOutcome
from oppcloud_worker.remote import keys, pending, presence, rescue
from oppcloud_worker.remote.connection import as_text
from oppcloud_worker.ticket import Kind

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
#: Attempts of a run that came to nothing without any fault of the run, before those that Redis lost count as well: one
#: that throws away what it was given, for want of memory perhaps, would do so for ever.
_FORGIVEN = 20


class Watch:
    """Looks after the runs of a campaign, now and then."""

    def __init__(self, campaign: Campaign, sender: Sender, listener: Listener) -> None:
        self._campaign = campaign
        self._sender = sender
        self._listener = listener
        self._began = time.monotonic()
        #: By queue: when a worker was seen there.
        self._last_worker: dict[str, float] = {}
        #: Needs of runs that wait in a queue and no worker of it meets, and since when.
        self._unmet_since: dict[tuple[str, Needs], float] = {}

    def start_waiting(self) -> None:
        """Count the time without a worker from now on."""
        self._unmet_since.clear()
        self._last_worker.clear()
        self._began = time.monotonic()

    def look(self) -> None:
        """Keep the lease, and find what nobody reports."""
        campaign = self._campaign
        if campaign.owner:
            campaign.renew_lease()
            if campaign.hold is not None:
                campaign.hold.look()
        waiting = [flight for flight in campaign.flights.values() if not flight.slot]
        address = campaign.address
        # In this order: what is taken meanwhile stands in two of them, and whoever took it is there.
        queues = campaign.queues
        queued, taken = set[str](), dict[str, str]()
        for name in queues if waiting else ():
            queued |= pending.waiting(campaign.connection, name, address.session)
            taken |= pending.taken(campaign.connection, name)
        serving = {name: presence.present(campaign.connection, name) for name in queues}
        slots = {name: info for found in serving.values() for name, info in found.items()}
        now = time.monotonic()
        campaign.statistics.see(slots)
        self._last_worker.update((name, now) for name in queues if serving[name])
        campaign.board.see(slots)
        self._find_dead_slots(slots)
        self._find_forgotten_runs(slots, now)
        # What slots say themselves, as Redis may have forgotten what they took.
        busy = {info.job: name for name, info in slots.items()}
        for flight in waiting:
            holder = taken.get(flight.ticket.job_id) or busy.get(flight.ticket.job_id)
            if holder is not None and holder not in slots:
                campaign.settle(flight, RunOutcome(cause=Cause.WORKER_LOST, message=rescue.dead_slot(holder)))
            elif flight.ticket.job_id in queued or holder is not None or not self._sender.is_responsible(flight):
                flight.limbo_since = None
            else:
                self._miss(flight, now)
        if address.detaching:
            # Those that are queued may wait for a worker when pytest is gone.
            waiting = [flight for flight in waiting if flight.held or flight.ticket.kind is Kind.BUILD]
        self._find_unservable(waiting, serving, now)
        trouble = address.trouble()
        if trouble:
            campaign.lose_all(Cause.QUEUE_LOST, f"the queue was lost: {trouble}")
        objection = self._objection()
        if objection:
            campaign.lose_all(Cause.STOPPED, objection)

    def _objection(self) -> str:
        """Return why no more may be run; the owner of the session tells its other processes."""
        campaign = self._campaign
        key = keys.objection(campaign.address.session)
        if not campaign.owner:
            return as_text(campaign.connection.get(key) or b"")
        objection = campaign.address.objection()
        if objection:
            campaign.connection.set(key, objection, ex=keys.SESSION_DATA)
        return objection

    def _find_dead_slots(self, slots: dict[str, SlotInfo]) -> None:
        """Hand back the runs of slots that have not been heard of for the time of their lease."""
        for flight in list(self._campaign.flights.values()):
            if flight.slot and flight.slot not in slots and not flight.held:
                message = rescue.dead_slot(flight.slot)
                self._campaign.settle(flight, RunOutcome(cause=Cause.WORKER_LOST, message=message))

    def _find_forgotten_runs(self, slots: dict[str, SlotInfo], now: float) -> None:
        """Look after the runs of slots that live, but are busy with something else: Redis lost how they ended."""
        for flight in list(self._campaign.flights.values()):
            info = slots.get(flight.slot)
            if info is None or flight.held:
                continue
            if info.job == flight.ticket.job_id:
                flight.limbo_since = None
            else:
                self._miss(flight, now)

    def _miss(self, flight: Flight, now: float) -> None:
        """Queue again what has been missing for a while, unless there is an outcome that nobody told of."""
        if flight.limbo_since is None:
            flight.limbo_since = now
        elif now - flight.limbo_since > _LIMBO:
            flight.limbo_since = None
            campaign, ticket = self._campaign, flight.ticket
            self._listener.deliver([ticket.run])
            if ticket.run in campaign.flights:
                self._sender.send_again(flight)
                self._queue_again(flight)

    def _queue_again(self, flight: Flight) -> None:
        """Queue the next attempt; what Redis lost is no fault of the run, unless there is no end of it."""
        message, ticket = "the queue lost its job", flight.ticket
        if ticket.attempt - ticket.losses > _FORGIVEN:
            self._campaign.settle(flight, RunOutcome(cause=Cause.QUEUE_LOST, message=message))
        else:
            self._campaign.hand_back(flight, Cause.QUEUE_LOST, message)

    def _find_unservable(self, waiting: Sequence[Flight], serving: dict[str, dict[str, SlotInfo]], now: float) -> None:
        """End runs that no worker of their queue can take, after the time that one may need to appear."""
        address = self._campaign.address
        wanted = {(flight.ticket.queue, flight.ticket.needs) for flight in waiting}
        unmet = [(name, needs) for name, needs in wanted if not can_serve(needs, serving[name].values())]
        self._unmet_since = {
            (name, needs): self._unmet_since.get(
                (name, needs), now if serving[name] else self._last_worker.get(name, self._began)
            )
            for name, needs in unmet
        }
        for flight in waiting:
            name, needs = flight.ticket.queue, flight.ticket.needs
            if now - self._unmet_since.get((name, needs), now) > address.patience:
                message = self._no_worker(name, needs, serving[name])
                outcome = RunOutcome(cause=Cause.NO_WORKER, message=message, attempt=0)
                self._campaign.arrive(flight.ticket.run, outcome)

    def _no_worker(self, name: str, needs: Needs, slots: dict[str, SlotInfo]) -> str:
        """Return what people are told of a run that no worker of the queue `name` can take."""
        address = self._campaign.address
        where = f"the queue {name!r} at {redacted(address.url)}"
        if slots:
            return f"no worker of {where} could take it for {address.patience:g} s: {why_not(needs, slots.values())}"
        return f"no worker has served {where} for {address.patience:g} s; start one with `python -m oppcloud_worker`"
