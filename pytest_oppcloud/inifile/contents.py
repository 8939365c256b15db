"""The contents of ini files: sections in their order, fallback chains, and the command line's entries above all.

This is what the rest of the project sees of an ini file; expanding a configuration into runs is the next layer's
business. The rules are those of OMNeT++ 6.1, src/envir/sectionbasedconfig.cc and startup.cc.
"""

# Paths are texts here, as in the reader.
# ruff: noqa: PTH109, PTH120

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_oppcloud.errors import IniError

from .characters import encoded
from .expressions import ExpressionError, as_bool, as_string, evaluate
from .inheritance import GENERAL, direct_bases, first_entry, section_chains
from .lookup import Key, compile_key
from .options import OptionTable
from .patterns import PatternError
from .reader import Entry, Section, read_sections
from .validation import validate
from .versions import DEFAULT_VERSION, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigInfo:
    """What can be told of a configuration without expanding it."""

    name: str
    #: The first description in the chain, "" for none; variables stay as they are.
    description: str
    #: Why the description is no string, in OMNeT++'s words; "" if it is one.
    description_error: str
    #: A base for others, not meant to be run.
    abstract: bool
    #: Why `abstract` is neither true nor false, in OMNeT++'s words; "" if it is. Only OMNeT++'s launchers care.
    abstract_error: str
    #: The sections that it falls back to directly.
    extends: tuple[str, ...]
    #: All sections that count, itself first; empty for [General] if the file has none.
    chain: tuple[str, ...]
    #: Where its heading stands; line 1 for [General] if the file has none.
    file: str
    line: int


class IniContents:
    """One or more ini files, read and checked."""

    def __init__(
        self,
        *,
        paths: Sequence[str],
        sections: Mapping[str, Section],
        overrides: tuple[Entry, ...],
        options: OptionTable,
        version: Version,
    ) -> None:
        """Check the sections and compute their chains; use `read_ini` instead."""
        #: The (first) ini file as it was given.
        self.path = paths[0]
        #: What ${inifile} stands for, when OMNeT++ is started in the folder of the ini file: the last file.
        self.name_in_folder = os.path.relpath(paths[-1], os.path.dirname(paths[0]) or ".")
        self.sections = sections
        #: The command line's entries, in the order in which they count.
        self.overrides = overrides
        self.options = options
        self.version = version
        self._keys: dict[str, Key] = {}
        validate(sections, overrides, options, version)
        self._chains = section_chains(sections)

    @property
    def config_names(self) -> tuple[str, ...]:
        """The configurations in the order in which `opp_run -a` lists them."""
        return tuple(self.sections)

    def chain(self, config: str) -> tuple[str, ...]:
        """Return the sections that count for `config`, itself first; raise `IniError` if there is no such config."""
        if not config:
            raise IniError("Empty config name specified", file=self.path)
        if config not in self.sections and config != GENERAL:
            names = ", ".join(self.config_names)
            raise IniError(f"No such config: {config}", file=self.path, advice=f"there are: {names}")
        return self._chains.get(config, ())

    def config(self, name: str) -> ConfigInfo:
        """Return what is known of a configuration; raise `IniError` if there is none of that name."""
        chain = self.chain(name)
        section = self.sections.get(name)
        description, description_error = self._description(chain)
        abstract, abstract_error = self._is_abstract(section) if section else (False, "")
        return ConfigInfo(
            name=name,
            description=description,
            description_error=description_error,
            abstract=abstract,
            abstract_error=abstract_error,
            extends=tuple(self._extends(section)) if section else (),
            chain=chain,
            file=section.file if section else self.path,
            line=section.line if section else 1,
        )

    def find(self, chain: tuple[str, ...], option: str) -> Entry | None:
        """Return the entry that sets an option whose value decides about runs: exact names only."""
        for entry in self.overrides:
            if entry.key == option:
                return entry
        for name in chain:
            entry_or_none = first_entry(self.sections[name], option)
            if entry_or_none is not None:
                return entry_or_none
        return None

    def key(self, text: str) -> Key:
        """Return a key, compiled once; raise `PatternError`."""
        key = self._keys.get(text)
        if key is None:
            key = self._keys[text] = compile_key(text, self.version)
        return key

    def _description(self, chain: tuple[str, ...]) -> tuple[str, str]:
        """Return the description, and what is wrong with it."""
        entry = self.find(chain, "description")
        if entry is None or not entry.value.startswith('"'):
            return entry.value if entry else "", ""
        try:
            return as_string(evaluate(entry.value)), ""
        except ExpressionError as error:
            return entry.value, str(error)

    def _is_abstract(self, section: Section) -> tuple[bool, str]:
        """Return what `abstract` says, and what is wrong with it; it is not inherited."""
        entry = self.find((section.name,), "abstract")
        try:
            return entry is not None and as_bool(evaluate(entry.value)), ""
        except ExpressionError as error:
            return False, f"Error getting value of config option 'abstract': {error}"

    def _extends(self, section: Section) -> list[str]:
        # [General], too, is asked for its bases here, and answers with itself (getBaseConfigs).
        return [GENERAL] if section.name == GENERAL else direct_bases(section, self.sections)


def read_ini(
    path: str | os.PathLike[str],
    *,
    overrides: Iterable[tuple[str, str]] = (),
    extra_options: Iterable[str] = (),
    more: Iterable[str | os.PathLike[str]] = (),
    version: Version = DEFAULT_VERSION,
) -> IniContents:
    """Read an ini file, and `more` of them as if they stood below it.

    `overrides` are what stands on the command line as `--key=value`; the last of equal keys counts. `extra_options`
    are options that model libraries register. Raise `IniError` with OMNeT++'s words, file and line.
    """
    files = [os.fspath(path), *(os.fspath(other) for other in more)]
    sections = {section.name: section for section in read_sections(files, version)}
    keys = [entry.key for entry in sections[GENERAL].entries] if GENERAL in sections else []
    places = {entry.key: entry for entry in sections[GENERAL].entries} if GENERAL in sections else {}
    _compile_early(keys, places, version)
    entries = _overrides(dict(overrides))
    _compile_early([entry.key for entry in entries], {}, version)
    options = OptionTable(version, tuple(extra_options))
    return IniContents(paths=files, sections=sections, overrides=entries, options=options, version=version)


def _compile_early(keys: list[str], places: Mapping[str, Entry], version: Version) -> None:
    """Raise the error of the first key that is no pattern: OMNeT++ compiles those of [General] at once."""
    for key in keys:
        if "{" not in key:
            continue  # only a brace can make a pattern wrong
        try:
            compile_key(key, version)
        except PatternError as error:
            place = places.get(key)
            raise IniError(
                str(error),
                file=place.file if place else None,
                line=place.line if place else None,
                advice=f"close the brace in {key}",
            ) from error


def _overrides(values: Mapping[str, str]) -> tuple[Entry, ...]:
    for key in sorted(values, key=encoded):
        if not values[key]:
            raise IniError(f"Missing value for command-line option --{key}")
    directory = os.getcwd()
    return tuple(Entry(key, values[key], "<commandline>", 0, directory) for key in sorted(values, key=encoded))
