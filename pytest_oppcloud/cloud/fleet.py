"""How many instances a campaign deserves: pure arithmetic.

An instance is worth starting if it saves people waiting and is not idle for most of its life: it takes two minutes
until it works, and those are paid for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Seconds after which a campaign should be done, if that can be had: about what people wait for.
PATIENCE = 600.0
#: What a run is taken to last when nobody knows, in seconds.
GUESS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is still to be done."""

    #: Runs that wait or are at work.
    runs: int
    #: Seconds of one core that all of them together will take; None if nobody knows.
    seconds: float | None = None
    #: Seconds of the longest of them; None if nobody knows.
    longest: float | None = None
    #: How many of the runs nobody is at work on; None if nobody knows.
    waiting: int | None = None
    #: Instances whose workers have nothing to do, for whomever.
    idle: frozenset[str] = frozenset()

    @property
    def at_the_tail(self) -> bool:
        """Whether all runs that are left are at work, so that nobody needs another instance."""
        return self.runs > 0 and self.waiting == 0


def deserved(demand: Demand, *, slots: int, maximum: int, patience: float = PATIENCE) -> int:
    """Return how many instances with so many slots each the demand deserves, at most `maximum`.

    As few as get it done within `patience` seconds, but never more than there are runs to fill, and none for nothing.
    The longest run cannot be divided: where it takes longer than our patience, the others may take as long, too.
    """
    if demand.runs <= 0 or maximum <= 0:
        return 0
    seconds = GUESS * demand.runs if demand.seconds is None else max(demand.seconds, 0.0)
    target = max(patience, demand.longest or 0.0)
    by_work = math.ceil(min(seconds / (slots * target), maximum))
    by_runs = math.ceil(demand.runs / slots)
    return max(1, min(by_work, by_runs, maximum))


def wanted(demand: Demand, *, present: int, slots: int, maximum: int, patience: float = PATIENCE) -> int:
    """Return how many instances to have now, where `present` are there or on their way.

    The number grows with the demand and does not shrink until nothing is left: which of the instances an Auto Scaling
    group would end is its own choice, and it might be one at work. Those that have become idle are ended by name.
    """
    count = 0 if demand.at_the_tail else deserved(demand, slots=slots, maximum=maximum, patience=patience)
    return 0 if demand.runs <= 0 else min(max(count, present), maximum)
