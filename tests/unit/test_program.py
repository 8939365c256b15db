"""Which program simulates the runs of an ini file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_oppcloud.project import (
    Program,
    ProgramMissingError,
    ProgramWish,
    Project,
    RunSettings,
    find_program,
    newer_source,
    read_project,
    top_folder,
)

if TYPE_CHECKING:
    from pathlib import Path

MAKEFILE = """\
#  This file was generated with the command:
#  opp_makemake -f --deep
TARGET_DIR = .
TARGET_NAME = {name}$(D)
TARGET = {target}
PROJECT_OUTPUT_DIR = {output}
PROJECTRELATIVE_PATH = {part}
O = $(PROJECT_OUTPUT_DIR)/$(CONFIGNAME)/$(PROJECTRELATIVE_PATH)
"""


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def makefile(
    folder: Path, *, name: str, target: str = "$(TARGET_NAME)$(EXE_SUFFIX)", output: str = "out", part: str = ""
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Makefile").write_text(MAKEFILE.format(name=name, target=target, output=output, part=part))


def built(folder: Path, *, mode: str = "", top: Path | None = None) -> Program:
    return find_program(
        ProgramWish(project=Project(), settings=RunSettings(), folder=folder, mode=mode, top=top or folder)
    )


def named(folder: Path, text: str, *, mode: str = "", name: str = "", config: str = "General") -> Program:
    (folder / "oppcloud.toml").write_text(text)
    project = read_project(folder / "oppcloud.toml")
    return find_program(
        ProgramWish(project=project, settings=project.settings(config), folder=folder, mode=mode, name=name, top=folder)
    )


def test_named_after_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "fifo"
    executable(folder / "fifo")
    program = built(folder)
    assert program.words == ("./fifo",)
    assert (program.mode, program.ned_path, program.reason) == ("release", (), "built here")
    assert program.files == (folder / "fifo",)


def test_the_target_of_the_makefile(tmp_path: Path) -> None:
    makefile(tmp_path, name="other")
    executable(tmp_path / "other")
    executable(tmp_path / tmp_path.name)
    assert built(tmp_path).words == ("./other",)


@pytest.mark.parametrize("text", ["TARGET = old$(EXE_SUFFIX)\n", "TARGET=old\n", "TARGET := old$(D)\n"])
def test_targets_of_other_makefiles(tmp_path: Path, text: str) -> None:
    (tmp_path / "Makefile").write_text(text)
    executable(tmp_path / "old")
    assert built(tmp_path).words == ("./old",)


def test_under_out(tmp_path: Path) -> None:
    makefile(tmp_path / "src", name="prog", output="../out", part="src")
    executable(tmp_path / "out" / "gcc-release" / "src" / "prog")
    assert built(tmp_path / "src", top=tmp_path).words == ("../out/gcc-release/src/prog",)


def test_modes(tmp_path: Path) -> None:
    makefile(tmp_path, name="prog")
    executable(tmp_path / "prog_dbg")
    assert built(tmp_path).words == ("./prog_dbg",)
    assert built(tmp_path).mode == "debug"
    executable(tmp_path / "prog")
    assert built(tmp_path).words == ("./prog",)
    assert built(tmp_path, mode="debug").words == ("./prog_dbg",)


def test_a_missing_mode_is_not_replaced(tmp_path: Path) -> None:
    makefile(tmp_path, name="prog")
    executable(tmp_path / "prog")
    with pytest.raises(ProgramMissingError) as caught:
        built(tmp_path, mode="debug")
    assert "prog_dbg" in caught.value.message
    assert "make MODE=debug" in caught.value.advice


def test_a_library_goes_through_opp_run(tmp_path: Path) -> None:
    makefile(tmp_path / "src", name="$(LIB_PREFIX)INET", target="$(TARGET_NAME)$(SHARED_LIB_SUFFIX)")
    (tmp_path / "src" / "libINET.so").touch()
    folder = tmp_path / "examples" / "lan"
    folder.mkdir(parents=True)
    (tmp_path / ".nedfolders").write_text("src\nexamples\n-src/none\nmissing\n")
    program = built(folder, top=tmp_path)
    assert program.words == ("opp_run", "-l", "../../src/libINET.so")
    assert program.ned_path == ("../../src", "..")
    assert program.files == (tmp_path / "src" / "libINET.so",)


def test_a_program_in_src_beside_simulations(tmp_path: Path) -> None:
    makefile(tmp_path / "src", name="model")
    executable(tmp_path / "src" / "model")
    folder = tmp_path / "simulations" / "a"
    folder.mkdir(parents=True)
    (tmp_path / "simulations" / "package.ned").touch()
    program = built(folder, top=tmp_path)
    assert program.words == ("../../src/model",)
    assert program.ned_path == ("..", "../../src")


def test_folders_in_between_need_no_package_file(tmp_path: Path) -> None:
    makefile(tmp_path / "src", name="model")
    executable(tmp_path / "src" / "model")
    folder = tmp_path / "simulations" / "study" / "one"
    folder.mkdir(parents=True)
    (tmp_path / "simulations" / "package.ned").touch()
    assert built(folder, top=tmp_path).ned_path == ("../..", "../../../src")


def test_what_a_makefile_would_build_is_told_first(tmp_path: Path) -> None:
    makefile(tmp_path / "src", name="model")
    folder = tmp_path / "simulations"
    folder.mkdir()
    with pytest.raises(ProgramMissingError, match=r"there is no \.\./src/model_dbg, ") as caught:
        built(folder, mode="debug", top=tmp_path)
    assert "make MODE=debug -C ../src" in caught.value.advice
    assert f"Folders above {tmp_path} were not looked at" in caught.value.advice


@pytest.mark.parametrize("mark", ["oppcloud.toml", ".oppbuildspec", ".nedfolders", ".git"])
def test_the_top_of_a_project(tmp_path: Path, mark: str) -> None:
    folder = tmp_path / "project" / "simulations" / "one"
    folder.mkdir(parents=True)
    (tmp_path / "project" / mark).touch()
    assert top_folder(folder) == tmp_path / "project"


def test_a_static_library_is_no_program(tmp_path: Path) -> None:
    makefile(tmp_path, name="$(LIB_PREFIX)x", target="$(TARGET_NAME).a")
    (tmp_path / "libx.a").touch()
    with pytest.raises(ProgramMissingError):
        built(tmp_path)


def test_folders_above_the_top_are_not_looked_at(tmp_path: Path) -> None:
    executable(tmp_path / tmp_path.name)
    folder = tmp_path / "inner"
    folder.mkdir()
    assert built(folder, top=tmp_path).words == (f"../{tmp_path.name}",)
    with pytest.raises(ProgramMissingError):
        built(folder, top=folder)


def test_nothing_built(tmp_path: Path) -> None:
    (tmp_path / tmp_path.name).touch()  # not executable
    with pytest.raises(ProgramMissingError) as caught:
        built(tmp_path)
    assert tmp_path.name in caught.value.message
    assert "opp_makemake -f --deep && make MODE=release" in caught.value.advice
    assert "oppcloud.toml" in caught.value.advice


def test_the_first_alternative_that_exists(tmp_path: Path) -> None:
    (tmp_path / "model.py").touch()
    text = 'program = { cpp = "./model", engine = "{python} model.py" }\nbuild = ["make", "all"]\n'
    program = named(tmp_path, text)
    assert program.words == ("{python}", "./model.py")
    assert program.reason == "engine of oppcloud.toml, as there is no ./model, ./model_dbg"
    executable(tmp_path / "model")
    assert named(tmp_path, text).words == ("./model",)
    assert named(tmp_path, text, name="engine").words == ("{python}", "./model.py")
    with pytest.raises(ProgramMissingError) as caught:
        named(tmp_path, text, name="other")
    assert caught.value.advice == "Programs here: cpp, engine"


def test_no_alternative_exists(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissingError) as caught:
        named(tmp_path, 'program = ["./a", "no-such-command-on-the-path"]\nbuild = ["make", "all"]\n', mode="release")
    assert caught.value.message == "none of these programs exists: ./a, no-such-command-on-the-path on the PATH"
    assert caught.value.advice == "Build it: make all"


def test_paths_are_relative_to_the_settings_file(tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "run")
    (tmp_path / "lib.so").touch()
    folder = tmp_path / "sims" / "one"
    folder.mkdir(parents=True)
    (tmp_path / "oppcloud.toml").write_text(
        'program = [["bin/run", "-l", "lib.so", "{folder}", "{name}"]]\nned_path = ["src", "{folder}"]\n'
    )
    project = read_project(tmp_path / "oppcloud.toml")
    program = find_program(ProgramWish(project=project, settings=project.settings("A"), folder=folder))
    assert program.words == ("../../bin/run", "-l", "../../lib.so", ".", "one")
    assert program.files == (tmp_path / "bin" / "run", tmp_path / "lib.so")
    assert program.ned_path == ("../../src", ".")


def test_debug_mode_of_a_named_program(tmp_path: Path) -> None:
    executable(tmp_path / "a")
    assert named(tmp_path, 'program = "./a"\n').words == ("./a",)
    with pytest.raises(ProgramMissingError, match="a_dbg"):
        named(tmp_path, 'program = "./a"\n', mode="debug")


def test_a_named_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As OMNeT++ completes the name after -l, so that the library is found from the ini file's folder, and travels.
    executable(tmp_path / "bin" / "opp_run")
    executable(tmp_path / "bin" / "opp_run_dbg")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    text = 'program = "opp_run -l src/INET"\n'
    with pytest.raises(ProgramMissingError, match=r"exists: src/libINET\.so, src/libINET_dbg\.so"):
        named(tmp_path, text)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "libINET.so").touch()
    program = named(tmp_path, text)
    assert program.words == ("opp_run", "-l", "src/libINET.so")
    assert program.files == (tmp_path / "src" / "libINET.so",)
    (tmp_path / "src" / "libINET_dbg.so").touch()
    assert named(tmp_path, text, mode="debug").words == ("opp_run_dbg", "-l", "src/libINET_dbg.so")
    assert named(tmp_path, 'program = "opp_run -l src/libINET.so"\n').words == program.words
    assert named(tmp_path, 'program = "opp_run -l INET"\n').words == ("opp_run", "-l", "INET")


def test_a_name_without_a_settings_file(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissingError, match="names programs for"):
        find_program(ProgramWish(project=Project(), settings=RunSettings(), folder=tmp_path, name="engine"))


# -- to be built by a worker -----------------------------------------------------------------------------------------


def promised(folder: Path, text: str, *, mode: str = "", home: Path | None = None) -> Program:
    home = home or folder
    (home / "oppcloud.toml").write_text(text)
    project = read_project(home / "oppcloud.toml")
    return find_program(
        ProgramWish(
            project=project,
            settings=project.settings("General"),
            folder=folder,
            mode=mode,
            top=home,
            buildable=True,
        )
    )


def test_what_a_build_will_make_is_promised(tmp_path: Path) -> None:
    text = 'build = "make"\nprogram = ["{python} missing.py", "src/sim -x"]\n'
    program = promised(tmp_path, text, mode="debug")
    assert (program.words, program.files) == (("src/sim_dbg", "-x"), (tmp_path / "src/sim_dbg",))
    assert not program.built
    assert program.reason.endswith("to be built by its worker")


def test_a_library_for_opp_run_is_promised(tmp_path: Path) -> None:
    program = promised(tmp_path, 'build = "make"\nprogram = "opp_run -l src/model"\n')
    assert program.words == ("opp_run", "-l", "src/libmodel.so")
    assert program.files == (tmp_path / "src" / "libmodel.so",)


def test_what_exists_wins_over_what_must_be_built(tmp_path: Path) -> None:
    (tmp_path / "sim.py").touch()
    program = promised(tmp_path, 'build = "make"\nprogram = ["./sim", "{python} sim.py"]\n')
    assert program.words == ("{python}", "./sim.py")
    assert program.built


def test_without_a_name_the_makefile_promises_or_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "simulations"
    folder.mkdir()
    assert promised(folder, 'build = "make"\n', home=tmp_path).words == (f"../{tmp_path.name}",)
    makefile(tmp_path / "src", name="model", target="$(LIB_PREFIX)$(TARGET_NAME)$(SHARED_LIB_SUFFIX)")
    program = promised(folder, 'build = "make"\n', home=tmp_path)
    assert program.words == ("opp_run", "-l", "../src/libmodel.so")


def test_without_a_build_command_nothing_is_promised(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissingError):
        promised(tmp_path, 'program = "./sim"\n')


def test_a_program_that_is_older_than_its_sources(tmp_path: Path) -> None:
    makefile(tmp_path, name="sim")
    program = executable(tmp_path / "out" / "gcc-release" / "sim")
    (tmp_path / "omnetpp.ini").touch()
    source, header, foreign = tmp_path / "Host.cc", tmp_path / "src" / "Host.h", tmp_path / "tools" / "tool.cc"
    for path in (source, header, foreign):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    makefile(foreign.parent, name="tool")
    changed = program.stat().st_mtime
    for path in (source, header):
        os.utime(path, (changed, changed))
    for path in (tmp_path / "omnetpp.ini", foreign):
        os.utime(path, (changed, changed + 100))
    assert newer_source(built(tmp_path)) is None

    os.utime(header, (changed, changed + 60))
    assert newer_source(built(tmp_path)) == (program, header)
    os.utime(program, (changed, changed + 90))
    assert newer_source(built(tmp_path)) is None


def test_a_makefile_further_up_is_not_that_of_the_program(tmp_path: Path) -> None:
    """All of somebody's home may be below it."""
    makefile(tmp_path, name="other")
    program = executable(tmp_path / "model" / "model")
    (tmp_path / "other.cc").touch()
    os.utime(program, (0, 0))
    assert newer_source(built(program.parent)) is None
