"""Reading `oppcloud.toml`: unknown keys and wrong types are errors that name file and line.

Pure but for opening the one file: no pytest.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from pytest_oppcloud.errors import SettingsError

from .keys import KEYS, TABLES
from .settings import Entry, Project

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "oppcloud.toml"
#: What lies at the top of a project: our own file, those of OMNeT++'s IDE, a repository.
_PROJECT_MARKS = (FILE_NAME, ".oppbuildspec", ".nedfolders", ".git")

_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+(?:\][^\]]+)*?)\s*\]\]?\s*(?:#.*)?")
_ASSIGNMENT = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'|\s*\.\s*)+?)\s*=""")
_KEY_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


def find_project_file(folder: Path, top: Path | None = None) -> Path | None:
    """Return the nearest `oppcloud.toml` in `folder` or above it, not above `top`; None if there is none.

    Where `folder` does not lie under `top`, the search goes up to the root of the file system.
    """
    for place in (folder, *folder.parents):
        candidate = place / FILE_NAME
        if candidate.is_file():
            return candidate
        if place == top:
            return None
    return None


def top_folder(root: Path) -> Path:
    """Return the folder of the project that `root` is a part of: the nearest with a mark of one, else `root` itself.

    For those who start in a folder of an OMNeT++ project that pytest has no settings for.
    """
    for place in (root, *root.parents):
        if any((place / mark).exists() for mark in _PROJECT_MARKS):
            return place
    return root


def read_project(file: Path) -> Project:
    """Read `file`; raise `SettingsError` with file and line for what is unknown or does not fit."""
    try:
        text = file.read_bytes().decode()
        data = tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}", file=str(file)) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"is not UTF-8: {error.reason} at byte {error.start}", file=str(file)) from error
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        raise SettingsError(f"is not TOML: {error}", file=str(file), line=int(found[1]) if found else None) from error
    lines = dict(_positions(text))
    configs = data.pop("config", {})
    if not isinstance(configs, dict) or not all(isinstance(table, dict) for table in configs.values()):
        raise SettingsError(
            'config holds tables, as [config."Pure*"]', file=str(file), line=lines.get(("config",)), advice=_advice("")
        )
    general = dict(_entries(file, data, (), lines))
    _check_that_it_exists(file, general.get("files.extra"))
    tables = tuple(
        (pattern, dict(_entries(file, table, ("config", pattern), lines))) for pattern, table in configs.items()
    )
    return Project(file=file, general=general, configs=tables)


def _check_that_it_exists(file: Path, extra: Entry | None) -> None:
    """Check `files.extra`: a worker alone would miss what is not there, and tell it in the words of the simulation."""
    if extra is None:
        return
    for item in extra.value:
        if not (file.parent / item).exists():
            raise SettingsError(f"files.extra: there is no {item!r}", file=str(file), line=extra.line)


def _entries(
    file: Path, table: Mapping[str, Any], path: tuple[str, ...], lines: Mapping[tuple[str, ...], int]
) -> Iterator[tuple[str, Entry]]:
    """Check the keys of `table`, which lies at `path`, and return them by their full name."""
    inside = path[2:] if path[:1] == ("config",) else path
    for key, value in table.items():
        place = (*path, key)
        name = ".".join((*inside, key))
        line = _line(place, lines)
        if not inside and key in TABLES and isinstance(value, dict):
            yield from _entries(file, value, place, lines)
            continue
        known = KEYS.get(name)
        if known is None:
            raise SettingsError(f"unknown key {name!r}", file=str(file), line=line, advice=_advice(".".join(inside)))
        if path[:1] == ("config",) and not known.per_config:
            raise SettingsError(
                f"{name!r} holds for all configs and stands at the top of the file", file=str(file), line=line
            )
        if path[:1] != ("config",) and known.only_per_config:
            raise SettingsError(f'{name!r} belongs in a table as [config."Pure*"]', file=str(file), line=line)
        try:
            checked = known.check(value)
        except ValueError as error:
            raise SettingsError(f"{name}: {error}, found {value!r:.80}", file=str(file), line=line) from error
        yield name, Entry(value=checked, line=line)


def _advice(table: str) -> str:
    """List the keys that may stand in `table`."""
    names = [name for name in KEYS if table in {"", name.rpartition(".")[0]}]
    return f"Known keys: {', '.join(names)}" + (
        "" if table else ', and tables [config."PATTERN"] with those that differ'
    )


def _line(place: tuple[str, ...], lines: Mapping[tuple[str, ...], int]) -> int:
    """Return where `place` is, or the nearest thing around it."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _positions(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield (path of a key or table, line) for `text`, which is valid TOML; tomllib does not tell lines."""
    table: tuple[str, ...] = ()
    seen: set[tuple[str, ...]] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.fullmatch(line)
        assignment = None if header else _ASSIGNMENT.match(line)
        if header:
            table = _parts(header[1])
            path = table
        elif assignment:
            path = table + _parts(assignment[1])
        else:
            continue
        for length in range(1, len(path) + 1):
            if path[:length] not in seen:
                seen.add(path[:length])
                yield path[:length], number


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _KEY_PART.findall(dotted))
