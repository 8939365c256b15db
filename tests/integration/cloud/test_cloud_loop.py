"""The run loop: ordinary tests meanwhile, simulations as they come back, -x and Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from oppcloud_worker.remote import runs

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import Popen

    from .conftest import Processes, Project, Server, Workers

WaitFor = Callable[[Callable[[], object], float, str], None]


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder for temporary files of pytest and all that it starts."""
    folder = tmp_path_factory.mktemp("t")
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_ordinary_tests_run_while_simulations_do(project: Project, tmp_path: Path) -> None:
    # The simulation waits for the test, the test for the simulation.
    project.write(f'[Config Wait]\n**.behaviour = "wait {tmp_path}/go"\n')
    (tmp_path / "go").touch()
    project.record()
    (tmp_path / "go").unlink()
    (tmp_path / "go.started").unlink()
    project.pytester.makepyfile(
        test_ordinary=f"""
        import pathlib, time

        def test_meets_the_simulation():
            started, go = pathlib.Path("{tmp_path}/go.started"), pathlib.Path("{tmp_path}/go")
            while not started.exists():
                time.sleep(0.02)
            go.touch()
        """
    )

    project.run("--oppcloud", "--opp-timeout=30s").assert_outcomes(passed=3)


def test_simulations_are_judged_in_the_order_of_their_end(project: Project, tmp_path: Path) -> None:
    project.write(f'[Config A]\n**.behaviour = "wait {tmp_path}/go"\n[Config B]\n')
    (tmp_path / "go").touch()
    project.record()
    (tmp_path / "go").unlink()
    # The first one goes on when the second one has been judged.
    project.pytester.makeconftest(
        f"""
        import pathlib

        def pytest_runtest_logreport(report):
            if "::B::" in report.nodeid and report.when == "call":
                pathlib.Path("{tmp_path}/go").touch()
        """
    )
    result = project.run("--oppcloud", "--oppcloud-workers=2", "--opp-config=[AB]", "-v")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*::B::#0 PASSED*", "*::A::#0 PASSED*"])


ORDINARY = """
import pathlib, time, pytest

@pytest.mark.parametrize("number", range(200))
def test_ordinary(number):
    if number == 0:
        while not pathlib.Path("{mark}").exists():
            time.sleep(0.02)
    # Those that never run in a session that is not held up give one that is more time.
    time.sleep(0.1 if number < 50 else 1)
"""


@pytest.mark.parametrize(
    "behaviour",
    ["crash {mark}", pytest.param("touch {mark}", id="differs from its baseline")],
)
def test_x_stops_between_ordinary_tests(project: Project, tmp_path: Path, behaviour: str) -> None:
    mark = tmp_path / "mark"
    body = f'[Config Bad]\n**.behaviour = "{behaviour.format(mark=mark)}"\n**.value = 1\n'
    project.write(body)
    project.record()
    project.write(body.replace("value = 1", "value = 2"))
    mark.unlink()
    project.pytester.makepyfile(test_ordinary=ORDINARY.format(mark=mark))
    result = project.run("--oppcloud", "-x", "--opp-config=Bad", ".")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 1
    assert 1 <= outcomes["passed"] < 150
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


