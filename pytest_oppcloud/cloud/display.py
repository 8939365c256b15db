"""Lets people see what a session does: lines that change on a terminal, a line now and then elsewhere.

All that is shown comes from the board (`progress`), what it looks like from `picture`, how it gets on the screen from
`screen`; here is when, and how that fits in with what pytest itself writes.
"""

from __future__ import annotations

import enum
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from .picture import heartbeat, picture
from .screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from .progress import Board
    from .settings import CloudSettings

#: Seconds between two pictures, and before the first one: what is over at once needs none.
_TICK = 0.25
_FIRST = 0.75
#: Lines of a picture at most.
_HEIGHT = 12


class Shape(enum.Enum):
    """How progress is shown; the values are those of `--oppcloud-progress`."""

    #: Lines that change, under what pytest writes.
    LIVE = "live"
    #: A line now and then.
    LINES = "lines"
    OFF = "off"


def choose_shape(config: pytest.Config, wish: str, environment: Mapping[str, str]) -> Shape:
    """Return how progress is shown: as wished, as far as that is possible here."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or wish == "off":
        return Shape.OFF
    # A reporter of somebody else's may well move the cursor itself.
    # pytest 8.0 has no public name for its own reporter, and a property where others have a method.
    isatty: bool | Callable[[], bool] = reporter.isatty
    terminal = type(reporter).__module__ == "_pytest.terminal" and (isatty() if callable(isatty) else isatty)
    if wish == "live" and terminal and _moves(environment):
        return Shape.LIVE
    if wish in {"live", "lines"}:
        return Shape.LINES
    verbosity = config.get_verbosity()
    # Whatever writes to the terminal beside pytest's reporter would write into the changing lines.
    alone = config.getoption("capture", default="no") in {"fd", "sys"}
    if terminal and _moves(environment) and alone and verbosity > -2 and not _unattended(environment):
        return Shape.LIVE
    return Shape.LINES if verbosity >= 0 else Shape.OFF


def _moves(environment: Mapping[str, str]) -> bool:
    """Tell whether a terminal can move its cursor."""
    return environment.get("TERM", "") not in {"", "dumb", "unknown"}


def _unattended(environment: Mapping[str, str]) -> bool:
    """Tell whether this is a build, whose log nobody sees as it is written."""
    return any(environment.get(name) for name in ("CI", "BUILD_NUMBER"))


class Display:
    """The plugin that shows a board."""

    NAME = "oppcloud-display"

    def __init__(
        self,
        reporter: pytest.TerminalReporter,
        board: Board,
        *,
        shape: Shape,
        every: float,
        following: int,
    ) -> None:
        """Begin; `every` is the time between two lines in seconds, `following` how many runs are followed."""
        self._reporter = reporter
        config = reporter.config
        self._writer = config.get_terminal_writer()
        self._board = board
        self._shape = shape
        self._every = every
        self._following = following
        self._quiet = config.get_verbosity() < 0
        self._screen = Screen(self._writer._file)  # noqa: SLF001  # it has no other way in
        self._writer._file = self._screen  # noqa: SLF001  # all of a file that it uses
        self._console = Console(
            file=self._screen,  # type: ignore[arg-type]  # as above
            force_terminal=True,
            no_color=not self._writer.hasmarkup,
            color_system="auto" if self._writer.hasmarkup else None,
            legacy_windows=False,
        )
        self._next_line = time.monotonic() + every
        #: Whether a debugger has the terminal.
        self._paused = False
        #: The run whose output was shown last.
        self._speaker = ""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="oppcloud-display")
        self._thread.start()

    def stop(self) -> None:
        """Show the rest of what is followed, and leave the terminal as if nobody had been here."""
        if self._ending.is_set():
            return
        self._ending.set()
        self._thread.join()
        self._show_output()
        self._writer._file = self._screen.close()  # noqa: SLF001  # back as it was

    # What reports a test is written in one piece.

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self) -> Generator[None, None, None]:
        """Keep lines of ours out of those of a report."""
        with self._screen.lock:
            yield
            self._screen.show_again()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self) -> Generator[None, None, None]:
        """Keep lines of ours out of those of a report."""
        with self._screen.lock:
            yield
            self._screen.show_again()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self) -> Generator[None, None, None]:
        """Keep lines of ours out of those of a report."""
        with self._screen.lock:
            yield
            self._screen.show_again()

    @pytest.hookimpl(tryfirst=True)
    def pytest_enter_pdb(self) -> None:
        """Leave the terminal to the debugger."""
        with self._screen.lock:
            self._paused = True
            self._screen.show([])

    def pytest_leave_pdb(self) -> None:
        """Go on after the debugger."""
        self._paused = False

    # What follows runs in the thread.

    def _work(self) -> None:
        wait = _FIRST if self._shape is Shape.LIVE else _TICK if self._following else min(1.0, self._every)
        while not self._ending.wait(wait):
            wait = _TICK if self._shape is Shape.LIVE else wait
            with self._screen.lock:
                if self._paused:
                    continue
                self._show_output()
                if self._shape is Shape.LIVE:
                    self._show_picture()
                elif self._shape is Shape.LINES and time.monotonic() >= self._next_line:
                    self._next_line = time.monotonic() + self._every
                    self._line(f"oppcloud: {heartbeat(self._board.moment(), self._failed())}")

    def _failed(self) -> int:
        return len(self._reporter.stats.get("failed", ())) + len(self._reporter.stats.get("error", ()))

    def _show_picture(self) -> None:
        columns, rows = self._screen.size()
        written = self._writer.width_of_current_line
        if written and written % columns == 0:
            # The cursor hangs behind the last column; to move it would have the next character overwrite the last one.
            return
        # Where the last column is filled, terminals differ in what comes next; and pytest's own lines come first.
        height = min(1 if self._quiet else _HEIGHT, rows // 2)
        ascii_only = not self._screen.encoding.lower().startswith("utf")
        lines = picture(self._board.moment(), self._failed(), width=columns - 1, height=height, ascii_only=ascii_only)
        with self._console.capture() as captured:
            for line in lines:
                self._console.print(line, soft_wrap=True)
        self._screen.show(captured.get().splitlines())

    def _line(self, text: str) -> None:
        """Write a line of ours where pytest writes its own."""
        self._reporter.ensure_newline()
        if self._writer.width_of_current_line:
            # With -q, the reporter does not know.
            self._writer.line()
        self._reporter.write_line(text)

    def _show_output(self) -> None:
        """Write what the runs that are followed have printed."""
        for block in self._board.take_output():
            with self._screen.lock:
                if self._following > 1 and block.name != self._speaker:
                    self._line(f"--- {block.name}")
                self._speaker = block.name
                for line in block.text.splitlines():
                    self._line(line)


def start_display(config: pytest.Config, board: Board, settings: CloudSettings) -> Display | None:
    """Start and register what the settings ask for; None where there is nothing to show, or nobody to see it."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    shape = choose_shape(config, settings.progress, os.environ)
    if reporter is None or (shape is Shape.OFF and not settings.followed):
        return None
    display = Display(reporter, board, shape=shape, every=settings.heartbeat, following=len(settings.followed))
    config.pluginmanager.register(display, Display.NAME)
    return display
