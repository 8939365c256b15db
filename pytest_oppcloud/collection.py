"""From an ini file to test items: file, config, run.

An item knows its run and the plan of its config; its request is built when somebody asks for it, because a session
may hold ten thousand items and run ten.
"""

from __future__ import annotations

import fnmatch
import os
import shlex
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .baselines import BaselineFile, baseline_path, read_baselines
from .command import RunPlan
from .errors import LocatedError, SettingsError
from .inifile import read_ini
from .items import NO_LIMIT, SimulationItem, run_key, shown
from .naming import escaped, run_name
from .project import Program, ProgramWish, Project, find_program, find_project_file, newer_source, top_folder
from .runs import expand
from .session import INI_FILES_KEY, NOTES_KEY, PROJECTS_KEY
from .settings import SETTINGS_KEY, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .inifile import ConfigInfo, IniContents
    from .project import RunSettings
    from .records import RunKey
    from .runs import Run

#: Settings of other tools that a pattern like `*.ini` finds as well.
_FOREIGN_NAMES = frozenset(
    {"pytest.ini", ".pytest.ini", "tox.ini", "setup.ini", "mypy.ini", "pylintrc.ini", "uwsgi.ini"}
)
#: Schedulers that wait for the real world; a run under them is an emulation, not a test.
_REAL_TIME = ("realtime", "socketrtscheduler", "emulation")


def collect_file(file_path: Path, parent: pytest.Collector) -> IniFile | None:
    """Return the collector for `file_path` if it is an ini file of simulations."""
    if file_path.suffix != ".ini" and not _matches(file_path, parent):
        return None
    settings = parent.config.stash[SETTINGS_KEY]
    if not settings.collect.value:
        return None
    named = file_path.suffix == ".ini" and parent.session.isinitpath(file_path)
    if not named and (not _matches(file_path, parent) or _is_foreign(file_path, parent.config)):
        return None
    return IniFile.from_parent(parent, path=file_path)


def _matches(path: Path, parent: pytest.Collector) -> bool:
    patterns = parent.config.stash[SETTINGS_KEY].ini_files.value
    return any(fnmatch.fnmatchcase(path.name, pattern) for pattern in patterns)


def _is_foreign(path: Path, config: pytest.Config) -> bool:
    return path.name in _FOREIGN_NAMES or path == config.inipath


class IniFile(pytest.File):
    """An ini file of simulations; its children are configs."""

    @cached_property
    def top(self) -> Path:
        """Above this folder nothing is looked for: pytest's root folder, where somebody has said what that is."""
        return self.config.rootpath if self.config.inipath else top_folder(self.config.rootpath)

    @cached_property
    def project(self) -> Project:
        """What the nearest `oppcloud.toml` says; raise `SettingsError` where it cannot be read."""
        file = find_project_file(self.path.parent, self.top if self.top in self.path.parents else None)
        return self.config.stash[PROJECTS_KEY].read(file)

    @cached_property
    def baselines(self) -> BaselineFile:
        """The baselines of the ini file; raise `BaselineError` where they cannot be read."""
        return read_baselines(baseline_path(self.path))

    def __init__(self, **kwargs: Any) -> None:
        """Take what pytest gives."""
        super().__init__(**kwargs)
        self._configs: list[ConfigCollector] = []
        self._contents: dict[tuple[tuple[str, str], ...], IniContents] = {}

    def collect(self) -> Iterable[ConfigCollector]:
        """Return a collector for each config that is asked for."""
        settings = self.config.stash[SETTINGS_KEY]
        try:
            all_names = self.read(settings.overrides.value).config_names
            names = [name for name in all_names if _is_selected(name, settings)]
            read = {name: self.read(self.overrides(name)) for name in names}
        except LocatedError as error:
            raise self.CollectError(shown(error, self.config)) from error
        self.config.stash[INI_FILES_KEY].append(self)
        self._note_patterns(all_names, names)
        self._configs = [
            ConfigCollector.from_parent(self, name=escaped(name), ini=ini, info=ini.config(name))
            for name, ini in read.items()
        ]
        return self._configs

    def _note_patterns(self, all_names: Sequence[str], names: Sequence[str]) -> None:
        """Note for the summary which patterns of the options and of `oppcloud.toml` there is a config for."""
        notes = self.config.stash[NOTES_KEY]
        notes.configs_passed_over += sorted(set(all_names) - set(names))
        notes.patterns_matched += _matched(self.config.stash[SETTINGS_KEY].configs.value, all_names)
        if self.project.configs:
            file, patterns = str(self.project.file), [pattern for pattern, _ in self.project.configs]
            notes.tables[file] = patterns
            notes.tables_matched.setdefault(file, []).extend(_matched(patterns, all_names))

    def overrides(self, config_name: str) -> tuple[tuple[str, str], ...]:
        """Return what overrides the ini file for a config: what `oppcloud.toml` says, then the options."""
        chosen = self.config.stash[SETTINGS_KEY].overrides.value
        return (*self.project.settings(config_name).overrides, *chosen)

    def read(self, overrides: tuple[tuple[str, str], ...]) -> IniContents:
        """Return the ini file under `overrides`, read once for all configs that have the same; raise `IniError`."""
        if overrides not in self._contents:
            project = self.project
            self._contents[overrides] = read_ini(
                self.path, overrides=overrides, extra_options=project.extra_options, version=project.version
            )
        return self._contents[overrides]

    def unused_baselines(self) -> list[RunKey]:
        """Return the baselines of runs that the ini file has no more; none where only a part was collected."""
        settings = self.config.stash[SETTINGS_KEY]
        if settings.configs.given or settings.overrides.given or not all(item.is_collected for item in self._configs):
            return []
        try:
            if not len(self.baselines):
                return []
            return list(self.baselines.unused({run_key(run) for item in self._configs for run in item.all_runs}))
        except LocatedError:
            # A damaged file is told by the items.
            return []


