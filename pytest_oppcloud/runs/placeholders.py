"""The `${...}` in values: definitions of iteration variables, and references to variables.

The rules, odd ones included, are those of OMNeT++ 6.1, src/envir/sectionbasedconfig.cc (parseVariable).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_oppcloud.inifile.characters import LETTER, LETTER_OR_DIGIT, SPACE

from .lists import end_of_item

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_oppcloud.inifile.versions import Version

_NAMES: Final = {
    False: re.compile(f"{LETTER}{LETTER_OR_DIGIT}*"),
    True: re.compile(f"(?:{LETTER}|_)(?:{LETTER_OR_DIGIT}|_)*"),
}
_BLANKS: Final = re.compile(f"[{SPACE}]*")


class PlaceholderError(ValueError):
    """A `${...}` cannot be read; the message is OMNeT++'s."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One `${...}`, from `start` to `end` of its value."""

    start: int
    end: int
    #: "" for a list without a name.
    name: str
    #: The list of values as it is written; "" for a reference.
    values: str
    #: The variable that this one runs parallel to, "" for none.
    master: str


def parse_placeholders(value: str, version: Version) -> list[Placeholder]:
    """Return the placeholders of a value; what is nested in one belongs to it.

    Raise `PlaceholderError` or `ListError` with OMNeT++'s words.
    """
    found: list[Placeholder] = []
    position = value.find("${")
    if position < 0:
        return found
    # OMNeT++ looks for these two up to the end of the value, not of the placeholder.
    last_comma, last_mark = value.rfind(","), value.rfind("!")
    while position >= 0:
        placeholder = _parse(value, position, last_comma, last_mark, _NAMES[version.underscore_in_names])
        found.append(placeholder)
        position = value.find("${", placeholder.end)
    return found


def _parse(value: str, start: int, last_comma: int, last_mark: int, names: re.Pattern[str]) -> Placeholder:
    end = _end(value, start + 2)
    position = _after_blanks(value, start + 2)
    name = ""
    begin = position
    match = names.match(value, position)
    if match:
        position = _after_blanks(value, match.end())
        if value.startswith("}", position):
            return Placeholder(start, end, match.group(), "", "")
        if value.startswith("=", position) and not value.startswith("==", position):
            name, begin = match.group(), position + 1
        elif last_comma < position:
            raise PlaceholderError("Missing '=' after '${varname'")
    stop = end - 1
    master = ""
    if last_mark >= begin:
        match = names.match(value, _after_blanks(value, last_mark + 1))
        if match and _after_blanks(value, match.end()) == stop:
            stop, master = last_mark, match.group()
    return Placeholder(start, end, name, value[begin:stop], master)


def _end(value: str, start: int) -> int:
    """Return the index behind the closing brace."""
    position = start
    while position < len(value):
        brace = end_of_item(value, position, "}")
        if brace > position:
            if brace == len(value) and position == start:
                # A debug build of OMNeT++ 6.1 stops at an assertion, a release build reads beyond the text.
                break
            # OMNeT++ skips `${}` and what looks like it, but measures from the first brace all the same.
            return start + (brace - position) + 1
        position += 1
    raise PlaceholderError("Missing '}' for '${'")


def _after_blanks(value: str, position: int) -> int:
    match = _BLANKS.match(value, position)
    return match.end() if match else position


@dataclass(frozen=True, slots=True)
class Template:
    """A value that is cut at its placeholders."""

    #: One text more than there are names.
    texts: tuple[str, ...]
    names: tuple[str, ...]

    def fill(self, variables: Mapping[str, str]) -> str:
        """Return the value with the variables put in.

        Raise `PlaceholderError` with OMNeT++'s words where a variable does not exist.
        """
        pieces = [self.texts[0]]
        for name, text in zip(self.names, self.texts[1:], strict=True):
            if name not in variables:
                raise PlaceholderError(f"No such variable: ${{{name}}}")
            pieces.append(variables[name])
            pieces.append(text)
        return "".join(pieces)


def make_template(value: str, placeholders: list[Placeholder], names: list[str]) -> Template:
    """Cut `value` at its placeholders, which stand for the variables `names`."""
    ends = [0, *(placeholder.end for placeholder in placeholders)]
    starts = [*(placeholder.start for placeholder in placeholders), len(value)]
    return Template(tuple(value[end:start] for end, start in zip(ends, starts, strict=True)), tuple(names))
