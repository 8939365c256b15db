"""How long runs will take, and how much memory: from what earlier sessions saw, else from their siblings.

Pure: no pytest, no queue, no file. Nothing depends on an expectation but the order in which runs are taken and the
worker that takes them; so rough ones will do.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Less memory than this is not worth being set aside: there is that much for every slot.
SMALL_MEMORY = 256 * 1024**2
#: Bits that a figure of memory keeps, so that runs of about the same size are of one class in the queue.
_BITS = 5
#: Seconds that the longest run is taken to need where nothing is known of any: only the order matters then.
_UNKNOWN = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of a run when it was simulated last."""

    #: Seconds, and bytes of peak memory of its whole process tree.
    wall_time: float
    peak_memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A run that is to be simulated."""

    #: What identifies it over sessions.
    name: str
    #: Names the config that it belongs to: its siblings have the same.
    config: str
    #: Seconds of simulated time after which it ends; None where that is not known.
    sim_time: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a run is expected to take."""

    #: Seconds.
    wall_time: float
    #: Bytes that should be set aside, 0 for a small run.
    memory: int


def expect(runs: Sequence[Planned], seen: Mapping[str, Seen]) -> dict[str, Expected]:
    """Return what is expected of each of `runs`, by name.

    That is what was seen of the run itself; else of the runs of its config in this session, in proportion to the
    simulated time; else of all runs of the session, likewise. Where nothing at all was seen, runs with more simulated
    time are taken to need more.
    """
    known = [run for run in runs if run.name in seen]
    siblings: dict[str, list[Planned]] = defaultdict(list)
    for run in known:
        siblings[run.config].append(run)
    rates = {config: _Rate.of(members, seen) for config, members in siblings.items()}
    overall = _Rate.of(known, seen) if known else _Rate.guessed(runs)
    found: dict[str, Expected] = {}
    for run in runs:
        if run.name in seen:
            last = seen[run.name]
            found[run.name] = Expected(wall_time=last.wall_time, memory=memory_class(last.peak_memory))
            continue
        members = siblings.get(run.config, ())
        # What its siblings took, the largest of them, it may take as well.
        peak = max((seen[member.name].peak_memory for member in members), default=0)
        wall_time = rates.get(run.config, overall).wall_time(run)
        found[run.name] = Expected(wall_time=wall_time, memory=memory_class(peak))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rate:
    """What runs like these took."""

    #: Seconds per second of simulated time; None where no simulated time is known.
    per_second: float | None
    #: Seconds of a run whose simulated time is not known.
    typical: float

    @classmethod
    def of(cls, runs: Iterable[Planned], seen: Mapping[str, Seen]) -> _Rate:
        """Return the medians of what was seen of `runs`, at least one."""
        times = [(seen[run.name].wall_time, run.sim_time) for run in runs]
        ratios = [wall_time / sim_time for wall_time, sim_time in times if sim_time]
        return cls(
            per_second=statistics.median(ratios) if ratios else None,
            typical=statistics.median(wall_time for wall_time, _ in times),
        )

    @classmethod
    def guessed(cls, runs: Iterable[Planned]) -> _Rate:
        """Return a rate for runs of which nothing was seen."""
        longest = max((run.sim_time for run in runs if run.sim_time), default=None)
        return cls(per_second=_UNKNOWN / longest if longest else None, typical=0.0)

    def wall_time(self, run: Planned) -> float:
        """Return the seconds that `run` is expected to take."""
        if run.sim_time is None or self.per_second is None:
            return self.typical
        return self.per_second * run.sim_time


def memory_class(peak: int) -> int:
    """Return what should be set aside for a run with this peak: a little less, by 6 % at most, or 0 for a small one.

    Never more: where the run was once, it must fit again.
    """
    if peak < SMALL_MEMORY:
        return 0
    surplus = max(0, peak.bit_length() - _BITS)
    return peak >> surplus << surplus
