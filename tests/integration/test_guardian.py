"""No process of a simulation outlives the run, whatever happens to it, to the guardian, or to us."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from oppcloud_worker.messages import Limits
from oppcloud_worker.supervision import Guardian, GuardianLostError, ProcessEnd, Program, Stop, guardian

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAULT_MODEL = Path(__file__).resolve().parents[1] / "faultmodel"
#: Starts a process in a session of its own that ignores SIGTERM and has lost its parent, and tells its id.
LEAVE_BEHIND = "import sys; sys.path.insert(0, {!r}); import faultmodel; faultmodel.start_descendant()"
READY_AND_SLEEP = "import time; print('ready', flush=True); time.sleep(600)"
#: Seconds for what takes a moment; only reached when something is broken.
PATIENCE = 30


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        # A zombie is gone for all that matters; its new parent is not ours to wait for.
        return not re.search(r"\) [ZX] ", Path(f"/proc/{pid}/stat").read_text())
    except OSError:
        return sys.platform != "linux"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.skipif(not shutil.which("ps"), reason="no ps"))])
def own(request: pytest.FixtureRequest) -> Iterator[Guardian]:
    """Start a guardian that finds descendants as on Linux, and one that does as elsewhere."""
    one = Guardian(use_ps=request.param)
    yield one
    one.close()


class Output(list[bytes]):
    """What a program printed."""

    def __str__(self) -> str:
        return b"".join(self).decode()

    def number(self, word: str) -> int:
        match = re.search(rf"{word} (\d+)\n", str(self))
        assert match, str(self)
        return int(match[1])


def run(
    one: Guardian,
    *command: str,
    output: Output | None = None,
    limits: Limits | None = None,
    stop: Stop | None = None,
    on_stdout: Callable[[bytes], None] | None = None,
) -> ProcessEnd:
    def take(data: bytes) -> None:
        if output is not None:
            output.append(data)
        if on_stdout is not None:
            on_stdout(data)

    program = Program(command=command, directory=Path("/"), environment=dict(os.environ), limits=limits or Limits())
    return one.run(program, on_stdout=take, on_stderr=take, stop=stop)


def run_too_long(one: Guardian, *command: str) -> tuple[ProcessEnd, Output]:
    """Run a program that says "ready" and would go on for ever; its limit is as long as this machine needs for that."""
    output = Output()
    for seconds in (1, 4, 15, 60):
        output.clear()
        end = run(one, *command, output=output, limits=Limits(timeout=seconds))
        assert end.ended_by == "timeout", str(output)
        if "ready\n" in str(output):
            return end, output
    pytest.fail(f"it did not even begin: {output}")


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def leave_behind(and_then: str = "") -> tuple[str, ...]:
    return python(f"{LEAVE_BEHIND.format(str(FAULT_MODEL))}; {and_then}")


def test_one_guardian_serves_many(own: Guardian) -> None:
    for code in (0, 3, 77):
        output = Output()
        end = run(own, "sh", "-c", f"echo out {code}; exit {code}", output=output)
        assert (end.exit_code, end.ended_by, end.descendants_ended) == (code, "", 0)
        assert output.number("out") == code


def test_a_descendant_does_not_outlive_a_run_that_succeeds(own: Guardian) -> None:
    output = Output()
    end = run(own, *leave_behind(), output=output)
    assert (end.exit_code, end.descendants_ended, end.descendants_left) == (0, 1, 0)
    assert not is_alive(output.number("descendant"))


def test_a_limit_of_a_month_is_more_milliseconds_than_the_system_counts(own: Guardian) -> None:
    assert run(own, "sleep", "0.1", limits=Limits(timeout=30 * 86400)).exit_code == 0


def test_a_descendant_does_not_outlive_a_timeout(own: Guardian) -> None:
    deaf = "import signal; signal.signal(15, 1); print('ready', flush=True); [signal.pause() for _ in iter(int, 1)]"
    end, output = run_too_long(own, *leave_behind(deaf))
    assert (end.exit_code, end.descendants_left) == (-signal.SIGKILL, 0)
    assert not is_alive(output.number("descendant"))


def test_families_that_replace_themselves_are_caught(tmp_path: Path) -> None:
    one = Guardian()
    alive = tmp_path / "alive"
    breeding = (
        "import os, time\n"
        "if not os.fork():\n"
        "    os.setsid()\n"
        "    while True:\n"
        "        if os.fork(): os._exit(0)\n"
        f"        open({str(alive)!r}, 'w').close(); time.sleep(0.001)\n"
        f"while not os.path.exists({str(alive)!r}): time.sleep(0.001)\n"
    )
    end, _ = run_too_long(one, *python(f"{breeding}{READY_AND_SLEEP}"))
    one.close()
    assert end.descendants_left == 0
    # Whoever were left would make the file again within a millisecond.
    alive.unlink()
    time.sleep(0.2)
    assert not alive.exists()


def test_output_of_the_dead_does_not_hold_us_up(own: Guardian) -> None:
    """A descendant keeps the pipe open; its end is not waited for."""
    output = Output()
    end = run(own, "sh", "-c", "(sleep 600 &) ; echo done", output=output)
    assert (end.exit_code, str(output)) == (0, "done\n")
    assert end.descendants_ended == 1


def test_a_polite_program_may_write_its_files(own: Guardian) -> None:
    polite = "trap 'echo written; exit 2' TERM; echo ready; while :; do sleep 0.01; done"
    end, output = run_too_long(own, "sh", "-c", polite)
    assert end.exit_code == 2
    assert "written" in str(output)


def test_a_stopped_process_ends_as_well(own: Guardian) -> None:
    end = run(own, "sh", "-c", "kill -STOP $$", limits=Limits(timeout=1))
    assert end.ended_by == "timeout"


def test_stop_from_another_thread(own: Guardian) -> None:
    stop = Stop()
    ready = threading.Event()

    def throw() -> None:
        ready.wait()
        stop.set()

    thrower = threading.Thread(target=throw)
    thrower.start()
    end = run(own, "sh", "-c", "echo ready; exec sleep 600", stop=stop, on_stdout=lambda _: ready.set())
    thrower.join()
    assert (end.exit_code, end.ended_by) == (-signal.SIGTERM, "stop")


def test_stop_from_a_signal_handler() -> None:
    stop = Stop()
    before = signal.signal(signal.SIGUSR1, lambda *_: stop.set())
    try:
        with guardian() as one:
            end = run(
                one,
                "sh", "-c", "echo ready; exec sleep 600",
                stop=stop,
                on_stdout=lambda _: os.kill(os.getpid(), signal.SIGUSR1),
            )  # fmt: skip
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert end.ended_by == "stop"


def test_an_exception_ends_the_program(own: Guardian) -> None:
    output = Output()

    def interrupt(_data: bytes) -> None:
        if "ready" in str(output):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(own, *leave_behind(READY_AND_SLEEP), output=output,
            on_stdout=interrupt)  # fmt: skip
    assert not is_alive(output.number("descendant"))
    assert not own.usable
    assert not is_alive(own.pid)


def test_the_signals_of_the_terminal_do_not_reach_the_program() -> None:
    with guardian() as one:
        output = Output()
        run(one, *python("import os; print('session', os.getsid(0)); print('group', os.getpgid(0))"), output=output)
        assert output.number("session") != os.getsid(0)
        assert output.number("group") != os.getpgid(one.pid)
        assert os.getsid(one.pid) != os.getsid(0)


def test_signals_are_as_a_program_expects_them(own: Guardian) -> None:
    code = "import signal; print([n for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN])"
    output = Output()
    run(own, *python(code), output=output)
    # Python itself ignores these two (and SIGXFZ where there is one).
    expected = subprocess.run(python(code), capture_output=True, check=True, text=True).stdout
    assert str(output) == expected


def test_the_program_inherits_no_descriptors(own: Guardian) -> None:
    output = Output()
    run(own, *python("import os; print(sorted(os.listdir('/dev/fd'))[:4])"), output=output)
    assert str(output) == "['0', '1', '2', '3']\n"
    run(own, *python("import os; os.fstat(4)"), output=output)
    assert "Bad file descriptor" in str(output)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_guardian_obeys_no_signal_but_its_pipe(own: Guardian, number: int) -> None:
    end = run(own, "sh", "-c", "echo ready; sleep 0.2", on_stdout=lambda _: os.kill(own.pid, number))
    assert end.exit_code == 0
    assert own.usable


def test_a_killed_guardian_takes_all_with_it(own: Guardian) -> None:
    output = Output()

    def kill(_data: bytes) -> None:
        if "ready" in str(output):
            os.kill(own.pid, signal.SIGKILL)

    command = leave_behind(f"import os; print('program', os.getpid()); {READY_AND_SLEEP}")
    with pytest.raises(GuardianLostError):
        run(own, *command, output=output, on_stdout=kill)
    wait_until(lambda: not is_alive(output.number("descendant")) and not is_alive(output.number("program")))


def test_a_guardian_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oppcloud_worker.supervision.LAST_RESORT", 0.5)
    one = Guardian()
    output, stop = Output(), Stop()

    def freeze(_data: bytes) -> None:
        os.kill(one.pid, signal.SIGSTOP)
        stop.set()

    command = python("import os, time; print('program', os.getpid(), flush=True); time.sleep(600)")
    with pytest.raises(GuardianLostError):
        run(one, *command, output=output, on_stdout=freeze, stop=stop)
    wait_until(lambda: not is_alive(output.number("program")))


WORK = """
import sys
from pathlib import Path
from oppcloud_worker.messages import Limits
from oppcloud_worker.supervision import *
def tell(data):
    sys.stdout.buffer.write(data)
    sys.stdout.flush()
