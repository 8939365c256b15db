"""Programs that workers build: once, where they run, for all who need them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Processes, Project, Server, Workers

WaitFor = Callable[[Callable[[], object], float, str], None] if TYPE_CHECKING else object

#: "Compiles" the sources into a program; each build leaves a mark outside of what travels.
COMPILER = """
import os, pathlib, sys, time
with open({marks!r}, "a") as stream:
    print(os.getcwd(), file=stream)
path = pathlib.Path({marks!r} + ".wait")
while path.exists():
    time.sleep(0.02)
print("compiling tiny.py")
source = pathlib.Path("tiny.py").read_text()
if "syntax error" in source:
    print("tiny.py:1: error: this is no program", file=sys.stderr)
    sys.exit(2)
pathlib.Path("out").mkdir()
pathlib.Path("out/sim.o").write_text("an object file")
program = pathlib.Path("out/sim")
program.write_text("#!" + sys.executable + "\\n" + source)
program.chmod(0o755)
os.symlink("out/sim", "sim")
"""


class Model:
    """A model whose program a build makes."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self.path = project.pytester.path
        self.marks = folder / "marks"
        (self.path / "compile.py").write_text(COMPILER.format(marks=str(self.marks)))
        self.settings()

    def settings(self, build: str = "{python} compile.py", more: str = "") -> None:
        (self.path / "oppcloud.toml").write_text(
            f'program = "./sim"\nbuild = "{build}"\n{more}\n[files]\ninclude = ["*.py", "*.ini"]\n'
        )

    @property
    def builds(self) -> int:
        """How many builds were begun."""
        return len(self.marks.read_text().splitlines()) if self.marks.exists() else 0


@pytest.fixture
def model(project: Project, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", server.url)
    found = Model(project, tmp_path)
    project.write("repeat = 40\n")
    # Recorded at the desk, with the program as the sources have it.
    (found.path / "sim").write_text(f"#!{sys.executable}\n{(found.path / 'tiny.py').read_text()}")
    (found.path / "sim").chmod(0o755)
    project.record()
    (found.path / "sim").unlink()
    return found


def test_forty_runs_on_two_workers_take_one_build(model: Model, workers: Workers) -> None:
    workers.start(slots=1)
    workers.start(slots=1)
    result = model.project.run("--oppcloud", "--junitxml=junit.xml")

    result.assert_outcomes(passed=40)
    assert model.builds == 1
    result.stdout.fnmatch_lines(["*oppcloud: building sim on *", "*oppcloud: built sim in * s, 2 files", "built sim on *"])
    report = (model.path / "junit.xml").read_text()
    assert report.count('name="opp_product"') == 40

    again = model.project.run("--oppcloud")
    again.assert_outcomes(passed=40)
    assert model.builds == 1
    again.stdout.fnmatch_lines(["*oppcloud: sim was built before on *; that is used"])
