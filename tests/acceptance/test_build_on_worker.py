"""The examples' C++ models, built by a worker with a real OMNeT++, against the baselines that are kept for them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.cloud.conftest import processes, server, workers

if TYPE_CHECKING:
    from tests.integration.cloud.conftest import Server, Workers

pytestmark = [
    pytest.mark.omnetpp,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("opp_run") is None, reason="no OMNeT++ here (opp_run on the PATH)"),
]

__all__ = ["processes", "server", "workers"]

EXAMPLES = Path(__file__).parents[2] / "example_sims"


def path_without_omnetpp() -> str:
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if not Path(folder, "opp_run").exists())


@pytest.mark.parametrize("model", ["aloha", "mm1", "ring"])
def test_a_model_that_a_worker_builds_gives_the_recorded_values(
    pytester: pytest.Pytester, server: Server, workers: Workers, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    # The worker has OMNeT++, pytest has not.
    workers.start(slots=2)
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", server.url)
    monkeypatch.setenv("PATH", path_without_omnetpp())
    ignored = shutil.ignore_patterns(model, "out", "Makefile", "results", "__pycache__")
    shutil.copytree(EXAMPLES / model, pytester.path / model, ignore=ignored)
    shutil.copytree(EXAMPLES / "engine", pytester.path / "engine", ignore=ignored)
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    result = pytester.runpytest_subprocess(model, "--oppcloud", "--opp-program=omnetpp", "--junitxml=junit.xml")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"*simulations by ./{model} (*to be built by its worker)", f"built {model} on *"])
    report = (pytester.path / "junit.xml").read_text()
    passed = result.parseoutcomes()["passed"]
    assert report.count('name="opp_product"') == passed > 15
    assert not (pytester.path / model / model).exists()


def test_a_model_with_the_library_of_a_neighbouring_project(
    pytester: pytest.Pytester, server: Server, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers.start(slots=1)
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", server.url)
    monkeypatch.setenv("PATH", path_without_omnetpp())
    library, home = pytester.path / "queues", pytester.path / "model"
    library.mkdir()
    home.mkdir()
    # The modules and their NED types lie in the library, the network and its ini file in the model.
    shutil.copy(EXAMPLES / "mm1" / "mm1.cc", library)
    shutil.copy(EXAMPLES / "mm1" / "MM1.ned", library)
    (home / "omnetpp.ini").write_text(
        "[General]\nnetwork = MM1\nsim-time-limit = 20s\n"
        "**.source.interArrivalTime = exponential(2s)\n**.queue.serviceTime = exponential(1s)\n"
    )
    (home / "oppcloud.toml").write_text(
        """
program = "opp_run -l ../queues/queues"
ned_path = [".", "../queues"]
build = ["sh", "-c", "cd ../queues && opp_makemake -f --deep -s -o queues && make"]
files.extra = ["../queues"]
"""
    )
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    result = pytester.runpytest_subprocess("model", "--oppcloud", "--opp-update-baselines=new")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["built libqueues.so on *"])
    again = pytester.runpytest_subprocess("model", "--oppcloud")
    again.assert_outcomes(passed=1)
    again.stdout.fnmatch_lines(["*libqueues.so was built before on *"])
