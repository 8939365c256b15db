"""The live display: events become a moment, a moment becomes lines, lines leave no trace on a screen."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field

import pyte
import pytest
from oppcloud_worker.progress import Progress
from oppcloud_worker.remote import events
from oppcloud_worker.remote.events import Event
from oppcloud_worker.remote.presence import SlotInfo

from pytest_oppcloud.cloud.picture import duration, heartbeat, picture, size
from pytest_oppcloud.cloud.progress import Board, Moment, RunningRun
from pytest_oppcloud.cloud.screen import Screen
from pytest_oppcloud.cloud.statistics import BUILD

SLOTS = {name: SlotInfo(name=name, worker=name[0], host="h", pid=1) for name in ("a1", "a2", "b1")}


@dataclass
class Story:
    """A board, and the time that passes."""

    now: float = 0.0
    board: Board = field(init=False)

    def __post_init__(self) -> None:
        self.board = Board(clock=lambda: self.now)

    def order(self, *runs: str, expected: float = 0.0) -> None:
        for run in runs:
            self.board.order(run, f"m/omnetpp.ini::General::{run}", expected)

    def start(self, run: str, attempt: int = 1) -> None:
        self.board.note(Event(kind=events.STARTED, run=run, attempt=attempt, slot="a1", name=f"name of {run}"))

    def tell(self, run: str, percent: int, *, elapsed: float = 0.0, attempt: int = 1) -> None:
        progress = Progress(event=1, sim_time="1", percent=percent, elapsed=elapsed)
        self.board.note(Event(kind=events.PROGRESS, run=run, attempt=attempt, progress=progress))

    def finish(self, run: str, wall_time: float = 1.0) -> None:
        self.board.note(Event(kind=events.FINISHED, run=run, attempt=1, wall_time=wall_time))


def test_runs_go_from_the_queue_to_their_end() -> None:
    story = Story()
    story.order("a", "b", "c")
    story.board.see(SLOTS)
    assert story.board.moment() == Moment(ordered=3, waiting=3, workers=2, slots=3)

    story.start("a")
    story.now = 5
    story.start("b")
    moment = story.board.moment()
    assert [(run.name, run.elapsed) for run in moment.running] == [("name of a", 5), ("name of b", 0)]
    assert moment.waiting == 1

    story.finish("a")
    story.finish("a")
    story.board.fetch("a")
    moment = story.board.moment()
    assert (moment.finished, moment.fetched, moment.waiting, len(moment.running)) == (1, 1, 1, 1)


def test_a_run_whose_worker_was_lost_waits_again() -> None:
    story = Story()
    story.order("a")
    story.start("a")
    story.tell("a", 50)
    story.board.note(Event(kind=events.REQUEUED, run="a", attempt=1))
    assert story.board.moment().waiting == 1
    story.start("a", attempt=2)
    story.tell("a", 90)  # of the first attempt: it came late
    (run,) = story.board.moment().running
    assert run.progress is None


def test_a_build_is_a_stage_and_no_run() -> None:
    story = Story()
    story.order("a")
    story.board.order_build(f"{BUILD}1", "build of sim")
    assert story.board.moment().stages == (("build", 0, 1),)
    story.start(f"{BUILD}1")
    story.now = 3
    moment = story.board.moment()
    assert (moment.stages, moment.waiting, moment.running) == ((("build", 0, 1),), 1, ())
    assert [line.plain.rstrip() for line in picture(moment, 0, width=60, height=5)] == [
        "build 0 of 1  queue 1  running 0  fetched 0",
        "0 of 1 done, waiting for a worker",
        "  name of build_1                      for 3 s",
    ]
    story.finish(f"{BUILD}1")
    moment = story.board.moment()
    assert (moment.stages, moment.finished, moment.building) == ((("build", 1, 1),), 0, ())


def test_a_build_that_nobody_could_do_is_over() -> None:
    story = Story()
    story.board.order_build(f"{BUILD}1", "build of sim")
    story.board.fetch(f"{BUILD}1")
    assert story.board.moment().stages == (("build", 1, 1),)


def test_a_process_that_ordered_nothing_learns_of_runs_as_they_start() -> None:
    story = Story()
    story.start("a")
    story.start("b")
    story.finish("a")
    moment = story.board.moment()
    assert (moment.ordered, moment.finished, len(moment.running)) == (0, 1, 1)
    assert heartbeat(moment, 0).startswith("1 done")


def test_such_a_process_is_told_which_runs_there_are() -> None:
    story = Story()
    # Before, as in a session that is attached to; one of them is not wanted now.
    story.start("a")
    story.start("other")
    story.now = 20
    story.finish("a", wall_time=20)
    story.finish("other", wall_time=20)
    for run in ("a", "b", "c", "b"):
        story.board.note(Event(kind=events.QUEUED, run=run, attempt=1, expected=10))
    story.start("b")
    moment = story.board.moment()
    assert (moment.ordered, moment.waiting, moment.finished, moment.left) == (3, 1, 1, 20)
    assert heartbeat(moment, 0).startswith("1 of 3 done")


def test_what_is_left_of_a_run_follows_from_its_percentage() -> None:
    story = Story()
    story.order("a")
    story.start("a")
    story.now = 100
    story.tell("a", 25, elapsed=90)
    story.now = 130
    (run,) = story.board.moment().running
    # 270 s for the other three quarters, 30 of which have passed.
    assert run.left == 240


# Either what was expected to take 10 s took 20, and so will the others; or nobody knew what to expect, and the others
# will take as long.
@pytest.mark.parametrize("expected", [10.0, 0.0])
def test_what_is_left_of_a_session_follows_from_what_finished(expected: float) -> None:
    story = Story()
    story.order("a", "b", "c", "d", "e", "f", expected=expected)
    for run in "abc":
        story.start(run)
    assert (story.board.moment().left is None) == (expected == 0)
    story.now = 20
    story.finish("a", wall_time=20)
    # Two are about to end, three wait: 60 s of work for two slots.
    assert story.board.moment().left == 30


def test_output_is_handed_out_once() -> None:
    story = Story()
    story.start("a")
    story.board.note(Event(kind=events.OUTPUT, run="a", attempt=1, message="line\n"))
    assert [(block.name, block.text) for block in story.board.take_output()] == [("name of a", "line\n")]
    assert story.board.take_output() == []


NAME = "examples/wireless/omnetpp.ini::Throughput::numHosts=10,bitrate=54Mbps-#{}"
BUSY = Moment(
    ordered=1234,
    waiting=1000,
    finished=226,
    fetched=225,
    workers=2,
    slots=8,
    stages=(("bundle", 5_000_000, 12_500_000), ("build", 1, 2)),
    left=4000.0,
    running=tuple(
        RunningRun(
            name=NAME.format(number),
            elapsed=100.0,
            progress=Progress(event=123456, sim_time="94730.513643163358", percent=45, speed=1.47686e6),
            left=38.0,
        )
        for number in range(8)
    ),
)


@pytest.mark.parametrize("width", [1, 10, 39, 79, 199])
@pytest.mark.parametrize("height", [1, 2, 3, 5, 50])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_picture_fits(width: int, height: int, ascii_only: bool) -> None:
    lines = picture(BUSY, 3, width=width, height=height, ascii_only=ascii_only)
    assert 1 <= len(lines) <= height
    assert all(line.cell_len <= width for line in lines)
    assert not any("\n" in line.plain for line in lines)
    assert not ascii_only or all(line.plain.isascii() for line in lines)


def test_the_picture_of_a_wide_terminal_tells_all() -> None:
    stages, summary, first, *_ = (line.plain for line in picture(BUSY, 3, width=199, height=10))
    assert stages == "bundle 5 MB of 12.5 MB  build 1 of 2  queue 1,000  running 8 of 8 slots  fetched 225"
    assert summary == "226 of 1,234 done, 8 running on 2 workers, 3 failed, about 67 min left"
    assert NAME.format(0) in first
    assert re.search(r"#0 ━━━━━─+  45% +t=94730.5s 1.48M ev/s +38 s left$", first)


def test_the_picture_of_a_narrow_terminal_tells_what_matters() -> None:
    stages, summary, first, *_, last = (line.plain for line in picture(BUSY, 3, width=39, height=6))
    assert stages == "queue 1,000  running 8  fetched 225"
    assert summary == "226 of 1,234 done, about 67 min left"
    assert re.fullmatch(r"  …\S+-#0  45% +38 s left", first)
    assert last == "  and 5 more"


def test_durations_and_sizes_are_for_people() -> None:
    assert [duration(seconds) for seconds in (0, 99, 100, 5990, 6000, 100_000)] == [
        "0 s", "99 s", "2 min", "1 h 40 min", "1 h 40 min", "27 h 47 min",
    ]  # fmt: skip
    assert [size(count) for count in (999, 1000, 999_499, 1_500_000, 2_000_000_000)] == [
        "999 B", "1 kB", "999 kB", "1.5 MB", "2.0 GB",
    ]  # fmt: skip


class Terminal(io.StringIO):
    """A file that is shown on a screen; it is none of the system's."""

    def __init__(self, columns: int = 20, lines: int = 8) -> None:
        super().__init__()
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self.stream.feed(text.replace("\r\n", "\n").replace("\n", "\r\n"))
        return len(text)

    def rows(self) -> list[str]:
        return [row.rstrip() for row in self.screen.display if row.strip()]


