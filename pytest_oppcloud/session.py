"""What one session knows about itself, apart from its items: caches, and notes for the summary.

Notes are plain values, because with xdist they travel from a worker to the controller.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from .content import Content, content_of
from .project import Program, Project, read_project

if TYPE_CHECKING:
    from pathlib import Path


class Projects:
    """The `oppcloud.toml` files of a session and the content of its folders, each read once."""

    def __init__(self) -> None:
        """Start with none."""
        self._projects: dict[Path | None, Project] = {None: Project()}
        self._contents: dict[tuple[Path | None, Path, Program], Content] = {}

    def read(self, file: Path | None) -> Project:
        """Return what `file` says; raise `SettingsError` where it cannot be read."""
        if file is not None and file not in self._projects:
            self._projects[file] = read_project(file)
        return self._projects[file]

    def content(self, project: Project, program: Program, folder: Path) -> Content:
        """Return what travels with the runs of the ini files in `folder`."""
        key = (project.file, folder, program)
        if key not in self._contents:
            self._contents[key] = content_of(project, program, folder)
        return self._contents[key]


@dataclass(slots=True, kw_only=True)
class Notes:
    """What the summary tells and no report does."""

    #: How many simulations were collected.
    simulations: int = 0
    #: Configs that no `--opp-config` asked for.
    configs_passed_over: list[str] = field(default_factory=list)
    #: Config, and why `--opp-runs` left none of its runs.
    runs_passed_over: list[tuple[str, str]] = field(default_factory=list)
    #: Baseline file, and the runs in it that no ini file has any more.
    unused_baselines: list[tuple[str, list[str]]] = field(default_factory=list)

    def to_plain(self) -> dict[str, Any]:
        """Return the notes as builtins."""
        return asdict(self)


PROJECTS_KEY = pytest.StashKey[Projects]()
NOTES_KEY = pytest.StashKey[Notes]()
