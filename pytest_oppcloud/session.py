"""What one session knows about itself, apart from its items: caches, and notes for the summary."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Protocol

import pytest

from .content import Content, content_of
from .project import Program, Project, read_project
from .records import RunKey

if TYPE_CHECKING:
    from pathlib import Path


class Projects:
    """The `oppcloud.toml` files of a session and the content of its folders, each read once."""

    def __init__(self) -> None:
        """Start with none."""
        #: Whether whoever runs the simulations can build programs that are not there.
        self.buildable = False
        self._projects: dict[Path | None, Project] = {None: Project()}
        #: By settings file, program, and folder or ini file.
        self._contents: dict[tuple[Path | None, Program, Path], Content] = {}

    def read(self, file: Path | None) -> Project:
        """Return what `file` says; raise `SettingsError` where it cannot be read."""
        if file is not None and file not in self._projects:
            self._projects[file] = read_project(file)
        return self._projects[file]

    def content(self, project: Project, program: Program, ini: Path) -> Content:
        """Return what travels with the runs of the ini file: what its folder has in common, and the file itself."""
        shared, own = (project.file, program, ini.parent), (project.file, program, ini)
        if shared not in self._contents:
            self._contents[shared] = content_of(project, program, ini.parent)
        if own not in self._contents:
            self._contents[own] = self._contents[shared].with_file(ini)
        return self._contents[own]


@dataclass(slots=True, kw_only=True)
class Notes:
    """What the summary tells and no report does."""

    #: How many simulations were collected.
    simulations: int = 0
    #: Configs that no `--opp-config` asked for.
    configs_passed_over: list[str] = field(default_factory=list)
    #: Patterns of `--opp-config` that a config matched.
    patterns_matched: list[str] = field(default_factory=list)
    #: By `oppcloud.toml` of a collected ini file: patterns of its tables, and those that a config matched.
    tables: dict[str, list[str]] = field(default_factory=dict)
    tables_matched: dict[str, list[str]] = field(default_factory=dict)
    #: Config, and why `--opp-runs` left none of its runs.
    runs_passed_over: list[tuple[str, str]] = field(default_factory=list)
    #: Baseline file, and the runs in it that its ini file has no more.
    unused_baselines: list[tuple[str, list[RunKey]]] = field(default_factory=list)
    #: Why the session is refused; "" if it is not.
    refusal: str = ""

    def to_text(self) -> str:
        """Return the notes as an xdist worker sends them: ASCII, whatever bytes names are made of."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Notes:
        """Read what `to_text` wrote."""
        data = json.loads(text)
        for entry in data["unused_baselines"]:
            entry[1] = [
                RunKey.of(key["config"], dict(key["itervars"]), key["repetition"], key["occurrence"])
                for key in entry[1]
            ]
        return cls(**data)


class HasBaselines(Protocol):
    """What the end of a session wants of a collected ini file."""

    path: Path

    def unused_baselines(self) -> list[RunKey]:
        """Return the baselines of runs that the ini file has no more; none where only a part was collected."""
        ...


#: The collectors of the ini files of a session.
INI_FILES_KEY = pytest.StashKey[list[HasBaselines]]()
PROJECTS_KEY = pytest.StashKey[Projects]()
NOTES_KEY = pytest.StashKey[Notes]()
