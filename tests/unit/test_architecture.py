"""Promises about the code as a whole that import contracts cannot tell."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_oppcloud import plugin

ROOT = Path(__file__).parents[2]
MODULES = sorted([*ROOT.glob("pytest_oppcloud/**/*.py"), *ROOT.glob("worker/oppcloud_worker/**/*.py")])


def users(*names: str) -> list[str]:
    """Return the modules whose code mentions a name, as itself or as an attribute."""
    return [
        path.relative_to(ROOT).as_posix()
        for path in MODULES
        if any(
            (isinstance(node, ast.Name) and node.id in names)
            or (isinstance(node, ast.Attribute) and ast.unparse(node) in names)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )
    ]


def imports(module: str) -> list[str]:
    """Return the modules that import a module of ours, under whatever name."""
    package, _, name = module.rpartition(".")
    found = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                source = node.module or ""
                names = {alias.name for alias in node.names}
                if source in {module, name} or (name in names and source in {package, ""}):
                    found.append(path.relative_to(ROOT).as_posix())
    return sorted(set(found))


def test_one_function_starts_simulations_and_two_places_call_it() -> None:
    assert users("simulation.execute", "execute") == ["pytest_oppcloud/execution.py", "worker/oppcloud_worker/job.py"]
    assert imports("oppcloud_worker.guardian") == ["worker/oppcloud_worker/supervision.py"]
    # Builds are started in a second place, and by workers only.
    assert users("building.build") == ["worker/oppcloud_worker/job.py"]
    assert users("guardian", "Guardian") == [
        "worker/oppcloud_worker/building.py",
        "worker/oppcloud_worker/simulation.py",
        "worker/oppcloud_worker/supervision.py",
    ]


def test_what_is_looked_for_above_is_there() -> None:
    assert len(MODULES) > 80
    assert "def execute(" in (ROOT / "worker" / "oppcloud_worker" / "simulation.py").read_text(encoding="utf-8")


def test_windows_is_refused_in_so_many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "os", SimpleNamespace(name="nt"))
    with pytest.raises(pytest.UsageError, match="Linux and macOS; on Windows use WSL"):
        plugin.pytest_addoption(pytest.Parser(_ispytest=True))
