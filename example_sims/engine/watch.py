"""Clocks and signals: how long a simulation runs, how fast, and whether somebody wants it to end.

Standard library only. Rules: OMNeT++ 6.1, src/envir/stopwatch.cc, speedometer.cc and src/cmdenv/cmdenv.cc.
"""

from __future__ import annotations

import math
import signal
import time
from typing import TYPE_CHECKING

from .simtime import seconds

if TYPE_CHECKING:
    import types

#: Readings over less than this many seconds would mislead.
_SHORTEST_INTERVAL = 0.01


class Stopwatch:
    """Wall-clock and CPU time since the start, and the limits for them."""

    def __init__(self, cpu_limit: float | None, real_limit: float | None) -> None:
        self._cpu_limit = cpu_limit
        self._real_limit = real_limit
        self.start()

    def start(self) -> None:
        """Begin to count."""
        self._real_start = time.monotonic()
        self._cpu_start = time.process_time()

    @property
    def elapsed(self) -> float:
        """Seconds on the wall clock, to the microsecond."""
        return round(time.monotonic() - self._real_start, 6)

    @property
    def has_limits(self) -> bool:
        """Tell whether there is a limit."""
        return self._cpu_limit is not None or self._real_limit is not None

    def reason_to_stop(self) -> str:
        """Return what to say when a limit is reached, "" as long as none is."""
        if self._real_limit is not None and self.elapsed >= self._real_limit:
            return "Realtime limit reached"
        if self._cpu_limit is not None and time.process_time() - self._cpu_start >= self._cpu_limit:
            return "CPU time limit reached"
        return ""

    def progress(self) -> float:
        """Return how much of the limits is used up: 0 to 1, or -1 without limits."""
        ratios = [-1.0]
        if self._real_limit:
            ratios.append(self.elapsed / self._real_limit)
        if self._cpu_limit:
            ratios.append((time.process_time() - self._cpu_start) / self._cpu_limit)
        return max(ratios)


class Speedometer:
    """How fast a simulation runs, from one reading to the next."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._event = 0
        self._now = 0

    def read(self, event: int, now: int) -> tuple[float, float, float]:
        """Return events per second, simulated seconds per second, events per simulated second."""
        interval = time.monotonic() - self._since
        events, simulated = event - self._event, seconds(now - self._now)
        self._since, self._event, self._now = self._since + interval, event, now
        if interval < _SHORTEST_INTERVAL or not events:
            return 0.0, 0.0, 0.0
        return events / interval, simulated / interval, events / simulated if simulated else 0.0


def duration_text(duration: float) -> str:
    """Write wall-clock seconds as status lines show them: "0.2003s (0m 00s)"."""
    whole = math.floor(duration)
    if duration < 3600:
        return f"{duration:g}s ({whole // 60}m {whole % 60:02d}s)"
    if duration < 86400:
        return f"{duration:g}s ({whole // 3600}h {whole % 3600 // 60:02d}m)"
    return f"{duration:g}s ({whole // 86400}d {whole % 86400 // 3600:02d}h)"


class Interruption:
    """Whether SIGINT or SIGTERM came while events were executed; outside of that they end the process at once."""

    def __init__(self) -> None:
        self.received = False

    def watch(self) -> None:
        """Begin to note signals."""
        self.received = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: types.FrameType | None) -> None:
        self.received = True


def end_at_signals() -> None:
    """Let SIGINT and SIGTERM end the process as they end a C++ program, without a traceback."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
