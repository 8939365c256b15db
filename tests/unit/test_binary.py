"""What program files tell of themselves."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_oppcloud.project import is_binary, own_libraries, read_binary

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has programs of this kind")


def compiled(folder: Path, name: str, text: str, *options: str) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("there is no C compiler (gcc)")
    folder.mkdir(exist_ok=True)
    (folder / "source.c").write_text(text)
    command = ["gcc", "source.c", "-o", name, *options]
    subprocess.run(command, cwd=folder, check=True)
    return folder / name


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fEL", b"\x7fELF", b"\x7fELF" + b"\xff" * 60, b"\xcf\xfa"])
def test_what_is_no_program_tells_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "p").write_bytes(data)
    assert read_binary(tmp_path / "p") is None
    assert read_binary(tmp_path / "gone") is None
    assert not is_binary(tmp_path / "gone")


@pytest.mark.parametrize(("number", "machine"), [(0x0100000C, "arm64"), (0x01000007, "x86_64"), (7, "")])
def test_programs_of_macos(tmp_path: Path, number: int, machine: str) -> None:
    (tmp_path / "p").write_bytes(b"\xcf\xfa\xed\xfe" + number.to_bytes(4, "little") + b"\0" * 50)
    found = read_binary(tmp_path / "p")
    assert found is not None
    assert (found.system, found.machine) == ("darwin", machine)


def test_the_interpreter_that_runs_this() -> None:
    found = read_binary(Path(sys.executable).resolve())
    assert found is not None
    assert found.system == sys.platform
    assert found.omnetpp == ""


@needs_linux
def test_libraries_of_the_project_are_found_through_each_other(tmp_path: Path) -> None:
    inner = compiled(tmp_path / "inner", "libinner.so", "int inner() { return 1; }", "-shared", "-fPIC")
    outer = compiled(
        tmp_path / "outer",
        "libouter.so",
        "int inner(); int outer() { return inner(); }",
        *("-shared", "-fPIC", "-L../inner", "-linner", "-Wl,-rpath,$ORIGIN/../inner"),
    )
    program = compiled(
        tmp_path / "home",
        "p",
        "int outer(); int main() { return outer(); }",
        *("-L../outer", "-louter", f"-Wl,-rpath,{tmp_path}/outer", f"-Wl,-rpath-link,{tmp_path}/inner"),
    )
    found = [path.resolve() for path in own_libraries([program], [tmp_path])]
    assert found == [outer, inner]
    # The C library is not the project's.
    assert own_libraries([program], [tmp_path / "home"]) == []


@needs_linux
def test_the_version_of_the_omnetpp_that_is_linked(tmp_path: Path) -> None:
    root = tmp_path / "omnetpp-6.1"
    root.mkdir()
    compiled(root / "lib", "liboppsim.so", "int simulate() { return 0; }", "-shared", "-fPIC")
    options = ("-L../omnetpp-6.1/lib", "-loppsim", f"-Wl,-rpath,{root}/lib")
    program = compiled(tmp_path / "home", "p", "int simulate(); int main() { return simulate(); }", *options)
    found = read_binary(program)
    assert found is not None
    assert "liboppsim.so" in found.needed
    assert found.omnetpp == ""
    (root / "Version").write_text("omnetpp-6.1\n")
    assert found.omnetpp == "6.1"
    assert found.glibc >= (2, 2)
