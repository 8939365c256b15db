"""What the last runs of a campaign cost: slots that had nothing left to do while these went on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The end of a campaign: some runs went on, and slots were idle meanwhile."""

    #: How many of either, and for how many seconds.
    runs: int
    idle: int
    seconds: float

    @property
    def cost(self) -> float:
        """Seconds of slots that were lost."""
        return self.idle * self.seconds


def tail_of(ends: Iterable[float]) -> Tail | None:
    """Return the tail that cost most; `ends` are the times at which each slot ended its last run."""
    order = sorted(ends)
    tails = [
        Tail(runs=len(order) - index, idle=index, seconds=order[-1] - order[index - 1])
        for index in range(1, len(order))
    ]
    return max(tails, key=lambda tail: tail.cost, default=None)


def duration(seconds: float) -> str:
    """Return a time for people: "0.4 s", "42 s", "6 min", "2.5 h"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
