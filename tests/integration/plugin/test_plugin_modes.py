"""What pytest says of where simulations run, and how to have none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Folder


def test_why_simulations_run_locally(folder: Folder) -> None:
    addopts = "--oppcloud --oppcloud-workers=2 --oppcloud-queue=mine --oppcloud-wait=5"
    result = folder.run_as_installed("-p", "no:oppcloud", "-o", f"addopts={addopts}", "--opp-config=General")
    result.stdout.fnmatch_lines(["simulations run locally (--oppcloud is overruled by -p no:oppcloud)"])
    result.assert_outcomes(failed=1)


def test_everything_can_be_turned_off(folder: Folder) -> None:
    assert folder.ids("-p", "no:oppsim", "-p", "no:oppcloud") == []
