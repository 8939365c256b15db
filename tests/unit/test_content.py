"""Which files travel with a run."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from pytest_oppcloud.content import Content, Recipe, content_of, library_folders
from pytest_oppcloud.project import Program, Project, read_project
from pytest_oppcloud.session import Projects

if TYPE_CHECKING:
    from pathlib import Path


def program(*files: Path, ned_path: tuple[str, ...] = ()) -> Program:
    return Program(words=("./p",), ned_path=ned_path, files=files, mode="release", reason="")


def touched(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(content: Content) -> list[str]:
    assert all((content.root / name).samefile(path) for name, path in content.files)
    return [name for name, _ in content.files]


def project(folder: Path, text: str) -> Project:
    (folder / "oppcloud.toml").write_text(text)
    return read_project(folder / "oppcloud.toml")


def test_without_git_the_folder_minus_what_is_made(tmp_path: Path) -> None:
    touched(
        tmp_path, "a.ned", "omnetpp.ini", "sub/b.ned", "a.o", "out/x", "results/y.sca", ".hidden", "baselines/z", "p"
    )
    content = content_of(Project(), program(tmp_path / "p"), tmp_path)
    assert names(content) == ["a.ned", "omnetpp.ini", "p", "sub/b.ned"]
    assert content.root == tmp_path
    assert content.directory(tmp_path / "sub") == "sub"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_with_git_what_it_tracks_and_the_program(tmp_path: Path) -> None:
    touched(tmp_path, "a.ned", "omnetpp.ini", "secret.txt", "gone.ned", "baselines/z", "out/gcc-release/p")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)  # noqa: S607  # whichever git there is
    add = ["git", "-C", str(tmp_path), "add", "a.ned", "omnetpp.ini", "gone.ned", "baselines"]
    subprocess.run(add, check=True)
    (tmp_path / "gone.ned").unlink()
    content = content_of(Project(), program(tmp_path / "out/gcc-release/p"), tmp_path)
    assert names(content) == ["a.ned", "omnetpp.ini", "out/gcc-release/p"]


@pytest.mark.parametrize(
    "tracked", [False, pytest.param(True, marks=pytest.mark.skipif(not shutil.which("git"), reason="needs git"))]
)
@pytest.mark.parametrize("include", ["", '[files]\ninclude = ["*.ned", "*.ini"]\n'])
def test_what_lies_behind_links_to_folders(tmp_path: Path, *, tracked: bool, include: str) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    touched(home, "omnetpp.ini", "p")
    touched(other, "a.ned", "sub/b.ned")
    (home / "link").symlink_to("../other")
    # These lead to nothing new.
    (home / "self").symlink_to(".")
    (other / "back").symlink_to("../home/link")
    (other / "up").symlink_to("..")
    (home / "gone").symlink_to("nowhere")
    said = project(home, include)
    if tracked:
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)  # noqa: S607  # whichever git there is
        subprocess.run(["git", "-C", str(tmp_path), "add", "--all"], check=True)  # noqa: S607  # as above
    found = names(content_of(said, program(home / "p"), home))
    assert [name for name in found if name != "oppcloud.toml"] == ["link/a.ned", "link/sub/b.ned", "omnetpp.ini", "p"]


def test_what_the_settings_say(tmp_path: Path) -> None:
    home, lib = tmp_path / "home", tmp_path / "lib"
    touched(home, "a.ned", "b.ini", "c.txt", "data/d.xml", "data/e.tmp", "p")
    touched(lib, "l.ned", "l.txt")
    said = project(home, '[files]\ninclude = ["*.ned", "*.ini", "data"]\nexclude = ["*.tmp"]\nextra = ["../lib"]\n')
    content = content_of(said, program(home / "p"), home)
    assert content.root == tmp_path
    assert names(content) == ["home/a.ned", "home/b.ini", "home/data/d.xml", "home/p", "lib/l.ned"]
    assert content.directory(home) == "home"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_what_git_does_not_know_stays_behind_and_is_told(tmp_path: Path) -> None:
    touched(tmp_path, "a.ned", "new.ned", "new_m.cc", "ignored.ned", "notes.txt", "sub/extra.ned", "p")
    (tmp_path / ".gitignore").write_text("ignored.ned\n")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)  # noqa: S607  # whichever git there is
    subprocess.run(["git", "-C", str(tmp_path), "add", "a.ned", ".gitignore"], check=True)  # noqa: S607  # whichever git there is
    said = project(tmp_path, '[files]\nextra = ["sub/extra.ned"]\n')
    content = content_of(said, program(tmp_path / "p"), tmp_path)
    assert names(content) == [".gitignore", "a.ned", "p", "sub/extra.ned"]
    assert content.left_behind == (tmp_path / "new.ned",)
    # The ini file that is run is one of those that travel in any case.
    more = Projects().content(said, program(tmp_path / "p"), tmp_path / "new.ned")
    assert (names(more), more.left_behind) == ([".gitignore", "a.ned", "new.ned", "p", "sub/extra.ned"], ())


def test_what_a_build_makes_is_no_source(tmp_path: Path) -> None:
    home = tmp_path / "model"
    touched(home, "a.ned", "a.cc", "p")
    (home / "helper").write_bytes(b"\x7fELF...")
    said = project(home, 'build = ["make"]\nbuild_timeout = 60\n')
    content = content_of(said, program(home / "p"), home)
    # The folder keeps its name, after which opp_makemake calls the program.
    assert names(content) == ["model/a.cc", "model/a.ned", "model/oppcloud.toml", "model/p"]
    assert names(content.sources()) == ["model/a.cc", "model/a.ned", "model/oppcloud.toml"]
    assert content.recipe == Recipe(
        command=("make",), directory="model", mode="release", makes=("model/p",), timeout=60.0
    )
    assert content.is_built

    (home / "p").unlink()
    unbuilt = content_of(said, program(home / "p"), home)
    assert names(unbuilt) == names(content.sources())
    assert not unbuilt.is_built


def test_a_python_program_needs_no_build(tmp_path: Path) -> None:
    touched(tmp_path, "p.py")
    said = project(tmp_path, 'build = ["make"]\n')
    script = Program(words=("{python}", "p.py"), ned_path=(), files=(tmp_path / "p.py",), mode="", reason="")
    assert content_of(said, script, tmp_path).recipe is None


def test_folders_of_libraries() -> None:
    listed = ["libtop.so", "a/libx.so.1", "a/b.so", "c/liby.dylib", "d/lib.txt"]
    assert library_folders(listed) == (".", "a", "c")


def test_folders_of_the_ned_path_come_along(tmp_path: Path) -> None:
    touched(tmp_path, "simulations/omnetpp.ini", "src/a.ned", "src/p", "doc/text")
    content = content_of(Project(), program(tmp_path / "src/p", ned_path=(".", "../src")), tmp_path / "simulations")
    assert names(content) == ["simulations/omnetpp.ini", "src/a.ned", "src/p"]
