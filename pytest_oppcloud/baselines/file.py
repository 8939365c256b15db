"""A baseline file as a value: an index of sections that are read when they are asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_oppcloud.errors import BaselineError

from . import form

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from pytest_oppcloud.records import Record, RunKey

#: A file without baselines.
EMPTY = f"{form.HEADER}\n".encode()

_RUN_HEADING = f"{form.RUN} "
_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7}|\|{7})(?= |$)", re.MULTILINE)

_MEND_FILE = "Restore the file from version control, or delete it and record it again with --opp-update-baselines=new."
_MEND_EMPTY_LINE = "Remove it: one empty line stands between two blocks, and none at the end."
_MEND_LINE_ENDS = "Convert the line ends, and have git leave them alone: `baselines/* -text` in .gitattributes."
_MEND_SECTION = "Restore the file from version control, or record this run again with --opp-update-baselines=changed."
_MEND_CONFLICT = (
    "Resolve the merge conflict: of each run's section keep one side, whole, and of the other blocks both sides."
)


@dataclass(frozen=True, slots=True)
class _Section:
    line: int
    text: str


class BaselineFile:
    """The baselines of one ini file. Never changes; `updated` returns another one."""

    def __init__(self, path: Path, data: bytes = EMPTY) -> None:
        """Read `data`, the bytes of the file at `path`.

        Raise `BaselineError` if the file as a whole cannot be understood. A damaged section of one run is found when
        its record is asked for.
        """
        self.path = path
        #: The bytes of the file.
        self.data = data
        self._sections: dict[RunKey, _Section] = {}
        self._shared: dict[tuple[str, str], dict[str, str]] = {}
        self._read(data.decode("utf-8", "surrogateescape"))

    def __len__(self) -> int:
        return len(self._sections)

    def __contains__(self, key: RunKey) -> bool:
        return key in self._sections

    def __iter__(self) -> Iterator[RunKey]:
        return iter(self._sections)

    def line(self, key: RunKey) -> int | None:
        """Return the line of the heading of a run."""
        section = self._sections.get(key)
        return section.line if section else None

    def record(self, key: RunKey) -> Record | None:
        """Return what is stored for a run, None if nothing is; raise `BaselineError` if its section is damaged."""
        section = self._sections.get(key)
        if section is None:
            return None
        try:
            return form.parse_section(section.text, self._shared)
        except form.FormError as error:
            raise self._error(
                f"the baseline of `{key}` is damaged: {error}", section.line + error.offset, _MEND_SECTION
            ) from error

    def records(self) -> dict[RunKey, Record]:
        """Return all that is stored; raise `BaselineError` at the first damaged section."""
        return {key: record for key in self if (record := self.record(key)) is not None}

    def unused(self, expected: Collection[RunKey]) -> tuple[RunKey, ...]:
        """Return the runs that have a baseline and are not among `expected`: all runs of the whole ini file."""
        known = expected if isinstance(expected, (set, frozenset)) else set(expected)
        return tuple(key for key in self if key not in known)

    def updated(self, changes: Mapping[RunKey, Record | None]) -> BaselineFile:
        """Return the file with the sections of some runs replaced, added, or (None) removed.

        All other sections keep their bytes.
        """
        sections = {key: section.text for key, section in self._sections.items()}
        shared = {name: form.shared_text(name[0], entries) for name, entries in self._shared.items()}
        for key, record in changes.items():
            if record is None:
                sections.pop(key, None)
                continue
            sections[key] = form.section_text(key, record)
            for heading, entries in ((form.MADE_WITH, record.provenance), (form.SETTINGS, record.settings)):
                shared[heading, form.shared_name(entries)] = form.shared_text(heading, entries)
        used: set[tuple[str, str]] = set().union(*map(form.references, sections.values()))
        blocks = [
            form.HEADER,
            *(shared[name] for name in sorted(used & shared.keys())),
            *(sections[key] for key in sorted(sections, key=lambda key: key.order)),
        ]
        return BaselineFile(self.path, ("\n\n".join(blocks) + "\n").encode("utf-8", "surrogateescape"))

    def _read(self, text: str) -> None:
        header, *blocks = text.split("\n\n")
        self._check(text, header if blocks else header.removesuffix("\n"))
        if blocks:
            blocks[-1] = blocks[-1].removesuffix("\n")
        line = header.count("\n") + 3
        for block in blocks:
            try:
                self._add(block, line)
            except form.FormError as error:
                raise self._error(str(error), line + error.offset, _MEND_FILE) from error
            line += block.count("\n") + 2

    def _check(self, text: str, header: str) -> None:
        """Refuse what is no baseline file, or not one of this version, or not in one piece."""
        if "\r" in text and text.startswith(form.HEADER_WORD):
            line = text.count("\n", 0, text.index("\r")) + 1
            raise self._error("a carriage return: lines end with a line feed alone", line, _MEND_LINE_ENDS)
        if text.startswith("\ufeff"):
            raise self._error("a byte order mark before the first line", 1, "Save the file as UTF-8 without one.")
        version = re.fullmatch(rf"{form.HEADER_WORD} ([0-9]+)(?:\.[0-9]+)?", header.split("\n", maxsplit=1)[0])
        if version is None:
            raise self._error(f"not a file of baselines: its first line is not `{form.HEADER}`", 1, _MEND_FILE)
        if int(version[1]) != form.VERSION:
            raise self._error(
                f"baselines of format {version[1]}, but this version of pytest-oppcloud reads format {form.VERSION}",
                1,
                "Install a version that reads the file, or delete it and record it again.",
            )
        conflict = _CONFLICT.search(text)
        if conflict:
            raise self._error("a merge conflict", text.count("\n", 0, conflict.start()) + 1, _MEND_CONFLICT)
        if "\n" in header:
            raise self._error("an empty line was expected", 2, _MEND_FILE)
        if not text.endswith("\n"):
            raise self._error("the last line is cut off", text.count("\n") + 1, _MEND_FILE)

    def _add(self, block: str, line: int) -> None:
        """Take a block of lines that begins at `line`."""
        if not block or block.startswith("\n"):
            raise self._error("an empty line too many", line, _MEND_EMPTY_LINE)
        if not block.startswith(_RUN_HEADING):
            name, entries = form.parse_shared(block)
            if name in self._shared:
                raise form.FormError(f"a second block `{' '.join(name)}`", 0)
            self._shared[name] = entries
            return
        if f"\n{_RUN_HEADING}" in block:
            offset = block.count("\n", 0, block.index(f"\n{_RUN_HEADING}")) + 1
            raise form.FormError("a heading without an empty line before it", offset)
        key = form.heading_key(block.partition("\n")[0])
        if key in self._sections:
            raise form.FormError(f"a second baseline of `{key}`; the first is in line {self.line(key)}", 0)
        self._sections[key] = _Section(line, block)

    def _error(self, message: str, line: int, advice: str) -> BaselineError:
        return BaselineError(message, file=str(self.path), line=line, advice=advice)
