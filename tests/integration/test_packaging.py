"""What the two wheels hold: the same worker, once with the plugin and once alone."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def build(source: Path, target: Path) -> zipfile.ZipFile:
    """Return the wheel of the project in `source`, built as pip builds it, but by the tools that are installed here."""
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(target)]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, str(source)],
        check=True,
        # Neither the caller's coverage nor its options belong to the build.
        env={name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))},
    )
    (wheel,) = target.glob("*.whl")
    return zipfile.ZipFile(wheel)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, zipfile.ZipFile]:
    return {
        name: build(ROOT / folder, tmp_path_factory.mktemp(name))
        for name, folder in (("plugin", "."), ("worker", "worker"))
    }


def contents(wheel: zipfile.ZipFile, package: str) -> dict[str, bytes]:
    return {name: wheel.read(name) for name in wheel.namelist() if name.startswith(f"{package}/")}


def test_both_wheels_hold_the_same_worker(wheels: dict[str, zipfile.ZipFile]) -> None:
    worker = contents(wheels["worker"], "oppcloud_worker")

    assert worker == contents(wheels["plugin"], "oppcloud_worker")
    sources = (ROOT / "worker" / "oppcloud_worker").rglob("*.py")
    assert {str(path.relative_to(ROOT / "worker")) for path in sources} <= worker.keys()


@pytest.mark.parametrize(
    ("name", "packages"), [("plugin", {"oppcloud_worker", "pytest_oppcloud"}), ("worker", {"oppcloud_worker"})]
)
def test_wheels_hold_nothing_else(wheels: dict[str, zipfile.ZipFile], name: str, packages: set[str]) -> None:
    tops = {path.partition("/")[0] for path in wheels[name].namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == packages
    assert not [path for path in wheels[name].namelist() if "__pycache__" in path]


def metadata(wheel: zipfile.ZipFile, file: str) -> str:
    (name,) = (name for name in wheel.namelist() if name.endswith(f".dist-info/{file}"))
    return wheel.read(name).decode()


def test_the_worker_needs_neither_pytest_nor_boto3(wheels: dict[str, zipfile.ZipFile]) -> None:
    requirements = [
        line.partition(": ")[2]
        for line in metadata(wheels["worker"], "METADATA").splitlines()
        if line.startswith("Requires-Dist") and "extra ==" not in line
    ]

    assert sorted(requirement.partition(">")[0] for requirement in requirements) == ["redis", "rq<4,"]


def test_both_wheels_have_the_same_version(wheels: dict[str, zipfile.ZipFile]) -> None:
    versions = {
        line
        for wheel in wheels.values()
        for line in metadata(wheel, "METADATA").splitlines()
        if line.startswith("Version: ")
    }

    assert len(versions) == 1


def test_the_plugin_has_both_entry_points(wheels: dict[str, zipfile.ZipFile]) -> None:
    text = metadata(wheels["plugin"], "entry_points.txt")

    assert "oppsim = pytest_oppcloud.plugin" in text
    assert "oppcloud = pytest_oppcloud.cloud.plugin" in text
    assert "pytest_oppcloud/py.typed" in wheels["plugin"].namelist()
