"""What comes back: the session's events, the outcomes that they announce, and the result files of these."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from oppcloud_worker.messages import Cause
from oppcloud_worker.remote import events, runs
from oppcloud_worker.remote.results import EMPTY

from .campaign import Start
from .holding import SessionTakenError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oppcloud_worker.messages import RunOutcome
    from oppcloud_worker.remote.events import Event
    from oppcloud_worker.ticket import Ticket

    from .campaign import Campaign, Flight
    from .sending import Sender

#: Outcomes that are fetched in one go.
_CHUNK = 100


class Listener:
    """Takes in the events of a campaign."""

    def __init__(self, campaign: Campaign, sender: Sender) -> None:
        self._campaign = campaign
        self._sender = sender
        self._reader = events.EventReader(campaign.connection, campaign.address.session)
        self._quiet = False
        #: What has been read and is still to be taken in, and the runs that have ended and are still to be fetched: the
        #: reader does not read it again, if Redis goes away meanwhile.
        self._came: deque[Event] = deque()
        self._finished: dict[str, None] = {}
        #: Attempts that follow others, and why: people are told of them together.
        self._again: list[tuple[Ticket, Event]] = []
        #: Slots and job ids of runs that are being simulated, those of other processes of the session included.
        self.running: dict[str, tuple[str, str]] = {}
        #: Digests of the result files in the store, by run, that nobody has taken or discarded. The session's thread
        #: uses it, too: with single operations only.
        self.result_files: dict[str, list[str]] = {}

    def listen(self, timeout: float) -> bool:
        """Take in what has come, waiting up to `timeout` seconds for it; return whether there was anything."""
        self._came.extend(self._reader.read(timeout if not self._finished else 0.001))
        busy = bool(self._came)
        while self._came:
            event = self._came.popleft()
            if self._note(event):
                self._finished[event.run] = None
        self._tell_attempts()
        self.deliver(list(self._finished))
        self._finished.clear()
        return busy

    def replay(self, ordered: Sequence[str]) -> None:
        """Take in what became of runs that were submitted before; nobody needs to hear of each attempt again."""
        self._quiet = True
        try:
            self.catch_up()
        finally:
            self._quiet = False
        # Outcomes are kept longer than events.
        for start in range(0, len(ordered), _CHUNK):
            self.deliver([run for run in ordered[start : start + _CHUNK] if run in self._campaign.flights])

    def catch_up(self) -> None:
        """Take in all events that have come until now."""
        while self.listen(0.001):
            pass

    def _note(self, event: Event) -> bool:
        """Take in an event; return whether it says that a run has an outcome."""
        campaign = self._campaign
        campaign.statistics.note(event)
        campaign.board.note(event)
        flight = campaign.flights.get(event.run)
        if event.kind == events.STARTED:
            self.running[event.run] = event.slot, f"{campaign.address.session}-{event.run}-{event.attempt}"
        elif event.kind in {events.REQUEUED, events.FINISHED}:
            self.running.pop(event.run, None)
        if flight is None:
            return False
        if event.kind == events.STARTED and event.attempt >= flight.ticket.attempt:
            flight.slot, flight.limbo_since = event.slot, None
            campaign.arrivals.put(Start(run=event.run, slot=event.slot))
        elif event.kind == events.REQUEUED and event.attempt == flight.ticket.attempt:
            self._note_next_attempt(flight, event)
        return event.kind == events.FINISHED

    def _note_next_attempt(self, flight: Flight, event: Event) -> None:
        # What the event says is not signed; a figure that cannot be is left out.
        memory = event.needs_memory if 0 <= event.needs_memory < 2**60 else None
        counts = event.losses > flight.ticket.losses
        flight.ticket = flight.ticket.again(counted=event.cause if counts else "", memory=memory)
        flight.slot, flight.limbo_since = "", None
        if event.cause == Cause.CONTENT_MISSING.name:
            self._sender.send_again(flight, anew=True)
        if not self._quiet:
            self._again.append((flight.ticket, event))

    def _tell_attempts(self) -> None:
        """Tell people which runs are attempted again: those that have the same reason in one line."""
        by_reason: dict[str, list[Ticket]] = {}
        for ticket, event in self._again:
            by_reason.setdefault(_reason(event), []).append(ticket)
        self._again.clear()
        for reason, (first, *others) in by_reason.items():
            if others:
                more = f"{len(others):,} more run{'' if len(others) == 1 else 's'}"
                what = f"{first.request.name} and {more}: another attempt"
            else:
                what = f"{first.request.name}: attempt {first.attempt}"
            self._campaign.notify(f"oppcloud: {what} after {reason}")

    def deliver(self, finished: Sequence[str]) -> None:
        """Fetch outcomes; a run whose outcome is gone again stays under way."""
        campaign = self._campaign
        address = campaign.address
        for run, outcome in runs.outcomes(campaign.connection, address.session, finished, key=address.key).items():
            flight = campaign.flights.get(run)
            if outcome.attempt == 0 and flight is not None:
                # Damaged or forged: whoever wrote it must not keep the right one away.
                runs.discard_damaged(campaign.connection, address.session, run, key=address.key)
                campaign.settle(flight, outcome)
                continue
            digests = [file.digest for file in outcome.files if file.digest not in {"", EMPTY}]
            if digests:
                self.result_files[run] = digests
            campaign.arrive(run, self._explained(outcome))

    def _explained(self, outcome: RunOutcome) -> RunOutcome:
        """Return the outcome, one of a run that was stopped with who did so: the worker does not know."""
        hold = self._campaign.hold
        if outcome.cause is Cause.STOPPED and hold is not None:
            try:
                hold.renew()
            except SessionTakenError as error:
                return replace(outcome, message=f"{outcome.message}: {error}")
        return outcome


def _reason(event: Event) -> str:
    cause = Cause[event.cause].text if event.cause in Cause.__members__ else event.cause
    return f"{cause} ({event.message})"
