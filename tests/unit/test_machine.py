"""What a worker tells about its machine."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from oppcloud_worker import machine
from oppcloud_worker.ticket import Needs
from oppcloud_worker.wire import MessageError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_system_names_what_programs_are_built_for() -> None:
    parts = machine.system().split("-")

    assert parts[:2] == [sys.platform, os.uname().machine]
    if "glibc" in parts:
        assert parts[-1][0].isdecimal()


def test_the_machine_is_called_what_it_is_told() -> None:
    assert machine.name({"OPPCLOUD_HOST": "i-0123"}) == "i-0123"
    assert machine.name({"OPPCLOUD_HOST": ""}) == os.uname().nodename


def test_omnetpp_is_found_by_its_opp_run(tmp_path: Path) -> None:
    program = tmp_path / "omnetpp" / "bin" / "opp_run"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    link = tmp_path / "link"
    link.symlink_to(program.parent)
    path = {"PATH": str(link)}
    # Without its file it is one whose version nobody knows.
    assert machine.omnetpp(path) == ""
    (tmp_path / "omnetpp" / "Version").write_text("omnetpp-6.1\n")

    assert machine.omnetpp(path) == "6.1"
    assert machine.omnetpp({"PATH": str(tmp_path)}) == ""


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/app\n", {"v2/app/memory.max": "max", "v2/memory.max": "1000"}, 1000),
        ("0::/app/run\n", {"v2/app/run/memory.max": "3000", "v2/app/memory.max": "2000"}, 2000),
        # A container sees the path of the host, and its own group at the top.
        ("0::/docker/1234\n", {"v2/memory.max": "4000"}, 4000),
        ("5:cpu:/x\n4:memory:/app\n0::/\n", {"v1/app/memory.limit_in_bytes": "5000"}, 5000),
        ("0::/app\n", {"v2/app/memory.max": str(2**62)}, None),
        ("0::/app\n", {}, None),
    ],
)
def test_memory_is_what_the_control_group_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: str, files: dict[str, str], limit: int | None
) -> None:
    (tmp_path / "cgroup").write_text(groups)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "nothing")
    physical = machine.memory()
    assert physical > 2**24
    for name, path in (("_CGROUPS", "cgroup"), ("_V2", "v2"), ("_V1", "v1")):
        monkeypatch.setattr(machine, name, tmp_path / path)

    assert machine.memory() == (limit or physical)


@pytest.mark.parametrize(("memory", "image"), [(-1, ""), (0, "two words"), (0, "line\n")])
def test_needs_that_cannot_be_are_refused(memory: int, image: str) -> None:
    with pytest.raises(MessageError):
        Needs(memory=memory, image=image)
