"""What pytest says of where simulations run, and how to have none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Folder


def test_why_simulations_run_locally(folder: Folder) -> None:
    addopts = "--oppcloud --oppcloud-workers=2 --oppcloud-queue=mine --oppcloud-wait=5"
    result = folder.run_as_installed("-p", "no:oppcloud", "-o", f"addopts={addopts}", "--opp-config=General")
    result.stdout.fnmatch_lines(["simulations run locally (--oppcloud is overruled by -p no:oppcloud)"])
    result.assert_outcomes(failed=1)
    result = folder.run("--oppcloud-results=there", "--oppcloud-stack", "mine", "--opp-config=General")
    told = "no --oppcloud, without which --oppcloud-results, --oppcloud-stack do nothing"
    result.stdout.fnmatch_lines([f"simulations run locally ({told})"])


def test_only_a_plan_simulates_nothing(folder: Folder) -> None:
    for option in ("--setup-plan", "--setup-only"):
        result = folder.run_as_installed(option, "--oppcloud", '--opp-set=Tiny.do="error"', "--opp-config=General")
        assert (result.ret, "simulations run" in result.stdout.str()) == (pytest.ExitCode.OK, False)


def test_everything_can_be_turned_off(folder: Folder) -> None:
    assert folder.ids("-p", "no:oppsim", "-p", "no:oppcloud") == []
