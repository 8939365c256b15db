"""How far a simulation is, read from the status lines that OMNeT++ writes on its console while it runs.

Standard library only, no I/O. The lines are those of `Cmdenv::doStatusUpdate` and `Cmdenv::printEventBanner` in
`src/cmdenv/cmdenv.cc`; OMNeT++ 6.1 writes one every `cmdenv-status-frequency` (2 s by default) in express mode, and
one for each event otherwise. The percentage is missing where the run has no limit, and before 6.0 in the banners of
events. A model may print such lines, too; nothing follows from them but what people are shown.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_MARK = b"\n** Event #"
#: Bytes that a status line and the line of its speed take at most, module path included.
_LONGEST = 1024
_STATUS = re.compile(
    rb"\n\*\* Event #(?P<event>\d{1,18}) +t=(?P<time>[-+.\de]{1,40})"
    rb"(?: +Elapsed: (?P<elapsed>[-+.\de]{1,30})s \([^)\n]*\))?"
    rb"(?: +(?P<percent>\d{1,3})% completed +\(\d{1,3}% total\))?"
    rb"(?: +ev/sec=(?P<speed>[-+.\de]{1,30}))?[^\n]*\n(?: +Speed: +ev/sec=(?P<next_speed>[-+.\de]{1,30}) [^\n]*\n)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a simulation was when it last told."""

    event: int
    #: Simulated seconds, as OMNeT++ wrote them.
    sim_time: str
    #: Seconds since the event loop began, 0 where OMNeT++ does not tell.
    elapsed: float = 0.0
    #: Of its simulated time or another limit; -1 where it has none.
    percent: int = -1
    #: Events per second of wall-clock time lately, 0 where OMNeT++ does not tell.
    speed: float = 0.0


class ProgressReader:
    """Takes console output piece by piece, and knows the last status line in it.

    Nothing is parsed before somebody asks: a model may print much.
    """

    def __init__(self) -> None:
        #: The end of what came, for a line that is cut in two.
        self._rest = b"\n"
        self._found = b""
        self._last: Progress | None = None

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        window = self._rest + data
        place = window.rfind(_MARK)
        if place >= 0:
            # A line that is not whole yet must not hide the one before.
            if window.find(b"\n", place + 1) < 0:
                before = window.rfind(_MARK, 0, place)
                place = before if before >= 0 else place
            self._found = window[place : place + _LONGEST]
        self._rest = window[-_LONGEST:]

    @property
    def progress(self) -> Progress | None:
        """What the last whole status line says; None before the first one."""
        if self._found:
            self._last = read_status(self._found) or self._last
            self._found = b""
        return self._last


def read_status(text: bytes) -> Progress | None:
    """Read the first status line of `text`, which begins with the end of the line before; None where there is none."""
    match = _STATUS.search(text)
    if match is None:
        return None
    return Progress(
        event=int(match["event"]),
        sim_time=match["time"].decode("ascii"),
        elapsed=_number(match["elapsed"]),
        percent=-1 if match["percent"] is None else min(100, int(match["percent"])),
        speed=_number(match["next_speed"] or match["speed"]),
    )


def _number(text: bytes | None) -> float:
    """Return a number that is finite and not negative; 0 for anything else."""
    try:
        number = float(text or 0)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0
