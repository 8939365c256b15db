"""A folder with a small model, as `opp_makemake` would have built it, and pytest runs in it."""

from __future__ import annotations

import os
import shlex
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("tiny_model.py")

INI = """\
[General]
network = Tiny
sim-time-limit = 10s

[Study]
repeat = 2
Tiny.value = ${value=1,2}
"""


@dataclass(frozen=True)
class Folder:
    """A model's folder."""

    pytester: pytest.Pytester
    path: Path

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def build(self, folder: Path | None = None) -> Path:
        """Put the program where `make` would."""
        folder = folder or self.path
        program = folder / folder.name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(PROGRAM))} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest with our core alone, and xdist where it is asked for: other plugins take longer than the test."""
        more = ["-p", "xdist.plugin"] if "-n" in arguments else []
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            return self.run_as_installed("-p", "oppsim", *more, *arguments)

    def run_as_installed(self, *arguments: str) -> pytest.RunResult:
        """Run pytest with all plugins that are installed, as users do."""
        return self.pytester.runpytest_subprocess(*arguments)

    def record(self, *arguments: str) -> None:
        """Record baselines of all that passes."""
        self.run("--opp-update-baselines=new", "-q", *arguments)

    @property
    def baselines(self) -> Path:
        return self.path / "baselines" / "omnetpp.ini.txt"

    def ids(self, *arguments: str) -> list[str]:
        """Return the node ids that pytest collects."""
        lines = self.run("--co", "-q", *arguments).outlines
        return [line for line in lines if "::" in line]


@pytest.fixture
def folder(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """Make a folder with a built model and an ini file of five runs, none of them recorded."""
    for name in list(os.environ):
        # With CI set, pytest prints whole failure texts a second time.
        if name.startswith(("OPPCLOUD_", "PYTEST_")) or name in {"CI", "BUILD_NUMBER"}:
            monkeypatch.delenv(name)
    found = Folder(pytester=pytester, path=pytester.path)
    found.write("omnetpp.ini", INI)
    found.write("pytest.ini", "[pytest]\n")
    found.build()
    return found
