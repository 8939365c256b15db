"""What a session does at the moment, put together from its events.

Knows no terminal and no Redis: events go in, a frozen picture of the moment comes out. The dispatcher's thread tells,
another one asks; a lock is all they share.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oppcloud_worker.remote import events

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from oppcloud_worker.progress import Progress
    from oppcloud_worker.remote.events import Event
    from oppcloud_worker.remote.presence import SlotInfo

#: Blocks of console output that wait to be shown; who cannot keep up misses the oldest.
_BLOCKS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRun:
    """A run that is being simulated."""

    name: str
    #: Seconds since it was taken.
    elapsed: float
    #: What OMNeT++ told last, and estimated seconds until the end; None where it is not known.
    progress: Progress | None = None
    left: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a session does at one moment."""

    #: Runs that were ordered here; 0 where another process orders them.
    ordered: int = 0
    #: Runs that wait for a slot, those with an outcome, and those whose outcome has come here.
    waiting: int = 0
    finished: int = 0
    fetched: int = 0
    #: Those that are simulated, the longest first.
    running: tuple[RunningRun, ...] = ()
    #: Who serves the queue.
    workers: int = 0
    slots: int = 0
    #: Stages on the way to the queue, in their order: name, what is done of it, and all of it.
    stages: tuple[tuple[str, int, int], ...] = ()
    #: Estimated seconds until the last run has finished, None where it is not known.
    left: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some of the console output of a run."""

    name: str
    text: str


@dataclass(slots=True, kw_only=True)
class _Run:
    name: str
    #: Seconds that it was expected to take, 0 where nobody knows.
    expected: float = 0.0
    #: The attempt that runs, 0 while it waits; when it began, and when it was heard of last (of the board's clock).
    attempt: int = 0
    since: float = 0.0
    told: float = 0.0
    progress: Progress | None = None
    finished: bool = False
    fetched: bool = False


@dataclass(slots=True, kw_only=True)
class Board:
    """Where everything is noted that happens to the runs of a session."""

    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _runs: dict[str, _Run] = field(default_factory=dict)
    _ordered: int = 0
    _slots: Mapping[str, SlotInfo] = field(default_factory=dict)
    _stages: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: Runs, and what they printed.
    _output: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=_BLOCKS))
    #: Seconds that finished runs took, and were expected to take, as far as both are known.
    _took: float = 0.0
    _took_count: int = 0
    _compared: float = 0.0
    _expected: float = 0.0

    def order(self, run: str, name: str, expected: float = 0.0) -> None:
        """Note that a run is to be simulated."""
        with self._lock:
            self._ordered += run not in self._runs
            self._runs[run] = _Run(name=name, expected=expected)

    def stage(self, name: str, done: int, total: int) -> None:
        """Note how far a stage on the way to the queue is: "bundle", "build"."""
        with self._lock:
            self._stages[name] = done, total

    def see(self, slots: Mapping[str, SlotInfo]) -> None:
        """Note who serves the queue."""
        with self._lock:
            self._slots = dict(slots)

    def fetch(self, run: str) -> None:
        """Note that an outcome has come, whoever made it."""
        with self._lock:
            known = self._runs.get(run)
            if known is not None:
                known.finished = known.fetched = True

    def note(self, event: Event) -> None:
        """Note an event."""
        with self._lock:
            run = self._runs.setdefault(event.run, _Run(name=event.name or event.run))
            if event.kind == events.STARTED:
                run.name = event.name or run.name
                run.attempt, run.since, run.told, run.progress = event.attempt, self.clock(), 0.0, None
            elif event.kind == events.PROGRESS and event.attempt == run.attempt:
                run.progress, run.told = event.progress, self.clock()
            elif event.kind == events.REQUEUED and event.attempt >= run.attempt:
                run.attempt = 0
            elif event.kind == events.FINISHED and not run.finished:
                run.finished = True
                self._took += event.wall_time
                self._took_count += 1
                if run.expected:
                    self._compared += event.wall_time
                    self._expected += run.expected
            elif event.kind == events.OUTPUT:
                self._output.append((event.run, event.message))

    def take_output(self) -> list[Block]:
        """Return the console output that nobody has been given yet."""
        with self._lock:
            # Only now: output may come before the start of its run is told.
            blocks = [Block(name=self._runs[run].name, text=text) for run, text in self._output]
            self._output.clear()
            return blocks

    def moment(self) -> Moment:
        """Return what is going on now."""
        with self._lock:
            now = self.clock()
            open_runs = [run for run in self._runs.values() if not run.finished]
            running = sorted((run for run in open_runs if run.attempt), key=lambda run: run.since)
            waiting = [run for run in open_runs if not run.attempt]
            shown = tuple(self._shown(run, now) for run in running)
            return Moment(
                ordered=self._ordered,
                waiting=len(waiting),
                finished=len(self._runs) - len(open_runs),
                fetched=sum(run.fetched for run in self._runs.values()),
                running=shown,
                workers=len({info.worker for info in self._slots.values()}),
                slots=len(self._slots),
                stages=tuple((name, done, total) for name, (done, total) in self._stages.items()),
                left=self._left(shown, waiting),
            )

    def _shown(self, run: _Run, now: float) -> RunningRun:
        left = _left_of(run, now)
        if left is None and (guess := self._guess(run)) is not None:
            left = max(0.0, guess - (now - run.since))
        return RunningRun(name=run.name, elapsed=now - run.since, progress=run.progress, left=left)

    def _guess(self, run: _Run) -> float | None:
        """Return the seconds that a run may take: as expected, if others took what was expected, else as others."""
        if run.expected:
            return run.expected * (self._compared / self._expected if self._expected else 1.0)
        return self._took / self._took_count if self._took_count else None

    def _left(self, running: tuple[RunningRun, ...], waiting: list[_Run]) -> float | None:
        """Return the seconds until all is done, if the slots that we have now stay ours."""
        totals = [run.elapsed + run.left for run in running if run.left is not None]
        like_others = sum(totals) / len(totals) if totals else None
        times = [run.left if run.left is not None else like_others for run in running]
        guesses = [self._guess(run) for run in waiting]
        times += [like_others if guess is None else guess for guess in guesses]
        known = [time for time in times if time is not None]
        if not times or len(known) < len(times):
            return None
        at_once = max(1, len(running)) if waiting else len(times)
        return max(*known, sum(known) / at_once)


def _left_of(run: _Run, now: float) -> float | None:
    """Return the seconds that a run needs by its own account: as long per percent as until now."""
    progress = run.progress
    if progress is None or progress.percent < 1:
        return None
    simulated = progress.elapsed or run.told - run.since
    return max(0.0, simulated * (100 - progress.percent) / progress.percent - (now - run.told))
