"""What an `oppcloud.toml` says, as values: for a project, and for the runs of one config.

Pure: no pytest, no file is opened here.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_oppcloud.inifile import DEFAULT_VERSION, VERSIONS, Version

from .keys import override

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .keys import Alternative, ToleranceRule


#: Seconds: enough for OMNeT++'s largest model libraries on one core.
DEFAULT_BUILD_TIMEOUT = 7200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """The settings for the runs of one config; None where the file says nothing.

    The names are those of `keys.KEYS`, tables joined with an underscore.
    """

    program: tuple[Alternative, ...] | None = None
    arguments: tuple[str, ...] = ()
    ned_path: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    mode: str | None = None
    #: Seconds of wall-clock time.
    limits_timeout: float | None = None
    #: As OMNeT++ takes it, or `keys.UNLIMITED`.
    limits_sim_time_limit: str | None = None
    limits_cpu_time: int | None = None
    limits_memory: int | None = None
    limits_file_size: int | None = None
    limits_output: int | None = None
    #: Bytes of memory that a worker must have left for a run; None: as many as it took last time.
    needs_memory: int | None = None
    #: Image that the worker must run in; "" for any.
    needs_image: str = ""
    check_fingerprints: tuple[str, ...] | None = None
    check_include: tuple[str, ...] | None = None
    check_exclude: tuple[str, ...] = ()
    check_parameters: str = "digest"
    check_attributes: str = "digest"
    check_vectors: bool = False
    #: The first that fits a value decides; those of a config stand before the general ones.
    check_tolerances: tuple[ToleranceRule, ...] = ()
    skip: str | None = None
    xfail: str | None = None
    markers: tuple[str, ...] = ()

    @property
    def overrides(self) -> tuple[tuple[str, str], ...]:
        """What `arguments` override in the ini file, the words of the form `--KEY=VALUE`, as (key, value)."""
        return tuple(override(word) for word in self.arguments if word.startswith("--"))

    @property
    def other_arguments(self) -> tuple[str, ...]:
        """The `arguments` that override nothing."""
        return tuple(word for word in self.arguments if not word.startswith("--"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key of the file."""

    value: Any
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """An `oppcloud.toml`, or what holds without one."""

    #: None where there is no such file.
    file: Path | None = None
    #: Keys that hold for all configs, by their name in `keys.KEYS`.
    general: Mapping[str, Entry] = field(default_factory=dict)
    #: (pattern, keys) of the `[config."PATTERN"]` tables, in the order of the file.
    configs: tuple[tuple[str, Mapping[str, Entry]], ...] = ()

    @property
    def build(self) -> tuple[str, ...]:
        """The command that builds the program; empty if none is given."""
        return self._value("build")

    @property
    def build_timeout(self) -> float:
        """Seconds that the build command may take; 0 for no limit."""
        entry = self.general.get("build_timeout")
        return DEFAULT_BUILD_TIMEOUT if entry is None else float(entry.value)

    @property
    def extra_options(self) -> tuple[str, ...]:
        """Options of ini files that the model's library registers."""
        return self._value("extra_options")

    @property
    def version(self) -> Version:
        """The version of OMNeT++ whose rules ini files are read by."""
        entry = self.general.get("omnetpp")
        return DEFAULT_VERSION if entry is None else VERSIONS[entry.value]

    @property
    def omnetpp(self) -> str:
        """The version of OMNeT++ that the file asks for, "" if it does not say."""
        entry = self.general.get("omnetpp")
        return "" if entry is None else str(entry.value)

    @property
    def files_include(self) -> tuple[str, ...]:
        """Patterns of what travels to a worker; empty: what git tracks."""
        return self._value("files.include")

    @property
    def files_exclude(self) -> tuple[str, ...]:
        """Patterns of what does not travel."""
        return self._value("files.exclude")

    @property
    def files_extra(self) -> tuple[str, ...]:
        """Folders and files that travel as well, relative to the file."""
        return self._value("files.extra")

    def _value(self, name: str) -> tuple[str, ...]:
        entry = self.general.get(name)
        return () if entry is None else entry.value

    def entries(self, config: str) -> dict[str, Entry]:
        """Return the keys that hold for `config`: a later matching table wins over an earlier one."""
        merged = dict(self.general)
        for pattern, table in self.configs:
            if not fnmatch.fnmatchcase(config, pattern):
                continue
            for name, entry in table.items():
                before = merged.get(name)
                if before is not None and name == "environment":
                    merged[name] = Entry(value={**before.value, **entry.value}, line=entry.line)
                elif before is not None and name in {"check.tolerances", "markers"}:
                    merged[name] = Entry(value=entry.value + before.value, line=entry.line)
                else:
                    merged[name] = entry
        return merged

    def settings(self, config: str) -> RunSettings:
        """Return the settings for the runs of `config`."""
        entries = self.entries(config)
        names = RunSettings.__dataclass_fields__
        return RunSettings(
            **{
                name.replace(".", "_"): entry.value
                for name, entry in entries.items()
                if name.replace(".", "_") in names
            }
        )

    def source(self, config: str, name: str) -> str:
        """Tell where the key `name` comes from: "oppcloud.toml:12", or "" if the file does not say it."""
        entry = self.entries(config).get(name)
        return "" if entry is None or self.file is None else f"{self.file.name}:{entry.line}"