def test_pytest_writes_on_in_the_middle_of_a_line() -> None:
    terminal = Terminal()
    screen = Screen(terminal)
    screen.write("file.ini ..")
    screen.show(["one", "two"])
    assert terminal.rows() == ["file.ini ..", "one", "two"]
    screen.write(".")
    assert terminal.rows() == ["file.ini ..."]
    screen.show_again()
    screen.show(["three"])
    assert terminal.rows() == ["file.ini ...", "three"]
    screen.write("F\nnext")
    screen.show(["four", "five"])
    assert terminal.rows() == ["file.ini ...F", "next", "four", "five"]
    screen.close()
    assert terminal.rows() == ["file.ini ...F", "next"]
    assert (terminal.screen.cursor.x, terminal.screen.cursor.y) == (4, 1)


def test_lines_at_the_bottom_scroll_what_stands_above() -> None:
    terminal = Terminal(lines=5)
    screen = Screen(terminal)
    screen.write("1\n2\n3\n4\n5")
    screen.show(["a", "b"])
    assert terminal.rows() == ["3", "4", "5", "a", "b"]
    screen.write("x\n6")
    screen.show(["c", "d"])
    assert terminal.rows() == ["4", "5x", "6", "c", "d"]


def test_what_is_the_same_is_not_written_again() -> None:
    terminal = Terminal()
    screen = Screen(terminal)
    screen.show(["one"])
    terminal.screen.reset()
    screen.show(["one"])
    assert terminal.rows() == []