with guardian() as one:
    print("guardian", one.pid, flush=True)
    program = Program(command=tuple(sys.argv[1:]), directory=Path("/"), environment=dict(), limits=Limits())
    one.run(program, on_stdout=tell, on_stderr=tell)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_outlives_us(number: int) -> None:
    """Whatever ends the process that wanted the simulation, the guardian ends everything, and itself."""
    command = leave_behind(f"import os; print('program', os.getpid()); {READY_AND_SLEEP}")
    with subprocess.Popen(
        [*python(WORK), *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        lines = dict(line.split() for line in iter(process.stdout.readline, "ready\n"))
        pids = {name: int(pid) for name, pid in lines.items()}
        assert pids.keys() == {"guardian", "program", "descendant"}
        process.send_signal(number)
        process.wait(PATIENCE)
    for pid in pids.values():
        wait_until(lambda pid=pid: not is_alive(pid))  # type: ignore[misc]  # a default, not a parameter


def test_the_interpreters_own_end_leaves_no_guardian() -> None:
    output = subprocess.run([*python(WORK), "true"], capture_output=True, check=True, text=True)
    assert output.stderr == ""
    wait_until(lambda: not is_alive(int(output.stdout.split()[1])))


def test_a_fork_keeps_no_guardian_alive() -> None:
    """A child of a fork may outlive its parent; the parent's guardians must not."""
    with guardian() as one:
        pid = one.pid
    code = f"{WORK}\nimport os, signal\nif os.fork() == 0: os.close(1); signal.pause()\nos._exit(0)"
    command = (*python(code), "true")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        other = int(process.stdout.read().split()[1])
        process.wait(PATIENCE)
        try:
            wait_until(lambda: not is_alive(other))
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert is_alive(pid)


def test_guardians_are_used_again() -> None:
    with guardian() as one:
        pid = one.pid
    with guardian() as one, guardian() as other:
        assert one.pid == pid
        assert other.pid != pid


def test_a_dead_guardian_is_replaced() -> None:
    with guardian() as one:
        os.kill(one.pid, signal.SIGKILL)
        wait_until(lambda: not one.usable)
    with guardian() as other:
        assert run(other, "true").exit_code == 0
