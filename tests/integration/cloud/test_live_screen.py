"""What people see while simulations run: real pytest in a real pseudo-terminal, judged by its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pyte
import pytest
from oppcloud_worker.remote import runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oppcloud_worker.messages import RunRequest

    from .conftest import Client, Project, Workers

WaitFor = Callable[[Callable[[], object], float, str], None]

#: What OMNeT++ 6.1 prints on its way, and what a model prints that means no good.
STATUS = """\
** Event #5979648   t=19195.693589357102   Elapsed: 4.00724s (0m 04s)  6% completed  (6% total)
     Speed:     ev/sec=1.50752e+06   simsec/sec=48438.8   ev/simsec=31.1222
     Messages:  created: 1744601   present: 11   in FES: 11
"""
NASTY = b"\xff\x1b[31mred\x07"
WAITING = "omnetpp.ini::Waits::#0"
#: What stands around that which a terminal shows at once, if it can.
SHOWN_FROM, SHOWN_TO = b"\x1b[?2026h", b"\x1b[?2026l"
#: Seconds for a busy machine.
LONG = 60


class Terminal:
    """pytest in a terminal."""

    def __init__(self, columns: int, folder: Path, *arguments: str) -> None:
        self.screen = pyte.Screen(columns, 100)
        self.raw = b""
        #: Whoever has it sees all of what was read at a time, or nothing.
        self._lock = threading.Lock()
        variables = {
            name: value for name, value in os.environ.items() if name not in {"CI", "BUILD_NUMBER", "NO_COLOR"}
        }
        variables |= {"TERM": "xterm-256color", "PYTHONUTF8": "1"}
        near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 100, columns, 0, 0))
        command = [sys.executable, "-m", "pytest", "--oppcloud", "--oppcloud-workers=1", *arguments]
        self.process = subprocess.Popen(
            command, cwd=folder, env=variables, stdin=far, stdout=far, stderr=far, start_new_session=True
        )
        os.close(far)
        self._near = near
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        stream = pyte.ByteStream(self.screen)
        while True:
            try:
                data = os.read(self._near, 65536)
            except OSError:
                # What Linux says when nobody has the other end any more.
                data = b""
            if not data:
                return
            with self._lock:
                self.raw += data
                stream.feed(data)

    def rows(self) -> list[str]:
        """Return what stands on the screen."""
        return [row.rstrip() for row in list(self.screen.display) if row.strip()]

    def wait_for(self, pattern: str) -> list[str]:
        """Wait until a row is as expected; return the screen as it is then."""
        deadline = time.monotonic() + LONG
        while True:
            with self._lock:
                rows = self.rows()
                # What is shown at once may come in pieces.
                whole = self.raw.count(SHOWN_FROM) == self.raw.count(SHOWN_TO)
            if whole and any(re.fullmatch(pattern, row) for row in rows):
                return rows
            if time.monotonic() > deadline:
                pytest.fail(f"no row is {pattern}:\n" + "\n".join(rows))
            time.sleep(0.02)

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(LONG)
        self._thread.join(LONG)
        os.close(self._near)
        return code


@pytest.fixture
def open_terminal() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_one(columns: int, folder: Path, *arguments: str) -> Terminal:
        opened.append(Terminal(columns, folder, *arguments))
        return opened[-1]

    yield open_one
    for terminal in opened:
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.end()


@pytest.fixture
def start(campaign: Project) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start pytest with its output in a file."""
    started: list[subprocess.Popen[bytes]] = []

    def start_one(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
        with log.open("w") as file:
            command = [sys.executable, "-m", "pytest", "--oppcloud", *arguments]
            started.append(
                campaign.pytester.popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
            )
        return started[-1]

    yield start_one
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def campaign(project: Project, tmp_path: Path) -> Project:
    """Give a project with a run that passes, one that fails, and one that tells how far it is and waits for a file."""
    model = project.pytester.path / "tiny.py"
    told = f"sys.stdout.buffer.write({STATUS.encode() + NASTY!r} + b'\\n'); sys.stdout.flush()"
    model.write_text(model.read_text().replace('elif word == "wait":', f'elif word == "wait":\n            {told}'))
    ini = '[Config Good]\n[Config Bad]\n**.value = {}\n[Config Waits]\n**.behaviour = "wait {}/go"\n'
    project.write(ini.format(1, tmp_path))
    (tmp_path / "go").touch()
    project.record()
    project.write(ini.format(2, tmp_path))
    return project


def constant(rows: list[str]) -> list[str]:
    """Return rows without what differs between two sessions: times, and what the queue did."""
    text = "\n".join(rows)
    # On 40 columns the terminal may have broken the heading.
    text = re.sub(r"(?m)^=+ oppc\n?loud =+\n(.*\n)*?(?==)", "", text)
    return re.sub(r"=+", "=", re.sub(r"\d+\.\d+s( \(\d+:\d+:\d+\))?|\.oppcloud/\S+", "...", text)).splitlines()


@pytest.mark.parametrize(
    ("columns", "arguments", "expected"),
    [
        (40, (), r"  …\S+::Waits::#0 +6% +\d+ s left"),
        (80, ("-v",), r"  omnetpp\.ini::Waits::#0 +6% 1\.51M ev/s +\d+ s left"),
        (80, ("-n", "1"), r"  omnetpp\.ini::Waits::#0 +6% 1\.51M ev/s +\d+ s left"),
        (80, ("-q",), r"3 of 4 done, 1 running on 1 worker, 1 failed, about \d+ s left"),
        (200, (), r"  omnetpp\.ini::Waits::#0 ─{12} +6% +t=19195\.7s 1\.51M ev/s +\d+ s left"),
    ],
)
def test_the_screen(
    campaign: Project,
    tmp_path: Path,
    open_terminal: Callable[..., Terminal],
    columns: int,
    arguments: tuple[str, ...],
    expected: str,
) -> None:
    go, folder = tmp_path / "go", campaign.pytester.path
    without = open_terminal(columns, folder, "--oppcloud-progress=off", *arguments)
    assert without.end() == 1

    go.unlink()
    terminal = open_terminal(columns, folder, *arguments)
    rows = terminal.wait_for(expected)
    go.touch()

    assert terminal.end() == 1
    # pytest's report up to then, and below it nothing but our lines.
    ours = len(rows) - next(number for number, row in enumerate(rows) if re.match(r"bundle|queue|3 of 4 done", row))
    assert ours == (1 if "-q" in arguments else 3)
    final = terminal.rows()
    assert constant(rows[:-ours])[:-1] == constant(final)[: len(rows) - ours - 1]
    assert constant(final) == constant(without.rows())
    assert "Differs from the baseline" in "".join(final)


def test_other_programs_have_the_terminal_to_themselves(
    campaign: Project, tmp_path: Path, open_terminal: Callable[..., Terminal]
) -> None:
    go = tmp_path / "go"
    go.unlink()
    terminal = open_terminal(80, campaign.pytester.path, "-s", "--oppcloud-heartbeat=0.5")
    terminal.wait_for("oppcloud: 3 of 4 done, 1 running on 1 worker, 1 failed, about .*")
    go.touch()
    assert terminal.end() == 1
    assert b"\x1bD" not in terminal.raw


@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["", "with xdist"])
def test_a_pipe_gets_lines_and_no_escapes(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path, wait_for: WaitFor, arguments: tuple[str, ...]
) -> None:
    go, log = tmp_path / "go", tmp_path / "log"
    go.unlink()
    process = start(log, "--oppcloud-workers=1", "--oppcloud-heartbeat=0.5", *arguments)
    wait_for(lambda: "\noppcloud: 3 of 4 done, 1 running on 1 worker, 1 failed" in log.read_text(), LONG, "a line")
    go.touch()
    assert process.wait(LONG) == 1
    text = log.read_text()
    assert "\x1b" not in text
    if not arguments:
        # The report goes on where a line of ours came between.
        assert re.search(r"^omnetpp\.ini [.F]+ +\[100%\]$", text, re.MULTILINE)


