"""The examples pass: on the embedded engine, through a real queue, against the baselines recorded with OMNeT++."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pytest_oppcloud.baselines import baseline_path, read_baselines
from pytest_oppcloud.inifile import read_ini
from pytest_oppcloud.items import run_key
from pytest_oppcloud.runs import expand

EXAMPLES = Path(__file__).parents[2] / "example_sims"
MODELS = ("aloha", "mm1", "ring")


def test_there_are_no_others() -> None:
    assert sorted(path.parent.name for path in EXAMPLES.glob("*/omnetpp.ini")) == list(MODELS)


@pytest.mark.parametrize("model", MODELS)
def test_every_run_has_its_baseline(model: str) -> None:
    path = EXAMPLES / model / "omnetpp.ini"
    ini = read_ini(path)
    configs = [name for name in ini.config_names if not ini.config(name).abstract]
    keys = {run_key(run) for name in configs for run in expand(ini, name)}
    baselines = read_baselines(baseline_path(path))
    assert keys
    assert [key for key in keys if baselines.record(key) is None] == []
    assert list(baselines.unused(keys)) == []


@pytest.mark.slow
def test_the_first_repetition_of_all_runs_passes_through_a_queue(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith(("OPPCLOUD_", "PYTEST_")):
            monkeypatch.delenv(name)
    # A copy: what is run in the project's own folder leaves its traces there.
    shutil.copytree(
        EXAMPLES, pytester.path / "sims", ignore=shutil.ignore_patterns("results", "out", "__pycache__", ".*")
    )
    pytester.makeini("[pytest]\n")
    result = pytester.runpytest_subprocess(
        "--oppcloud", "--opp-program=engine", "--opp-runs=$repetition == 0", "-p", "no:cacheprovider", "sims"
    )

    result.stdout.fnmatch_lines(["simulations run through a private queue*"])
    expected = sum(
        len(expand(ini, name, run_filter="$repetition == 0"))
        for model in MODELS
        for ini in [read_ini(EXAMPLES / model / "omnetpp.ini")]
        for name in ini.config_names
        if not ini.config(name).abstract
    )
    assert expected > 20
    result.assert_outcomes(passed=expected)
