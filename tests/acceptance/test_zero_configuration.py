"""Folders made the OMNeT++ way, built and run by a real OMNeT++, without a line of settings."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.omnetpp,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("opp_run") is None, reason="no OMNeT++ here (opp_run on the PATH)"),
]

MODEL = Path(__file__).parents[2] / "example_sims" / "mm1"


def make(folder: Path, *options: str) -> None:
    """Build the model's C++ sources in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("mm1.cc", "MM1.ned"):
        shutil.copy(MODEL / name, folder)
    for command in (["opp_makemake", "-f", "--deep", *options], ["make", "MODE=release"]):
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def clean(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    for name in list(os.environ):
        if name.startswith(("OPPCLOUD_", "PYTEST_")):
            monkeypatch.delenv(name)
    pytester.makeini("[pytest]")
    return pytester


def test_an_executable_named_after_the_folder(clean: pytest.Pytester) -> None:
    folder = clean.path / "queue"
    make(folder)
    shutil.copy(MODEL / "omnetpp.ini", folder)
    recorded = clean.runpytest_subprocess("queue", "--opp-update-baselines=new", "-q")
    recorded.assert_outcomes(passed=22)
    recorded.stdout.fnmatch_lines(["22 simulations by ./queue (release, built here)"])
    clean.runpytest_subprocess("queue", "-n", "2").assert_outcomes(passed=22)
    # The same runs as those of the examples, whose baselines name the same values.
    ours, theirs = (
        [line for line in path.read_text().splitlines() if line.startswith(("scalar", "fingerprint tplx"))]
        for path in (folder / "baselines" / "omnetpp.ini.txt", MODEL / "baselines" / "omnetpp.ini.txt")
    )
    assert ours == theirs
    # An entry on the command line, one for a result file, and an iterated one: OMNeT++ lists them as expected.
    one = clean.runpytest_subprocess("queue", "--opp-config=Load", "--opp-runs=0", "--opp-set=seed-set=3", "-q")
    one.assert_outcomes(failed=1)
    one.stdout.fnmatch_lines(["*seed-set*(not set) -> 3*"])


def test_a_library_in_src_beside_simulations(clean: pytest.Pytester) -> None:
    make(clean.path / "src", "-s", "-o", "queues")
    (clean.path / "simulations").mkdir()
    ini = (MODEL / "omnetpp.ini").read_text()
    # Overload with results of its own name, and with a variable that has no name.
    more = 'output-scalar-file = "own.sca"\n[Fast]\nextends = Overload\n**.serviceTime = exponential(${0.5, 0.6}s)\n'
    (clean.path / "simulations" / "omnetpp.ini").write_text(ini + more)
    chosen = "--opp-config=Overload", "--opp-config=Fast"
    result = clean.runpytest_subprocess(*chosen, "--opp-update-baselines=new", "-q")
    result.assert_outcomes(passed=18)
    result.stdout.fnmatch_lines(["18 simulations by opp_run -l ../src/libqueues.* (release, built in ../src)"])
