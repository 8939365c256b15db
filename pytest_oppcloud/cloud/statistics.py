"""What a session did, counted from its events; the text of it is a pure function."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oppcloud_worker.messages import Cause
from oppcloud_worker.remote import events

from .expectation import Seen
from .tail import duration, tail_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oppcloud_worker.remote.events import Event
    from oppcloud_worker.remote.presence import SlotInfo


#: What the names of those runs begin with that are builds.
BUILD = "build_"
#: Ends that tell how long a run takes.
_TELLING = frozenset({Cause.COMPLETED.name, Cause.TIMEOUT.name})

#: Share of the slots' time that the last runs may cost without a word, and seconds that they may go on.
_WORTH_TELLING, _SHORT = 0.05, 10.0
#: Seconds within which events count as having come together.
_TOGETHER = 0.5


@dataclass(slots=True, kw_only=True)
class Statistics:
    """Counts of one session."""

    finished: int = 0
    #: Attempts that came to nothing, by cause.
    lost: Counter[str] = field(default_factory=Counter)
    #: Seconds that simulations took, and that slots were busy with them.
    wall_time: float = 0.0
    busy_time: float = 0.0
    #: Slots that ran something, and the workers that served the queue: slot name -> worker name.
    used_slots: set[str] = field(default_factory=set)
    workers: dict[str, str] = field(default_factory=dict)
    #: When the first run started and the last one finished (by the clock of Redis).
    first_start: float | None = None
    last_end: float | None = None
    #: When the last run started, and when each slot ended its last one (by the same clock).
    last_start: float = 0.0
    slot_ends: dict[str, float] = field(default_factory=dict)
    #: All runs that anything was heard of.
    seen_runs: set[str] = field(default_factory=set)
    #: What was built for the runs, where and in what time.
    built: list[str] = field(default_factory=list)
    #: What was seen of each run that was simulated to its end or its time limit, by its name over sessions.
    seen: dict[str, Seen] = field(default_factory=dict)
    #: Outcomes of attempts that had been given up, after the run had been judged by another: of no effect.
    late: set[tuple[str, int]] = field(default_factory=set)
    #: The attempt that each run was judged by.
    _settled: dict[str, int] = field(default_factory=dict)

    def note(self, event: Event) -> None:
        """Count an event."""
        # By the clock of Redis, so that those of a session of before are told apart as well.
        now = event.time
        self.seen_runs.add(event.run)
        if event.kind == events.REQUEUED:
            self.lost[event.cause] += 1
        if event.run.startswith(BUILD):
            return
        if event.slot:
            self.used_slots.add(event.slot)
        if event.kind == events.STARTED:
            self.last_start = now
            self.first_start = now if self.first_start is None else self.first_start
        elif event.kind == events.FINISHED and event.run not in self._settled:
            self._settled[event.run] = event.attempt
            self.finished += 1
            self.wall_time += event.wall_time
            self.busy_time += event.busy_time
            self.last_end = now
            if event.slot:
                self.slot_ends[event.slot] = now
            # Not signed: what cannot be is left out.
            if event.cause in _TELLING and 0 <= event.wall_time < math.inf and event.peak_memory >= 0:
                name = event.run.rpartition("_")[0]
                self.seen[name] = Seen(wall_time=event.wall_time, peak_memory=event.peak_memory)
        elif event.kind == events.FINISHED and event.attempt != self._settled[event.run]:
            self.late.add((event.run, event.attempt))

    def see(self, slots: Mapping[str, SlotInfo]) -> None:
        """Note which slots are there."""
        self.workers.update({name: info.worker for name, info in slots.items()})

    def lines(self) -> list[str]:
        """Return the lines of the summary."""
        if not self.finished:
            return []
        slots = len(self.used_slots)
        text = f"{_count(self.finished, 'run')} on {_count(slots, 'slot')} of {_count(self._workers(), 'worker')}"
        if self.first_start is not None and self.last_end is not None and self.last_end > self.first_start and slots:
            elapsed = self.last_end - self.first_start
            share = self.wall_time / (elapsed * slots)
            text += (
                f"; simulated for {self.wall_time:.1f} s in {elapsed:.1f} s "
                f"({min(share, 1.0):.0%} of the slots' time, {1000 * self._overhead():.1f} ms per run beside it)"
            )
        # Runs whose program could not be had ended here, on no slot.
        result = [*([text] if slots else []), *(f"built {what}" for what in self.built), *self._tail(slots)]
        if self.lost:
            causes = ", ".join(f"{count} x {_cause(name)}" for name, count in self.lost.most_common())
            lost = sum(self.lost.values())
            result.append(
                f"{_count(lost, 'attempt')} came to nothing and {'was' if lost == 1 else 'were'} repeated: {causes}"
            )
        if self.late:
            result.append(
                f"{_count(len(self.late), 'result')} came late, from workers that had not been heard of, and "
                f"{'was' if len(self.late) == 1 else 'were'} left unused"
            )
        return result

    def _tail(self, slots: int) -> list[str]:
        """Return a line about the last runs if they cost a share of the slots' time that matters."""
        # A slot that ended its last run before the last one started was gone, or not fit for what was left.
        tail = tail_of(end for end in self.slot_ends.values() if end >= self.last_start - _TOGETHER)
        if tail is None or self.first_start is None or self.last_end is None:
            return []
        share = tail.cost / max((self.last_end - self.first_start) * slots, 1e-9)
        if share < _WORTH_TELLING or tail.seconds < _SHORT:
            return []
        which = "the last run" if tail.runs == 1 else f"the last {tail.runs} runs"
        return [f"{which} kept {_count(tail.idle, 'slot')} idle for {duration(tail.seconds)}: {share:.0%} of all time"]

    def _workers(self) -> int:
        return len({self.workers.get(slot, slot.rpartition("-")[0]) for slot in self.used_slots})

    def _overhead(self) -> float:
        """Return the seconds per run that a slot was busy with anything but the simulation."""
        return max(0.0, self.busy_time - self.wall_time) / self.finished


def _cause(name: str) -> str:
    return Cause[name].text if name in Cause.__members__ else name


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
