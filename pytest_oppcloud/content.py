"""What a run needs on another machine: the files that travel with it.

By default what git tracks in the project's folder, or, without git, the folder minus what is known to be made by
builds and runs; `oppcloud.toml` may say it otherwise. What `files.extra` names comes along, and so do the built program
and the libraries of these folders that it needs, or, in their place, the recipe to make them. Pure but for looking at
files and asking git: no pytest.
"""

from __future__ import annotations

import fnmatch
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from oppcloud_worker.simulation import PYTHON

from .project import is_binary, own_libraries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .project import Program, Project

#: Never travels, unless `files.include` names it: made by builds and runs, or of no use to a simulation.
_LEFT_AT_HOME = (
    ".*", "out", "results", "baselines", "__pycache__", "node_modules", "venv",
    "*.o", "*.a", "*.d", "*.pyc", "*.vec", "*.vci", "*.sca", "*.elog", "*.log", "*_dbg",
)  # fmt: skip
#: What people write and a run or a build needs, unless it is generated.
_WRITTEN = ("*.ned", "*.ini", "*.msg", "*.cc", "*.cpp", "*.h")
_GENERATED = ("*_m.cc", "*_m.cpp", "*_m.h")
_LIBRARIES = ("lib*.so", "lib*.so.*", "lib*.dylib")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the program is made of the other files."""

    command: tuple[str, ...]
    #: Where the command is run, relative to the root of the content.
    directory: str
    #: "release", "debug", or "" for a program that has no such thing.
    mode: str
    #: Files that must be there afterwards, relative to the root.
    makes: tuple[str, ...]
    #: Seconds; 0 for no limit.
    timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The files that a run needs."""

    #: The folder that the paths below are relative to.
    root: Path
    #: Path relative to `root` with slashes, and where the file lies; sorted.
    files: tuple[tuple[str, Path], ...]
    #: The program, and the libraries that it needs.
    programs: tuple[Path, ...] = ()
    #: Those among the paths that a build makes.
    built: frozenset[str] = frozenset()
    #: How to build them elsewhere; None where nobody says how, or where there is nothing to build.
    recipe: Recipe | None = None
    #: The version of OMNeT++ that the project asks for, "" if it does not say.
    omnetpp: str = ""
    #: Files that look as if they were needed, and that git does not track: they stay behind.
    left_behind: tuple[Path, ...] = ()

    @property
    def is_built(self) -> bool:
        """Whether everything is there that the recipe would make."""
        names = {name for name, _ in self.files}
        return self.recipe is None or names.issuperset(self.recipe.makes)

    def sources(self) -> Content:
        """Return the content without what a build makes."""
        return Content(root=self.root, files=tuple(item for item in self.files if item[0] not in self.built))

    def with_file(self, path: Path) -> Content:
        """Return the content with a file below the root, whatever git or the settings think of it."""
        name = path.relative_to(self.root).as_posix()
        if any(name == known for known, _ in self.files):
            return self
        left_behind = tuple(other for other in self.left_behind if other != path)
        return replace(self, files=tuple(sorted((*self.files, (name, path)))), left_behind=left_behind)

    def directory(self, folder: Path) -> str:
        """Return a folder as seen from the root."""
        return Path(os.path.relpath(folder, self.root)).as_posix()


def library_folders(names: Iterable[str]) -> tuple[str, ...]:
    """Return the folders of the shared libraries among the files `names`."""
    found = (name.rpartition("/") for name in names)
    return tuple(sorted({folder or "." for folder, _, name in found if _matches_any(name, _LIBRARIES)}))


def content_of(project: Project, program: Program, folder: Path) -> Content:
    """Return what travels with the runs of the ini files in `folder`."""
    home = project.file.parent if project.file else folder
    extra = [Path(os.path.normpath(home / item)) for item in project.files_extra]
    ned_folders = [Path(os.path.normpath(folder / part)) for part in program.ned_path]
    program_files = [Path(os.path.normpath(path)) for path in program.files]
    tops = [home, folder, *extra, *(item for item in ned_folders if item.is_dir())]
    is_made = bool(project.build) and program.words[0] != PYTHON and bool(program_files)
    # A builder has the folder of the project under its own name: opp_makemake calls the program after it.
    above = [home.parent] if is_made else []
    root = Path(os.path.commonpath([*tops, *above, *(path.parent for path in program_files)]))
    needed = [*program_files, *own_libraries(program_files, tops)]
    # What is named one by one travels, whatever git thinks of it.
    chosen = {path for path in extra if path.is_file()}
    left_behind: list[Path] = []
    for top in _outermost(path for path in tops if not path.is_file()):
        listing = _listing(top, project, home)
        stale = is_made and not listing.tracked
        chosen.update(path for path in listing.paths if not (stale and (path in program_files or is_binary(path))))
        left_behind += listing.others
    built = frozenset(path.relative_to(root).as_posix() for path in needed if path not in chosen)
    files = {path.relative_to(root).as_posix(): path for path in (*chosen, *needed) if path.is_file()}
    recipe = None
    if is_made:
        recipe = Recipe(
            command=project.build,
            directory=home.relative_to(root).as_posix(),
            mode=program.mode,
            makes=tuple(sorted(built & {path.relative_to(root).as_posix() for path in program_files})),
            timeout=project.build_timeout,
        )
    return Content(
        root=root,
        files=tuple(sorted(files.items())),
        programs=tuple(dict.fromkeys(needed)),
        built=built,
        recipe=recipe,
        omnetpp=project.omnetpp,
        left_behind=tuple(sorted(path for path in left_behind if path not in files.values())),
    )


