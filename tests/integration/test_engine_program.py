"""The examples' Python programs as programs: command line, console, exit codes, signals, what they need around them."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = Path(__file__).parents[2] / "example_sims"


def start(*options: str, folder: Path = EXAMPLES / "mm1", python: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start the M/M/1 example."""
    command = [sys.executable, *python, "mm1.py", "-u", "Cmdenv", *options]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(*options: str, folder: Path = EXAMPLES / "mm1", python: Sequence[str] = ()) -> tuple[int, str, str]:
    """Run the M/M/1 example; return exit code, standard output and standard error."""
    process = start(*options, folder=folder, python=python)
    stdout, stderr = process.communicate(timeout=120)
    return process.returncode, stdout, stderr


def test_the_console_is_that_of_cmdenv(tmp_path: Path) -> None:
    # However slow this machine is: a status line at the beginning, and one at the end.
    options = ("--sim-time-limit=10s", "--cmdenv-status-frequency=1h", "--fingerprint=0/tplx")
    code, stdout, stderr = run("-c", "Load", "-r", "0,8", *options, f"--result-dir={tmp_path}")
    assert (code, stderr) == (0, "")
    # Recorded with OMNeT++ 6.1, but for the banner and the line about NED files.
    status = r"\*\* Event #\d+   t=[\d.]+   Elapsed: \S+s \(\dm \d\ds\)  \d+% completed  \(\d+% total\)\n"
    status += r"     Speed:     ev/sec=\S+   simsec/sec=\S+   ev/simsec=\S+\n"
    status += r"     Messages:  created: \d+   present: \d+   in FES: \d+\n"
    one_run = (
        r"\nPreparing for running configuration Load, run #{number}\.\.\.\n"
        r"Scenario: \$load={load}, \$repetition={repetition}\n"
        r"Assigned runID=Load-{number}-\d{{8}}-\d\d:\d\d:\d\d-\d+\n"
        r'Setting up network "MM1"\.\.\.\nInitializing\.\.\.\n\nRunning simulation\.\.\.\n'
        "{status}{status}"  # noqa: RUF027  # filled in below
        r"\n<!> Simulation time limit reached -- at t=10s, event #\d+\n"
        r"\nCalling finish\(\) at end of Run #{number}\.\.\.\n"
        r"\n<!> Fingerprint mismatch! calculated: [0-9a-f]{{4}}-[0-9a-f]{{4}}/tplx, expected: 0/tplx\n\n"
    )
    expected = (
        r"Embedded [^\n]*\n[^\n]*\n\nSetting up Cmdenv\.\.\.\n\n"
        + one_run.format(number=0, load="0.3", repetition=0, status=status)
        + one_run.format(number=8, load="0.9", repetition=2, status=status)
        + r"\nRun statistics: total 2, successful 2\n\nEnd\.\n"
    )
    assert re.fullmatch(expected, stdout), stdout


def test_errors_go_to_standard_error_and_end_the_batch(tmp_path: Path) -> None:
    code, stdout, stderr = run("-s", "-c", "Load", "--**.capacity=1.5", f"--result-dir={tmp_path}")
    assert code == 1
    assert stderr.startswith("\n<!> Error: Cannot assign '1.5' to parameter 'MM1.queue.capacity': ")
    assert stdout == "Load run 0: $load=0.3, $repetition=0\n"
    code, stdout, stderr = run("-s", "-m", "-c", "Nope")
    assert (code, stdout, stderr) == (1, "\n<!> Error: No such config: Nope\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_between_events(tmp_path: Path, number: signal.Signals) -> None:
    process = start("--sim-time-limit=9000000s", f"--result-dir={tmp_path}")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("** Event #0"):
            break
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "\n<!> SIGINT or SIGTERM received, exiting -- at t=" in stdout
    assert "\nCalling finish() at end of Run #0...\n" in stdout
    assert stderr == ""
    assert (tmp_path / "General-#0.sca").read_text().endswith("\n\n")


@pytest.mark.parametrize(
    ("option", "reason"),
    [("--cpu-time-limit=0.2s", "CPU time limit reached"), ("--real-time-limit=0.2s", "Realtime limit reached")],
)
def test_limits_of_the_model_end_it_with_code_0(tmp_path: Path, option: str, reason: str) -> None:
    code, stdout, _ = run("-s", "--sim-time-limit=9000000s", option, f"--result-dir={tmp_path}")
    assert code == 0
    assert f"\n<!> {reason} -- at t=" in stdout


def test_queries_are_answered_without_a_simulation(tmp_path: Path) -> None:
    assert run("-s", "-c", "Warmup", "-q", "runs")[1] == (
        "Run 0: $load=0.9, $repetition=0\nRun 1: $load=0.9, $repetition=1\n"
    )
    assert run("-s", "-a")[1].splitlines()[:2] == ["Config General: 1", "Config Load: 9"]
    assert list(tmp_path.iterdir()) == []


def test_the_folder_and_the_engine_are_all_that_must_travel(tmp_path: Path) -> None:
    for name in ("mm1", "engine"):
        shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("baselines", "__pycache__"))
    code, stdout, stderr = run("-s", "--sim-time-limit=10s", folder=tmp_path / "mm1")
    assert (code, stderr) == (0, "")
    assert "<!> Simulation time limit reached" in stdout
    assert (tmp_path / "mm1" / "results" / "General-#0.sca").is_file()


def test_a_missing_simpy_is_told_with_the_remedy(tmp_path: Path) -> None:
    # An interpreter that finds nothing but the standard library and this project.
    project = Path(__file__).parents[2]
    (tmp_path / "start.py").write_text(
        f"import runpy, sys\nsys.path[:0] = {[str(project), str(project / 'worker')]!r}\n"
        "runpy.run_path(sys.argv[1], run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(tmp_path / "start.py"), str(EXAMPLES / "mm1" / "mm1.py")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "The example simulations need SimPy: pip install 'pytest-oppcloud[examples]'\n"
