"""The text of a baseline file: its blocks of lines, to and from records.

Pure: text in, values out. A block that does not have its form raises `FormError`, which knows the line within the
block; whoever knows the file turns that into a `BaselineError`.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from oppcloud_worker.messages import RecordedValue

from pytest_oppcloud.records import Record, RunKey, natural
from pytest_oppcloud.records.record import value_order

from . import words

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER_WORD = "oppcloud-baselines"
#: Changes when an older reader would misunderstand the file; "1.1" may add what it can do without.
VERSION = 1
HEADER = f"{HEADER_WORD} {VERSION}"

#: Headings of the blocks that the sections of several runs share.
MADE_WITH = "made-with"
SETTINGS = "settings"
RUN = "run"

_REPETITION = re.compile(r"#([0-9]{1,18})")
_OCCURRENCE = re.compile(r"~([0-9]{1,18})")
_COUNT = re.compile(r"lines ([0-9]{1,18})")
_SHARED_NAME = re.compile(rf"^({MADE_WITH}|{SETTINGS}) ([0-9a-f]+)$", re.MULTILINE)
_REFERENCE = re.compile(r"[0-9a-f]+")

#: The shape of a value's line: how many words follow its kind. The two without a module end in a list of words.
_LENGTHS = {"par": 3, "scalar": 3, "statistic": 4, "bin": 4, "attr": 4}
_LISTS = ("fingerprint", "digest")


class FormError(ValueError):
    """A block does not have its form; `offset` counts the lines from its heading, which is 0."""

    def __init__(self, message: str, offset: int) -> None:
        self.offset = offset
        super().__init__(message)


def heading_key(line: str) -> RunKey:
    """Return the key that the heading of a section names; raise `FormError`."""
    try:
        first, *rest = words.split(line)
    except ValueError as error:
        raise FormError(f"not a heading of a run: {error}", 0) from error
    occurrence = _OCCURRENCE.fullmatch(rest[-1]) if rest else None
    if occurrence:
        rest.pop()
    repetition = _REPETITION.fullmatch(rest[-1]) if len(rest) > 1 else None
    variables = [word.partition("=") for word in rest[1:-1]]
    itervars = {name: value for name, _, value in variables}
    if first != RUN or not repetition or not all(equals for _, equals, _ in variables):
        raise FormError(f"not a heading like `run Config name=value #0`: {line:.80}", 0)
    key = RunKey.of(rest[0], itervars, int(repetition[1]), int(occurrence[1]) if occurrence else 1)
    if words.join((RUN, *key.words)) != line:
        raise FormError(f"the heading should read: {words.join((RUN, *key.words))}", 0)
    return key


def section_text(key: RunKey, record: Record) -> str:
    """Return the section of a run, without the blocks it refers to."""
    lines = [
        f"{MADE_WITH} {shared_name(record.provenance)}",
        f"{SETTINGS} {shared_name(record.settings)}",
        words.join(("seed-set", record.seed_set)),
        *map(_value_line, record.values),
    ]
    return "\n".join((words.join((RUN, *key.words)), f"lines {len(lines)}", *lines))


def parse_section(text: str, shared: Mapping[tuple[str, str], Mapping[str, str]]) -> Record:
    """Return the record in a section; raise `FormError`."""
    _, *lines = text.split("\n")
    count = len(lines) - 1
    announced = _COUNT.fullmatch(lines[0]) if lines else None
    if announced is None:
        raise FormError(f"`lines {max(count, 0)}` was expected after the heading", 1)
    if int(announced[1]) != count:
        raise FormError(f"it was recorded with {announced[1]} lines, and has {count}", 1)
    if count < 3:
        raise FormError("the lines `made-with`, `settings` and `seed-set` were expected", 1)
    provenance = _referred(lines[1], MADE_WITH, shared, 2)
    settings = _referred(lines[2], SETTINGS, shared, 3)
    seed_set = _words(lines[3], 4)
    if len(seed_set) != 2 or seed_set[0] != "seed-set":
        raise FormError(f"`seed-set NUMBERS` was expected, found: {lines[3]:.80}", 4)
    values = []
    last: tuple[object, ...] = ()
    for offset, line in enumerate(lines[4:], 5):
        value = _parsed_value(line, offset)
        order = value_order(value)
        if order < last:
            raise FormError(f"the line is out of order: {line:.80}", offset)
        last = order
        values.append(value)
    return Record(values=tuple(values), provenance=provenance, settings=settings, seed_set=seed_set[1])


def references(text: str) -> set[tuple[str, str]]:
    """Return heading word and name of the shared blocks that a section refers to, even if it is damaged."""
    return {(match[1], match[2]) for match in _SHARED_NAME.finditer(text)}


def shared_text(heading: str, entries: Mapping[str, str]) -> str:
    """Return a block that sections share: its name is a hash of its lines, so that none can change unnoticed."""
    return "\n".join((f"{heading} {shared_name(entries)}", *_entry_lines(entries)))


def shared_name(entries: Mapping[str, str]) -> str:
    """Return the name of a shared block."""
    return _name_of(_entry_lines(entries))


def parse_shared(text: str) -> tuple[tuple[str, str], dict[str, str]]:
    """Return heading word and name of a shared block, and its entries; raise `FormError`."""
    first, *lines = text.split("\n")
    heading = _words(first, 0)
    if len(heading) != 2 or heading[0] not in {MADE_WITH, SETTINGS}:
        raise FormError(f"`{RUN}`, `{MADE_WITH}` or `{SETTINGS}` was expected, found: {first:.80}", 0)
    if _name_of(lines) != heading[1]:
        raise FormError("the lines below are not those that were recorded under this name", 0)
    entries = {}
    for offset, line in enumerate(lines, 1):
        entry = _words(line, offset)
        if len(entry) != 2:
            raise FormError(f"a key and a value were expected, found: {line:.80}", offset)
        entries[entry[0]] = entry[1]
    return (heading[0], heading[1]), entries


def _entry_lines(entries: Mapping[str, str]) -> list[str]:
    return [words.join((key, entries[key])) for key in sorted(entries, key=natural)]


def _name_of(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _referred(
    line: str, heading: str, shared: Mapping[tuple[str, str], Mapping[str, str]], offset: int
) -> Mapping[str, str]:
    found, _, name = line.partition(" ")
    if found != heading or not _REFERENCE.fullmatch(name):
        raise FormError(f"`{heading} NAME` was expected, found: {line:.80}", offset)
    if (heading, name) not in shared:
        raise FormError(f"there is no block `{heading} {name}` in this file", offset)
    return shared[heading, name]


def _value_line(value: RecordedValue) -> str:
    if value.kind in _LISTS:
        return words.join((value.kind, value.name, *value.value.split(" ")))
    if _LENGTHS[value.kind] == 3:
        return words.join((value.kind, value.module, value.name, value.value))
    return words.join((value.kind, value.module, value.name, value.field, value.value))


def _parsed_value(line: str, offset: int) -> RecordedValue:
    kind, *rest = _words(line, offset)
    if kind in _LISTS and len(rest) > 1:
        return RecordedValue(kind=kind, module="", name=rest[0], value=" ".join(rest[1:]))
    length = _LENGTHS.get(kind)
    if length is None or length != len(rest):
        raise FormError(f"not a line of a baseline: {line:.80}", offset)
    return RecordedValue(kind=kind, module=rest[0], name=rest[1], field=rest[2] if length == 4 else "", value=rest[-1])


def _words(line: str, offset: int) -> list[str]:
    try:
        return words.split(line)
    except ValueError as error:
        raise FormError(f"{error}: {line:.80}", offset) from error