def _matched(patterns: Iterable[str], names: Sequence[str]) -> list[str]:
    return [pattern for pattern in patterns if any(fnmatch.fnmatchcase(name, pattern) for name in names)]


def _is_selected(config_name: str, settings: Settings) -> bool:
    patterns = settings.configs.value
    return not patterns or any(fnmatch.fnmatchcase(config_name, pattern) for pattern in patterns)


class ConfigCollector(pytest.Collector):
    """A config of an ini file; its children are runs."""

    parent: IniFile

    def __init__(self, *, ini: IniContents, info: ConfigInfo, **kwargs: Any) -> None:
        """Take the config `info` of `ini`."""
        super().__init__(**kwargs)
        self.ini = ini
        self.info = info
        #: Where the config's heading is, for reports.
        self.heading = (Path(info.file), info.line)
        #: Whether its runs were asked for; pytest leaves out what other node ids name.
        self.is_collected = False
        #: All runs of the config, those that were not asked for included; empty until they are collected.
        self.all_runs: Sequence[Run] = ()
        #: By words added to the command line: what is decided under them, and the runs.
        self._planned: dict[tuple[str, ...], tuple[RunPlan, dict[RunKey, Run]]] = {}

    def collect(self) -> Iterator[SimulationItem]:
        """Return an item for each run that is asked for; skip configs that are no tests."""
        settings = self.config.stash[SETTINGS_KEY]
        self.is_collected = True
        if self.info.abstract:
            raise pytest.skip.Exception(f"config {self.info.name} is abstract: a base for others")
        notes = self.config.stash[NOTES_KEY]
        runs = self._selected_runs(settings.runs.value)
        if not self.all_runs:
            raise pytest.skip.Exception(f"config {self.info.name} has no runs: see its `repeat` and `constraint`")
        if not runs:
            return
        left_out = self._why_no_test(runs[0])
        reason = left_out or self._why_endless(runs[0])
        if left_out:
            # What was a test when its baseline was recorded fails rather than vanish.
            runs = [run for run in runs if self._has_baseline(run)]
            if not runs:
                raise pytest.skip.Exception(left_out)
        try:
            self._add_marks()
        except LocatedError as error:
            raise self.CollectError(shown(error, self.config)) from error
        notes.simulations += len(runs)
        make = SimulationItem.from_parent
        for run in runs:
            item = make(self, name=run_name(run), run=run)
            if reason and self._has_baseline(run):
                item.refusal = reason
            elif reason:
                item.add_marker(pytest.mark.skip(reason=reason))
            yield item

    def _selected_runs(self, run_filter: str) -> Sequence[Run]:
        """Return the runs that the filter leaves; where it leaves none, note why."""
        try:
            self.all_runs = expand(self.ini, self.info.name)
        except LocatedError as error:
            raise self.CollectError(shown(error, self.config)) from error
        if not run_filter:
            return self.all_runs
        try:
            runs = expand(self.ini, self.info.name, run_filter=run_filter)
        except LocatedError as error:
            # A filter speaks of variables that other configs have; whether that is an error is seen at the end.
            why = error.message
        else:
            if runs:
                return runs
            why = f"none of its {len(self.all_runs)} runs"
        self.config.stash[NOTES_KEY].runs_passed_over.append((self.info.name, why))
        return ()

    def _why_no_test(self, run: Run) -> str:
        """Return why none of the runs is a test, as far as the first one, `run`, tells; "" if they are."""
        if not (run.option("network") or "").strip('"'):
            return f"config {self.info.name} has no network: nothing to simulate"
        scheduler = run.option("scheduler-class") or ""
        if any(word in scheduler.lower() for word in _REAL_TIME):
            return f"config {self.info.name} is an emulation: its scheduler-class {scheduler} waits for the real world"
        if run.option("parallel-simulation") == "true":
            return f"config {self.info.name} is a parallel simulation: it takes a process for each of its partitions"
        return ""

    def _why_endless(self, run: Run) -> str:
        """Return what to do about runs that nothing limits; "" if something does."""
        limits = self.config.stash[SETTINGS_KEY].sim_time_limit.value, self._chosen.limits_sim_time_limit
        return "" if any(limits) or run.option("sim-time-limit") else NO_LIMIT

    def _has_baseline(self, run: Run) -> bool:
        """Tell whether a baseline is recorded for the run; a file that cannot be read may have one."""
        try:
            return run_key(run) in self.parent.baselines
        except LocatedError:
            return True

    @property
    def _chosen(self) -> RunSettings:
        """What `oppcloud.toml` says for the config."""
        return self.parent.project.settings(self.info.name)

    def _add_marks(self) -> None:
        chosen = self._chosen
        if chosen.skip is not None:
            self.add_marker(pytest.mark.skip(reason=chosen.skip))
        if chosen.xfail is not None:
            self.add_marker(pytest.mark.xfail(reason=chosen.xfail))
        for marker in chosen.markers:
            self.add_marker(getattr(pytest.mark, marker))

    @cached_property
    def plan(self) -> RunPlan:
        """What is decided for all runs of the config; raise `ProgramMissingError` if nothing can run them."""
        settings = self.config.stash[SETTINGS_KEY]
        chosen = self._chosen
        timeout = settings.timeout.value
        if not settings.timeout.given and chosen.limits_timeout is not None:
            timeout = chosen.limits_timeout
        return RunPlan(
            ini_file=self.parent.path,
            program=self.program,
            settings=chosen,
            overrides=self.parent.overrides(self.info.name),
            timeout=timeout,
            sim_time_limit=settings.sim_time_limit.value or chosen.limits_sim_time_limit or "",
        )

    def planned(self, run: Run, words: tuple[str, ...]) -> tuple[RunPlan, Run]:
        """Return what is decided for `run`, and the run under it, where `words` are added to its command line.

        Raise `SettingsError` if they change which runs there are, `IniError` if OMNeT++ rejects them.
        """
        if not words:
            return self.plan, run
        if words not in self._planned:
            settings = replace(self.plan.settings, arguments=(*self.plan.settings.arguments, *words))
            overrides = (*settings.overrides, *self.config.stash[SETTINGS_KEY].overrides.value)
            runs = expand(self.parent.read(overrides), self.info.name)
            plan = replace(self.plan, settings=settings, overrides=overrides)
            self._planned[words] = plan, {run_key(one): one for one in runs}
        plan, found = self._planned[words]
        if run_key(run) not in found:
            raise SettingsError(
                f"with {shlex.join(words)} on its command line, config {self.info.name} has no such run any more",
                file=str(self.parent.path),
                advice="What pytest_oppcloud_arguments returns cannot change iteration variables.",
            )
        return plan, found[run_key(run)]

    @cached_property
    def _found(self) -> Program | LocatedError:
        """The program, or why there is none: asked for by every run, looked for once."""
        settings = self.config.stash[SETTINGS_KEY]
        try:
            chosen = self._chosen
            return find_program(
                ProgramWish(
                    project=self.parent.project,
                    settings=chosen,
                    folder=self.parent.path.parent,
                    mode=settings.mode.value or chosen.mode or "",
                    name=settings.program.value,
                    top=self.parent.top,
                    buildable=self.config.stash[PROJECTS_KEY].buildable,
                )
            )
        except LocatedError as error:
            return error

    @property
    def program(self) -> Program:
        """The program that simulates the runs; raise `ProgramMissingError` if there is none."""
        if isinstance(self._found, LocatedError):
            raise self._found
        return self._found

    @property
    def program_line(self) -> str:
        """By which program the runs are simulated and why by this one, or why by none."""
        try:
            program = self.program
        except LocatedError as error:
            return f"without a program: {error.message}"
        mode = f"{program.mode}, " if program.mode else ""
        return f"by {shlex.join(program.words)} ({mode}{program.reason})"

    @property
    def outdated(self) -> str:
        """What to do about a program that is older than its sources; "" if it is not, or there is none."""
        found = None if isinstance(self._found, LocatedError) else newer_source(self._found)
        if found is None:
            return ""
        file, source = (os.path.relpath(path, self.config.invocation_params.dir) for path in found)
        return f"{file} is older than {source}: what is tested is not what stands there, until `make` builds it anew"
