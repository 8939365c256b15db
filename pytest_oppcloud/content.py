"""What a run needs on another machine: the files that travel with it.

By default what git tracks in the project's folder, or, without git, the folder minus what is known to be made by
builds and runs; `oppcloud.toml` may say it otherwise. The built program and what `files.extra` names come along. Pure
but for looking at files and asking git: no pytest.
"""

from __future__ import annotations

import fnmatch
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .project import Program, Project

#: Never travels, unless `files.include` names it: made by builds and runs, or of no use to a simulation.
_LEFT_AT_HOME = (
    ".*", "out", "results", "baselines", "__pycache__", "node_modules", "venv",
    "*.o", "*.a", "*.d", "*.pyc", "*.vec", "*.vci", "*.sca", "*.elog", "*.log", "*_dbg",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The files that a run needs."""

    #: The folder that the paths below are relative to.
    root: Path
    #: Path relative to `root` with slashes, and where the file lies; sorted.
    files: tuple[tuple[str, Path], ...]

    def directory(self, folder: Path) -> str:
        """Return a folder as seen from the root."""
        return Path(os.path.relpath(folder, self.root)).as_posix()


def content_of(project: Project, program: Program, folder: Path) -> Content:
    """Return what travels with the runs of the ini files in `folder`."""
    home = project.file.parent if project.file else folder
    extra = [Path(os.path.normpath(home / item)) for item in project.files_extra]
    ned_folders = [Path(os.path.normpath(folder / part)) for part in program.ned_path]
    program_files = [Path(os.path.normpath(path)) for path in program.files]
    tops = [home, folder, *extra, *(item for item in ned_folders if item.is_dir())]
    root = Path(os.path.commonpath([*tops, *(path.parent for path in program_files)]))
    chosen: dict[str, Path] = {}
    for top in _outermost(tops):
        for path in _files_of(top, project, home):
            chosen[path.relative_to(root).as_posix()] = path
    for path in program_files:
        chosen[path.relative_to(root).as_posix()] = path
    return Content(root=root, files=tuple(sorted((name, path) for name, path in chosen.items() if path.is_file())))


def _outermost(folders: Iterable[Path]) -> list[Path]:
    """Drop folders that lie within others."""
    unique = sorted(set(folders))
    return [item for item in unique if not any(other in item.parents for other in unique)]


def _files_of(top: Path, project: Project, home: Path) -> Iterator[Path]:
    if top.is_file():
        yield top
        return
    if project.files_include:
        paths: Iterable[Path] = (path for path in _walk(top, ()) if _matches(path, home, project.files_include))
    else:
        tracked = _tracked(top)
        paths = (
            _walk(top, _LEFT_AT_HOME)
            if tracked is None
            else (path for path in tracked if "baselines" not in path.parts)
        )
    for path in paths:
        if not _matches(path, home, project.files_exclude):
            yield path


def _matches(path: Path, home: Path, patterns: tuple[str, ...]) -> bool:
    """Tell whether a pattern names the file or a folder around it; relative to the settings file's folder."""
    name = Path(os.path.relpath(path, home)).as_posix()
    return any(fnmatch.fnmatchcase(name, pattern) or name.startswith(f"{pattern.rstrip('/')}/") for pattern in patterns)


def _tracked(top: Path) -> list[Path] | None:
    """Return the files below `top` that git tracks; None without git, or where it tracks none."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(top), "ls-files", "-z"],  # noqa: S607 - whichever git the user has
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except OSError:
        return None
    names = [os.fsdecode(name) for name in answer.stdout.split(b"\0") if name]
    return [top / name for name in names] if answer.returncode == 0 and names else None


def _walk(top: Path, left_out: tuple[str, ...]) -> Iterator[Path]:
    def wanted(name: str) -> bool:
        return not any(fnmatch.fnmatchcase(name, pattern) for pattern in left_out)

    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if wanted(name) and name != ".git")
        yield from (Path(folder) / name for name in files if wanted(name))
