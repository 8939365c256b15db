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

from .statistics import BUILD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from oppcloud_worker.progress import Progress
    from oppcloud_worker.remote.events import Event
    from oppcloud_worker.remote.presence import SlotInfo

#: Blocks of console output that wait to be shown; who cannot keep up misses the oldest.
_BLOCKS = 1000
#: Runs that may wait for the longest of them to be looked for.
_FEW = 200


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

    #: Runs that were ordered, as far as it is known here; 0 before any was.
    ordered: int = 0
    #: Runs that wait for a slot, those with an outcome, and those whose outcome has come here.
    waiting: int = 0
    finished: int = 0
    fetched: int = 0
    #: Those that are simulated, the longest first.
    running: tuple[RunningRun, ...] = ()
    #: Programs that are being built.
    building: tuple[RunningRun, ...] = ()
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
    #: Whether it counts among those that were ordered.
    ordered: bool = False
    #: The attempt that runs or ran last; when it began, and when it was heard of last (of the board's clock).
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
    #: All runs, and those of them that wait and that run. A moment is asked for often: it looks at few runs only.
    _runs: dict[str, _Run] = field(default_factory=dict)
    _waiting: dict[str, _Run] = field(default_factory=dict)
    _running: dict[str, _Run] = field(default_factory=dict)
    #: Programs that workers build for this session.
    _builds: dict[str, _Run] = field(default_factory=dict)
    _ordered: int = 0
    #: All that have finished, and those of them that were ordered: a session may be judged in parts.
    _finished: int = 0
    _done: int = 0
    _fetched: int = 0
    #: Of the runs that wait: the seconds that they are expected to take, and how many are not expected to take any.
    _ahead: float = 0.0
    _unknown: int = 0
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
            known = self._runs[run] = _Run(name=name)
            self._order(run, known, expected)

    def order_build(self, run: str, name: str) -> None:
        """Note that a program is to be built."""
        with self._lock:
            self._builds[run] = _Run(name=name)
            self._count_builds()

    def stage(self, name: str, done: int, total: int) -> None:
        """Note how far a stage on the way to the queue is, as "bundle"."""
        with self._lock:
            self._stages[name] = done, total

    def see(self, slots: Mapping[str, SlotInfo]) -> None:
        """Note who serves the queue."""
        with self._lock:
            self._slots = dict(slots)

    def fetch(self, run: str) -> None:
        """Note that an outcome has come, whoever made it."""
        with self._lock:
            if run in self._builds:
                self._builds[run].finished = True
                self._count_builds()
                return
            known = self._runs.get(run)
            if known is not None and not known.fetched:
                known.fetched = True
                self._fetched += 1
                self._finish(run, known)

    def note(self, event: Event) -> None:
        """Note an event."""
        with self._lock:
            if event.run.startswith(BUILD):
                self._note_build(event)
                return
            run = self._runs.setdefault(event.run, _Run(name=event.name or event.run))
            if event.kind == events.OUTPUT:
                self._output.append((event.run, event.message))
            elif event.kind == events.QUEUED and not run.ordered:
                self._order(event.run, run, event.expected)
            elif run.finished:
                return
            elif event.kind == events.STARTED:
                run.name = event.name or run.name
                run.attempt, run.since, run.told, run.progress = event.attempt, self.clock(), 0.0, None
                self._leave(event.run)
                self._running[event.run] = run
            elif event.kind == events.PROGRESS and event.attempt == run.attempt:
                run.progress, run.told = event.progress, self.clock()
            elif event.kind == events.REQUEUED and event.attempt >= run.attempt:
                self._leave(event.run)
                self._wait(event.run, run)
            elif event.kind == events.FINISHED:
                self._finish(event.run, run)
                self._took += event.wall_time
                self._took_count += 1
                if run.expected:
                    self._compared += event.wall_time
                    self._expected += run.expected

    def _note_build(self, event: Event) -> None:
        build = self._builds.setdefault(event.run, _Run(name=event.name or event.run))
        if event.kind == events.STARTED:
            build.name, build.attempt, build.since = event.name or build.name, event.attempt, self.clock()
        elif event.kind == events.REQUEUED:
            build.attempt = 0
        elif event.kind == events.FINISHED:
            build.finished = True
        self._count_builds()

    def _count_builds(self) -> None:
        done = sum(build.finished for build in self._builds.values())
        self._stages["build"] = done, len(self._builds)

    def _order(self, name: str, run: _Run, expected: float) -> None:
        run.ordered, run.expected = True, expected
        self._ordered += 1
        self._done += run.finished
        if not (run.finished or run.attempt):
            self._wait(name, run)

    def _wait(self, name: str, run: _Run) -> None:
        self._waiting[name] = run
        self._ahead += run.expected
        self._unknown += not run.expected

    def _leave(self, name: str) -> None:
        """Have a run neither wait nor run."""
        self._running.pop(name, None)
        run = self._waiting.pop(name, None)
        if run is not None:
            self._ahead -= run.expected
            self._unknown -= not run.expected

    def _finish(self, name: str, run: _Run) -> None:
        self._leave(name)
        if not run.finished:
            run.finished = True
            self._finished += 1
            self._done += run.ordered

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
            running = sorted(self._running.values(), key=lambda run: run.since)
            shown = tuple(self._shown(run, now) for run in running)
            building = [build for build in self._builds.values() if build.attempt and not build.finished]
            return Moment(
                ordered=self._ordered,
                waiting=len(self._waiting),
                finished=self._done if self._ordered else self._finished,
                fetched=self._fetched,
                running=shown,
                building=tuple(RunningRun(name=build.name, elapsed=now - build.since) for build in building),
                workers=len({info.worker for info in self._slots.values()}),
                slots=len(self._slots),
                stages=tuple((name, done, total) for name, (done, total) in self._stages.items()),
                left=self._left(shown),
            )

    def _shown(self, run: _Run, now: float) -> RunningRun:
        left = _left_of(run, now)
        if left is None and (guess := self._guess(run)) is not None:
            left = max(0.0, guess - (now - run.since))
        return RunningRun(name=run.name, elapsed=now - run.since, progress=run.progress, left=left)

    def _guess(self, run: _Run) -> float | None:
        """Return the seconds that a run may take: as expected, if others took what was expected, else as others."""
        if run.expected:
            return run.expected * self._factor
        return self._took / self._took_count if self._took_count else None

    @property
    def _factor(self) -> float:
        """How much longer runs took than they were expected to."""
        return self._compared / self._expected if self._expected else 1.0

    def _left(self, running: tuple[RunningRun, ...]) -> float | None:
        """Return the seconds until all is done, if the slots that we have now stay ours."""
        totals = [run.elapsed + run.left for run in running if run.left is not None]
        others = self._took / self._took_count if self._took_count else sum(totals) / len(totals) if totals else None
        if others is None and (self._unknown or running):
            return None
        usual = others or 0.0
        times = [usual if run.left is None else run.left for run in running]
        work = sum(times) + self._ahead * self._factor + self._unknown * usual
        if len(self._waiting) < _FEW:
            # Where many wait, the longest of them begin long before the end.
            times += [usual if guess is None else guess for guess in map(self._guess, self._waiting.values())]
        at_once = len(running) or len(self._slots)
        if not at_once or not (self._waiting or running):
            return None
        return max([*times, work / at_once])


def _left_of(run: _Run, now: float) -> float | None:
    """Return the seconds that a run needs by its own account: as long per percent as until now."""
    progress = run.progress
    if progress is None or progress.percent < 1:
        return None
    simulated = progress.elapsed or run.told - run.since
    return max(0.0, simulated * (100 - progress.percent) / progress.percent - (now - run.told))
