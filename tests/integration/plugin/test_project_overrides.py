"""Entries of the ini file that `arguments` in `oppcloud.toml` override."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Folder

TOML = 'arguments = ["--Tiny.value=7"]\n[config.Study]\narguments = ["--repeat=1", "--sim-time-limit=5s"]\n'


def test_they_decide_which_runs_there_are(folder: Folder) -> None:
    folder.write("oppcloud.toml", TOML)
    assert folder.ids() == [
        "omnetpp.ini::General::#0",
        "omnetpp.ini::Study::value=1-#0",
        "omnetpp.ini::Study::value=2-#0",
    ]


def test_they_hold_for_the_run_and_stand_in_its_baseline(folder: Folder) -> None:
    folder.write("oppcloud.toml", TOML)
    folder.record()
    text = folder.baselines.read_text()
    general, study = text[text.index("run General") :].split("run Study", 1)
    assert "scalar Tiny value 7\n" in general
    assert "scalar Tiny value 7\n" not in study
    assert "\nTiny.value 7\n" in text
    assert "\nrepeat 1\n" in text
    assert "\nsim-time-limit 5s\n" in text
    result = folder.run()
    result.assert_outcomes(passed=3)


def test_the_option_wins_over_them(folder: Folder) -> None:
    folder.write("oppcloud.toml", TOML)
    result = folder.run("--opp-config=General", "--opp-set=Tiny.value=8", "--opp-update-baselines=new")
    result.assert_outcomes(passed=1)
    assert "scalar Tiny value 8\n" in folder.baselines.read_text()


def test_an_object_option_without_a_path_is_meant_for_all(folder: Folder) -> None:
    result = folder.run("--opp-config=General", "--opp-set=vector-recording=true", "--opp-update-baselines=new")
    result.assert_outcomes(passed=1)
    assert "\n**.vector-recording true\n" in folder.baselines.read_text()


def test_what_each_run_gets_cannot_be_overridden(folder: Folder) -> None:
    result = folder.run("--opp-set=result-dir=elsewhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--opp-set: result-dir is given to each run and cannot be overridden*"])


def test_without_them_a_run_differs_from_its_baseline(folder: Folder) -> None:
    folder.write("oppcloud.toml", 'arguments = ["--num-rngs=3"]\n')
    folder.record("--opp-config=General")
    folder.write("oppcloud.toml", "")
    result = folder.run("--opp-config=General")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*num-rngs*"])


def test_a_parallel_simulation_is_no_test(folder: Folder) -> None:
    folder.write("omnetpp.ini", "[General]\nnetwork = Tiny\nsim-time-limit = 1s\nparallel-simulation = true\n")
    result = folder.run("-rs", "--co")
    result.stdout.fnmatch_lines(["*omnetpp.ini:1: config General is a parallel simulation: *"])


@pytest.mark.parametrize("settings", [False, True])
def test_a_project_is_found_from_inside(folder: Folder, monkeypatch: pytest.MonkeyPatch, settings: bool) -> None:
    folder.write("oppcloud.toml", 'arguments = ["--repeat=3"]\n')
    folder.write("simulations/one/omnetpp.ini", "[General]\nnetwork = Tiny\nsim-time-limit = 1s\n")
    if not settings:
        (folder.path / "pytest.ini").unlink()
    monkeypatch.chdir(folder.path / "simulations" / "one")
    result = folder.run("--opp-update-baselines=new")
    result.assert_outcomes(passed=3)
