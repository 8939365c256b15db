"""Reader of text result files, version 3, as `src/common/omnetppscalarfilewriter.cc` writes them.

Standard library only. The reader is stricter than OMNeT++'s own: a run is a head, a blank line, its items, and a
blank line, so that a file that was cut off or lost a line is recognised.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oppcloud_worker.messages import RecordedValue

from .record import COMMON_FIELDS, UNWEIGHTED_FIELDS, WEIGHTED_FIELDS, ResultError, RunRecord, head_trouble

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

_WORD = re.compile(r'[ \t]*(?:"((?:[^"\\]|\\.)*)"(?![^ \t])|([^ \t"][^ \t]*))')
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_NUMBER = re.compile(r"-?(?:nan|inf|\d+(?:\.\d+)?(?:e[-+]\d+)?)\Z")
_HEAD = ("attr", "itervar", "config")


def read(path: Path) -> tuple[RunRecord, ...]:
    """Return the runs of a text file; raise `ResultError` where it is not as OMNeT++ writes it."""
    # Bytes that are not UTF-8 survive as surrogates: a model may name its modules as it likes.
    content = path.read_bytes().decode("utf-8", "surrogateescape")
    if not content:
        raise ResultError("the file is empty", path)
    if not content.endswith("\n"):
        raise ResultError("the last line is cut off", path, content.count("\n") + 1)
    return tuple(_Reader(path, content[:-1].split("\n")).runs())


def split_words(line: str) -> list[str]:
    """Split a line into its words, quoted ones unquoted; raise ValueError if that cannot be done."""
    if '"' not in line:
        return line.split()
    words: list[str] = []
    position = 0
    while line[position:].strip(" \t"):
        match = _WORD.match(line, position)
        if not match:
            raise ValueError("a quoted word does not end")
        words.append(match[2] if match[1] is None else _ESCAPE.sub(_unescape, match[1]))
        position = match.end()
    return words


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    if match[2] not in _ESCAPES:
        raise ValueError(f"unknown escape \\{match[2]}")
    return _ESCAPES[match[2]]


class _Reader:
    """Goes through the lines of one file."""

    def __init__(self, path: Path, lines: list[str]) -> None:
        self._path = path
        self._lines = lines
        #: Index of the next line.
        self._next = 0

    def runs(self) -> Iterator[RunRecord]:
        if self._words() != ["version", "3"]:
            raise self._error("'version 3' was expected")
        if self._next == len(self._lines):
            raise self._error("there is no run")
        while self._next < len(self._lines):
            yield self._run()

    def _error(self, message: str) -> ResultError:
        """Return an error about the line that was read last."""
        return ResultError(message, self._path, self._next)

    def _words(self) -> list[str]:
        """Return the words of the next line, none for a blank one."""
        if self._next == len(self._lines):
            raise ResultError("the file ends too early", self._path, self._next)
        line = self._lines[self._next]
        self._next += 1
        try:
            return split_words(line)
        except ValueError as error:
            raise self._error(str(error)) from None

    def _run(self) -> RunRecord:
        words = self._words()
        if len(words) != 2 or words[0] != "run":
            raise self._error(f"'run' was expected, found {' '.join(words)!r:.60}")
        begin = self._next
        attributes: dict[str, str] = {}
        itervars: dict[str, str] = {}
        config: list[tuple[str, str]] = []
        level = 0
        while words_of_head := self._words():
            if len(words_of_head) != 3 or words_of_head[0] not in _HEAD:
                raise self._error(f"a line of the head of a run was expected, found {words_of_head[0]!r:.60}")
            kind, key, value = words_of_head
            if _HEAD.index(kind) < level:
                raise self._error(f"'{kind}' comes too late in the head of a run")
            level = _HEAD.index(kind)
            if kind == "config":
                config.append((key, value))
            elif key in (known := attributes if kind == "attr" else itervars):
                raise self._error(f"'{kind} {key}' occurs twice")
            else:
                known[key] = value
        values = tuple(self._items())
        record = RunRecord(
            run_id=words[1], attributes=attributes, itervars=itervars, config=tuple(config), values=values
        )
        if trouble := head_trouble(record):
            raise ResultError(trouble, self._path, begin)
        return record

    def _items(self) -> Iterator[RecordedValue]:
        """Give the values of a run up to and including the blank line that ends it."""
        words = self._words()
        while words:
            match words:
                case ["scalar", module, name, value]:
                    yield RecordedValue(kind="scalar", module=module, name=name, value=self._number(value))
                case ["par", module, name, value]:
                    yield RecordedValue(kind="par", module=module, name=name, value=value)
                case ["statistic", module, name]:
                    yield from self._fields(module, name)
                case [kind, *rest]:
                    raise self._error(f"an item was expected, found {kind!r:.60} with {len(rest)} words")
                case _:  # pragma: no cover  # the loop ends at a line without words
                    return
            words = yield from self._attributes(module, name)
            if words[:1] == ["bin"]:
                words = yield from self._bins(module, name, words)

    def _attributes(self, module: str, name: str) -> Generator[RecordedValue, None, list[str]]:
        """Give the attributes of an item; return the words of the line after them."""
        while (words := self._words())[:1] == ["attr"]:
            if len(words) != 3:
                raise self._error(f"'attr' has {len(words) - 1} words instead of 2")
            yield RecordedValue(kind="attr", module=module, name=name, field=words[1], value=words[2])
        return words

    def _fields(self, module: str, name: str) -> Iterator[RecordedValue]:
        """Give the fields of a statistic: all of them, in OMNeT++'s order."""
        expected = [*COMMON_FIELDS, UNWEIGHTED_FIELDS[0]]
        for index in range(len(COMMON_FIELDS) + len(WEIGHTED_FIELDS)):
            if index == len(expected):
                return
            words = self._words()
            if index == len(COMMON_FIELDS):
                weighted = words[1:2] == [WEIGHTED_FIELDS[0]]
                expected = [*COMMON_FIELDS, *(WEIGHTED_FIELDS if weighted else UNWEIGHTED_FIELDS)]
            if len(words) != 3 or words[0] != "field" or words[1] != expected[index]:
                raise self._error(f"'field {expected[index]}' was expected")
            yield RecordedValue(
                kind="statistic", module=module, name=name, field=words[1], value=self._number(words[2])
            )

    def _bins(self, module: str, name: str, words: list[str]) -> Generator[RecordedValue, None, list[str]]:
        """Give the bins of a histogram, the first of which is `words`; return the words of the line after them."""
        edge = None
        while words[:1] == ["bin"]:
            if len(words) != 3:
                raise self._error(f"'bin' has {len(words) - 1} words instead of 2")
            lower = float(self._number(words[1]))
            if edge is None and words[1] != "-inf":
                raise self._error(f"the first bin begins at -inf, not at {words[1]}")
            # Edges that differ may be printed alike: those of a cPSquare lie closer than 16 digits.
            if edge is not None and not lower >= edge:
                raise self._error(f"the bin at {words[1]} comes after the one at {edge:g}")
            edge = lower
            yield RecordedValue(kind="bin", module=module, name=name, field=words[1], value=self._number(words[2]))
            words = self._words()
        return words

    def _number(self, text: str) -> str:
        """Return `text` if it is a number as printf writes it."""
        if not _NUMBER.match(text):
            raise self._error(f"a number was expected, found {text!r:.60}")
        return text
