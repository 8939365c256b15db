"""The hooks that pytest-oppcloud adds, as other plugins use them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Folder

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "hooks.md"


def test_the_documented_executor_runs_the_simulations(folder: Folder) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", REFERENCE.read_text(), re.MULTILINE | re.DOTALL)
    folder.write("conftest.py", example)
    result = folder.run("--opp-config=General", "--opp-update-baselines=new")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["simulations run locally (runs.txt tells which)"])
    assert (folder.path / "runs.txt").read_text() == "omnetpp.ini::General::#0\n"
