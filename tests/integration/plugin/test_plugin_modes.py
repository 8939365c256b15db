"""The same items, verdicts and reports, whoever runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from .conftest import Folder

#: Properties that tell about the machine, not about the run.
_OF_THE_MACHINE = {"opp_host", "opp_wall_time", "opp_files"}


def junit(folder: Folder, *arguments: str) -> list[tuple[object, ...]]:
    folder.run_as_installed("--junitxml=junit.xml", *arguments)
    found = []
    for case in ET.parse(folder.path / "junit.xml").iterfind(".//testcase"):  # noqa: S314 - our own files
        properties = tuple(
            (item.get("name"), item.get("value"))
            for item in case.iterfind(".//property")
            if item.get("name") not in _OF_THE_MACHINE
        )
        results = tuple((item.tag, item.get("message")) for item in case if item.tag in {"failure", "error", "skipped"})
        found.append((case.get("classname"), case.get("name"), properties, results))
    return sorted(found, key=str)


@pytest.mark.parametrize(
    "mode", [["-p", "no:oppcloud"], ["-p", "no:oppcloud", "-o", "addopts=--oppcloud"], ["-n", "2"]], ids=" ".join
)
def test_reports_are_the_same(folder: Folder, mode: list[str]) -> None:
    folder.record("--opp-config=General", "--opp-runs=0")
    folder.write("test_it.py", "def test_it(): pass\n")
    folder.write("oppcloud.toml", '[config.Study]\nmarkers = ["slow"]\n')
    folder.write("pytest.ini", "[pytest]\nmarkers = slow: x\n")
    plain = junit(folder)
    assert len(plain) == 6
    assert junit(folder, *mode) == plain


def test_why_simulations_run_locally(folder: Folder) -> None:
    addopts = "--oppcloud --oppcloud-workers=2 --oppcloud-queue=mine --oppcloud-wait=5"
    result = folder.run_as_installed("-p", "no:oppcloud", "-o", f"addopts={addopts}", "--opp-config=General")
    result.stdout.fnmatch_lines(["simulations run locally (--oppcloud is overruled by -p no:oppcloud)"])
    result.assert_outcomes(failed=1)


def test_everything_can_be_turned_off(folder: Folder) -> None:
    assert folder.ids("-p", "no:oppsim", "-p", "no:oppcloud") == []