def test_x_cancels_what_is_queued_and_stops_what_runs(
    project: Project,
    processes: Processes,
    server: Server,
    workers: Workers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers.start(slots=2)
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", server.url)
    project.write(
        f'[Config A]\n**.behaviour = "wait {tmp_path}/never"\n'
        f'[Config B]\n**.behaviour = "crash-after {tmp_path}/never.started"\n'
        f'[Config C]\n**.value = ${{1..40}}\n**.behaviour = "wait {tmp_path}/never"\n'
    )
    result = project.run("--oppcloud", "-x", "--opp-config=[ABC]")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    processes_of_runs = processes.running("tiny.py")
    assert processes_of_runs == {}
    assert runs.queued(server.connection, "oppcloud") == set()
    assert len((tmp_path / "never.started").read_text()) < 5


@pytest.fixture
def pytest_process(
    project: Project,
    temporary: Path,  # noqa: ARG001  # for what it sets
    tmp_path: Path,
    wait_for: WaitFor,
) -> Popen[bytes]:
    """Start pytest with a queue of its own; return it when its simulation runs, which never ends by itself."""
    project.write(f'[Config Wait]\n**.behaviour = "wait {tmp_path}/never"\n')
    process = project.start("--oppcloud", "--opp-config=Wait")
    wait_for((tmp_path / "never.started").exists, 30, "the simulation runs")
    return process


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, pytest.ExitCode.INTERRUPTED),
        (signal.SIGTERM, -signal.SIGTERM),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_nothing_is_left_of_a_private_queue(
    pytest_process: Popen[bytes], processes: Processes, temporary: Path, number: signal.Signals, code: int
) -> None:
    (folder,) = temporary.glob("opp-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "s").stat().st_mode & 0o077 == 0
    pytest_process.send_signal(number)
    output, _ = pytest_process.communicate(timeout=60)

    assert pytest_process.returncode == code, output.decode()
    processes.none_left()
    assert list(temporary.glob("opp*")) == []


def test_nothing_is_left_at_the_end(project: Project, processes: Processes, temporary: Path) -> None:
    project.write("")
    project.record()
    project.run("--oppcloud").assert_outcomes(passed=1)

    assert processes.running() == {}
    assert list(temporary.glob("opp*")) == []


def test_ctrl_c_cancels_the_runs_of_a_shared_queue(
    project: Project,
    processes: Processes,
    server: Server,
    workers: Workers,
    tmp_path: Path,
    wait_for: WaitFor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers.start()
    project.write(f'[Config Wait]\n**.value = ${{1..20}}\n**.behaviour = "wait {tmp_path}/never"\n')
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", server.url)
    pytest_process = project.start("--oppcloud", "--opp-config=Wait")
    wait_for((tmp_path / "never.started").exists, 30, "the simulation runs")
    pytest_process.send_signal(signal.SIGINT)
    output, _ = pytest_process.communicate(timeout=60)

    assert pytest_process.returncode == pytest.ExitCode.INTERRUPTED, output.decode()
    # A slot that nobody told to stop finds out by itself after nine seconds.
    wait_for(lambda: not processes.running("tiny.py"), 8, "the simulation is stopped")
    assert runs.queued(server.connection, "oppcloud") == set()
    # The worker serves on, and only what runs need is still there.
    assert processes.running("oppcloud_worker")
    names = {name.decode().split(":")[1] for name in server.connection.scan_iter("oppcloud:*")}
    assert names - {"duty", "idle", "turn"} == {"content", "slot", "slots"}


def test_a_killed_server_ends_the_session(pytest_process: Popen[bytes], processes: Processes) -> None:
    (pid,) = processes.running("unixsocket")
    os.kill(pid, signal.SIGKILL)
    output, _ = pytest_process.communicate(timeout=60)

    assert pytest_process.returncode == pytest.ExitCode.TESTS_FAILED
    assert b"the queue was lost: the server ended" in output
    assert b"1 error" in output
    processes.none_left()


def test_a_killed_keeper_ends_the_session_and_leaves_nothing(
    pytest_process: Popen[bytes], processes: Processes, temporary: Path
) -> None:
    (pid,) = processes.running("keeper.py")
    os.kill(pid, signal.SIGKILL)
    output, _ = pytest_process.communicate(timeout=60)

    assert pytest_process.returncode == pytest.ExitCode.TESTS_FAILED, output.decode()
    processes.none_left()
    assert list(temporary.glob("opp*")) == []


def test_a_killed_worker_slot_is_no_failure(
    project: Project, processes: Processes, tmp_path: Path, wait_for: WaitFor
) -> None:
    project.write(f'[Config Wait]\n**.behaviour = "wait {tmp_path}/go"\n')
    (tmp_path / "go").touch()
    project.record()
    (tmp_path / "go").unlink()
    (tmp_path / "go.started").unlink()
    pytest_process = project.start("--oppcloud", "--opp-config=Wait", "--oppcloud-workers=1")
    wait_for((tmp_path / "go.started").exists, 30, "the simulation runs")
    (pid,) = processes.running("remote.slot")
    os.kill(pid, signal.SIGKILL)
    (tmp_path / "go").touch()
    output, _ = pytest_process.communicate(timeout=60)

    assert pytest_process.returncode == 0, output.decode()
    assert b"1 attempt came to nothing and was repeated: 1 x worker lost" in output