def _outermost(folders: Iterable[Path]) -> list[Path]:
    """Drop folders that lie within others."""
    unique = sorted(set(folders))
    return [item for item in unique if not any(other in item.parents for other in unique)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """The files of a folder that travel."""

    paths: tuple[Path, ...]
    #: Whether git tells which.
    tracked: bool
    #: What git does not track, and looks as if it were needed.
    others: tuple[Path, ...] = ()


def _listing(top: Path, project: Project, home: Path) -> _Listing:
    if project.files_include:
        found = _behind_links(_walk(top, ()), lambda folder: _walk(folder, ()))
        paths: Iterable[Path] = (path for path in found if _matches(path, home, project.files_include))
        return _Listing(paths=_without_excluded(paths, project, home), tracked=False)
    tracked = _tracked(top)
    if not tracked:
        found = _behind_links(_walk(top, _LEFT_AT_HOME), lambda folder: _walk(folder, _LEFT_AT_HOME))
        return _Listing(paths=_without_excluded(found, project, home), tracked=False)
    others = (
        path
        for path in _ask_git(top, "--others", "--exclude-standard")
        if _matches_any(path.name, _WRITTEN) and not _matches_any(path.name, _GENERATED)
    )
    return _Listing(
        paths=_without_excluded(
            (
                path
                for path in _behind_links(tracked, lambda folder: _tracked(folder) or _walk(folder, _LEFT_AT_HOME))
                if "baselines" not in path.parts
            ),
            project,
            home,
        ),
        tracked=True,
        others=_without_excluded(others, project, home),
    )


def _without_excluded(paths: Iterable[Path], project: Project, home: Path) -> tuple[Path, ...]:
    return tuple(path for path in paths if not _matches(path, home, project.files_exclude))


def _matches(path: Path, home: Path, patterns: tuple[str, ...]) -> bool:
    """Tell whether a pattern names the file or a folder around it; relative to the settings file's folder."""
    name = Path(os.path.relpath(path, home)).as_posix()
    return any(fnmatch.fnmatchcase(name, pattern) or name.startswith(f"{pattern.rstrip('/')}/") for pattern in patterns)


def _matches_any(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _behind_links(
    paths: Iterable[Path], files_in: Callable[[Path], Iterable[Path]], above: tuple[Path, ...] = ()
) -> Iterator[Path]:
    """Give `paths`, and in place of links to folders what `files_in` finds there, under the link's name.

    A link to a folder around it, or around one of `above`, leads to nothing new.
    """
    for path in paths:
        if not (path.is_symlink() and path.is_dir()):
            yield path
            continue
        target = path.resolve()
        around = {folder for inner in (path.parent.resolve(), *above) for folder in (inner, *inner.parents)}
        if target not in around:
            yield from _behind_links(files_in(path), files_in, (*above, target))


def _tracked(top: Path) -> list[Path]:
    """Return the files below `top` that git tracks, links to folders among them."""
    return _ask_git(top, "--cached", "--recurse-submodules")


def _ask_git(top: Path, *options: str) -> list[Path]:
    """Return files below `top` as `git ls-files` tells them; none without git, or outside of what it keeps."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(top), "ls-files", "-z", *options],  # noqa: S607  # whichever git the user has
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except OSError:
        return []
    names = [os.fsdecode(name) for name in answer.stdout.split(b"\0") if name]
    return [top / name for name in names] if answer.returncode == 0 else []


def _walk(top: Path, left_out: tuple[str, ...]) -> Iterator[Path]:
    def wanted(name: str) -> bool:
        return not _matches_any(name, left_out)

    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if wanted(name) and name != ".git")
        yield from (Path(folder) / name for name in files if wanted(name))
        yield from (path for name in folders if (path := Path(folder) / name).is_symlink())