@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["", "with xdist"])
def test_a_run_is_followed(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path, wait_for: WaitFor, arguments: tuple[str, ...]
) -> None:
    go, log = tmp_path / "go", tmp_path / "log"
    go.unlink()
    process = start(log, f"--oppcloud-follow={WAITING}", "-q", *arguments)
    # As it comes: the run waits for us. What would do something to a terminal is told, not done.
    wait_for(lambda: f"\n{STATUS}\\xff\\x1b[31mred\\x07\n" in log.read_text(), LONG, "what the run printed")
    assert '\nSetting up network "Tiny"...\n' in log.read_text()
    assert "\nEnd.\n" not in log.read_text()
    go.touch()
    assert process.wait(LONG) == 1
    text = log.read_text()
    assert text.count("\nEnd.\n") == 1
    assert "\x1b" not in text


@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["", "with xdist"])
def test_what_is_not_there_cannot_be_followed(campaign: Project, arguments: tuple[str, ...]) -> None:
    result = campaign.run("--oppcloud", "--oppcloud-follow=omnetpp.ini::Wait::#0", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stdout.str() + result.stderr.str()
    assert f"no simulation of this session is 'omnetpp.ini::Wait::#0'; there are: {WAITING}" in text


def test_who_begins_late_is_told_what_came_before(
    client: Client, workers: Workers, script: Callable[..., RunRequest], tmp_path: Path, wait_for: WaitFor
) -> None:
    workers.start()
    client.submit(
        script(f"echo first; touch {tmp_path}/begun; until test -e {tmp_path}/go; do sleep 0.1; done; echo last")
    )
    wait_for((tmp_path / "begun").exists, LONG, "the run begins")
    board = client.dispatcher.board
    wait_for(lambda: board.moment().running, LONG, "its start is told")
    (run,) = board._runs
    runs.follow(client.server.connection, client.session, [run])
    came: list[str] = []

    def told(text: str) -> bool:
        came.extend(block.text for block in board.take_output())
        return "".join(came) == text

    wait_for(lambda: told("first\n"), LONG, "what came before is told")
    (tmp_path / "go").touch()
    wait_for(lambda: told("first\nlast\n"), LONG, "the end is told")
