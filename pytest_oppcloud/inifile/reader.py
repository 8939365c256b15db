"""Ini files to sections and entries: lines, continuation, comments, headings, includes.

The rules are those of OMNeT++ 6.1, src/envir/inifilereader.cc. Nothing is known here of what keys and values mean.
However a file is made, reading ends: the number and depth of includes and the amount of text are bounded.
"""

# Paths are texts here, written and compared as OMNeT++ does it.
# ruff: noqa: PTH100, PTH116, PTH118, PTH120

from __future__ import annotations

import os
import pathlib
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

from pytest_oppcloud.errors import IniError

from .characters import SPACE, decoded, is_blank

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .versions import Version

#: Bounds on what is read; far above any real project, and below what would hang or fill the memory.
MAX_INCLUDE_DEPTH: Final = 100
MAX_FILES: Final = 10_000
MAX_BYTES: Final = 64 * 1024 * 1024

#: Up to the comment, the end, or a quote that is not closed: text and whole strings.
_CONTENT: Final = re.compile(r'(?:[^"#]+|"[^"\\]*(?:\\.[^"\\]*)*")*', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line `key = value`."""

    key: str
    value: str
    #: Path of the file, for people, and the line (1-based) on which the entry begins.
    file: str
    line: int
    #: Directory that relative file names in the value refer to.
    directory: str


@dataclass(slots=True)
class Section:
    """What stands under the headings of one name, in all files together."""

    name: str
    file: str
    #: Line (1-based) of the first heading, or of the first entry where there is none.
    line: int
    entries: list[Entry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is being read."""

    #: As OMNeT++ calls it in messages: as it was given, or as it is written after `include`.
    name: str
    #: As people can open it.
    shown: str
    #: Absolute and without `..`, by which a file is known, and which relative names in it start from.
    path: str
    #: As it is opened: `link/../x.ini` is a question for the file system.
    opened: str
    #: The file and the line that include it; None for one that was asked for.
    included_at: tuple[str, int] | None = None

    def refuse(self, what: str, advice: str = "", cause: OSError | None = None) -> NoReturn:
        """Raise the error of a file that cannot be read: it is mended where the file is named."""
        where, line = self.included_at or (self.shown, None)
        raise IniError(what, file=where, line=line, advice=advice) from cause

    def fail(self, what: str, line: int, advice: str = "") -> NoReturn:
        """Raise the error of a line."""
        raise IniError(f"{what}, '{self.name}' line {line}", file=self.shown, line=line, advice=advice)


def read_sections(paths: Sequence[str], version: Version) -> list[Section]:
    """Read the ini files one after the other and return their sections, in order of appearance.

    Raise `IniError` with OMNeT++'s words, file and line.
    """
    reader = _Reader(version)
    for path in paths:
        reader.read(_File(path, path, os.path.abspath(path), path), None, ())
    return list(reader.sections.values())


class _Reader:
    def __init__(self, version: Version) -> None:
        self.sections: dict[str, Section] = {}
        self._version = version
        self._files = 0
        self._bytes = 0

    def read(self, file: _File, section: Section | None, including: tuple[str, ...]) -> None:
        """Read a file into `section` and those that it begins.

        `including` are the absolute paths of the files that led here.
        """
        if file.path in including:
            file.refuse(f"Ini file '{file.name}' includes itself, directly or indirectly")
        headings: set[str] = set()
        for joined, number in _joined_lines(self._text(file, len(including))):
            text = _without_inner_comments(joined, file, number)
            if text.startswith((" ", "\t")):
                file.fail(
                    "Content must begin on column 1 because indentation is used for line continuation",
                    number,
                    "remove the blanks in front, or attach the line to the one above (no blank or comment between)",
                )
            elif text.startswith("#"):
                if text.startswith("#% old-wildcards"):
                    file.fail("Old-wildcards mode (#% old-wildcards syntax) no longer supported", number)
            elif text.startswith(";"):
                file.fail("Use hash mark instead of semicolon to start comments", number)
            elif text.startswith("include") and text[7:8] and text[7] in SPACE:
                included = _content(text[7:], file, number).strip(SPACE)
                self.read(_beside(file, included, number), section, (*including, file.path))
            elif text.startswith("["):
                section = self._heading(text, file, number, headings)
            else:
                section = section or self._section("General", file, number)
                section.entries.append(_entry(text, file, number))

    def _text(self, file: _File, depth: int) -> str:
        """Return the text of a file."""
        self._files += 1
        if depth > MAX_INCLUDE_DEPTH or self._files > MAX_FILES:
            file.refuse(
                f"Ini file '{file.name}' is included too deeply or too often",
                f"at most {MAX_INCLUDE_DEPTH} levels and {MAX_FILES} files are read",
            )
        if not file.name or "\0" in file.name:
            file.refuse(f"Cannot open ini file '{file.name}'")
        try:
            if not stat.S_ISREG(os.stat(file.opened).st_mode):
                file.refuse(f"Cannot read ini file '{file.name}'", "it is no regular file")
            with pathlib.Path(file.opened).open("rb") as stream:
                data = stream.read(MAX_BYTES - self._bytes + 1)
        except OSError as error:
            file.refuse(f"Cannot open ini file '{file.name}'", error.strerror or "", error)
        self._bytes += len(data)
        if self._bytes > MAX_BYTES:
            file.refuse(
                f"Cannot read ini file '{file.name}'",
                f"this file and what was read before it are larger than {MAX_BYTES >> 20} MiB",
            )
        return decoded(data)

    def _heading(self, text: str, file: _File, line: int, headings: set[str]) -> Section:
        content = _content(text, file, line)
        blanks_behind = len(content) < len(text) and "#" not in text[len(content) :]
        if not content.endswith("]") or (blanks_behind and not self._version.blanks_after_heading):
            file.fail("Syntax error in section heading", line, "a heading is [Config Name] or [Name]")
        section = content[1:-1].strip(SPACE).removeprefix("Config ").strip(SPACE)
        if not section:
            file.fail("Section name cannot be empty", line)
        if section in headings:
            file.fail(f"Duplicate section '{section}' within file", line, "join the two sections")
        headings.add(section)
        return self._section(section, file, line)

    def _section(self, name: str, file: _File, line: int) -> Section:
        return self.sections.setdefault(name, Section(name, file.shown, line))


def _beside(file: _File, included: str, line: int) -> _File:
    """Return the file that `include` names; OMNeT++ changes into the including file's directory, resolving links."""
    opened = os.path.join(os.path.realpath(os.path.dirname(file.opened)), included)
    shown = os.path.join(os.path.dirname(file.shown), included)
    return _File(included, shown, os.path.normpath(opened), opened, (file.shown, line))


def _entry(text: str, file: _File, line: int) -> Entry:
    key, equals, value = _content(text, file, line).partition("=")
    key = key.strip(SPACE)
    if not equals or not key:
        file.fail("Line must be in the form key=value", line)
    return Entry(key, value.strip(SPACE), file.shown, line, os.path.dirname(file.path))


def _content(text: str, file: _File, line: int) -> str:
    """Return `text` without its comment and the blanks in front of that; its first character always stays."""
    match = _CONTENT.match(text)
    end = match.end() if match else 0
    if text.startswith('"', end):
        file.fail("Unterminated string constant", line, "close the quote on the same line")
    return text[: min(1, end)] + text[1:end].rstrip(SPACE)


def _without_inner_comments(text: str, file: _File, line: int) -> str:
    """Remove the comments from the parts of a line that indentation continues."""
    if "\n" not in text:
        return text
    return "\n".join(_content(part, file, line + index) for index, part in enumerate(text.split("\n")))


def _joined_lines(text: str) -> Iterator[tuple[str, int]]:
    """Yield the lines of a file that are not blank, each with what continues it, and the number of its first line."""
    parts: list[str] = []
    start = 0
    blank = takes_more = False
    for raw, joined, number in _backslash_joined(text):
        if takes_more and raw.startswith((" ", "\t")) and not is_blank(_c_string(raw)):
            parts.append(joined)
            continue
        if parts and not blank:
            yield _c_string("\n".join(parts)), start
        parts, start = [joined], number
        first = _c_string(joined)
        blank = is_blank(first)
        takes_more = not blank and not first.lstrip(" \t").startswith("#")
    if parts and not blank:
        # Only here, at the end of the file, a line may still end in a backslash.
        yield _c_string("\n".join(parts).removesuffix("\\")), start


def _backslash_joined(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield each raw line that no backslash joins to the one before, what they join to it, and its number."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    index = 0
    while index < len(lines):
        raw = _without_control(lines[index])
        pieces = [raw]
        index += 1
        number = index
        while index < len(lines) and pieces and pieces[-1].endswith("\\"):
            pieces[-1] = pieces[-1][:-1]
            pieces.append(_without_control(lines[index]))
            while pieces and not pieces[-1]:
                pieces.pop()
            index += 1
        yield raw, "".join(pieces), number


def _without_control(line: str) -> str:
    """Drop one control character from the end: the CR of CRLF, but a TAB as well."""
    return line[:-1] if line and (line[-1] < " " or line[-1] == "\x7f") else line


def _c_string(text: str) -> str:
    return text.split("\0", 1)[0]
