"""The patterns in the keys of ini files: `**.host[3..5].app{a-f}?.*Time`.

The rules are those of OMNeT++ 6.1, src/common/patternmatcher.cc: `?` is one character but a dot, `*` any without
dots, `**` any, `{a-f}` and `{^a-f}` one of a set or not, `{38..150}` a number, `[3..5]` an index, and a backslash
takes the next character as it is. A match costs at most the product of both lengths, whatever the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from .characters import byte_per_character

#: Where in the text a match may go on after an element of the pattern, given where it may begin.
_Element: TypeAlias = Callable[[str, "set[int]"], "set[int]"]

_NUMBER_RANGE: Final = {
    "]": re.compile(r"[\[{]([0-9]*)\.\.([0-9]*)\]"),
    "}": re.compile(r"[\[{]([0-9]*)\.\.([0-9]*)\}"),
}
_DIGITS: Final = re.compile("[0-9]+")
_LONG_MAX: Final = 2**63 - 1


class PatternError(ValueError):
    """A text is no pattern; the message is OMNeT++'s."""


def contains_wildcards(text: str) -> bool:
    """Tell whether `text` is a pattern rather than a name (PatternMatcher::containsWildcards)."""
    return any(char in text for char in "?*\\{") or ".." in text


class Pattern:
    """A compiled pattern; it must fit the whole of a text."""

    __slots__ = ("_elements", "_literal", "_suffix", "text")

    def __init__(self, text: str) -> None:
        """Compile `text`; raise `PatternError` with OMNeT++'s words."""
        self.text = text
        elements = _Reader(byte_per_character(text)).elements()
        #: Set if the pattern is a plain text.
        plain = [element for element in elements if isinstance(element, str)]
        self._literal = "".join(plain) if len(plain) == len(elements) else None
        #: What every match ends with.
        self._suffix = elements[-1] if elements and isinstance(elements[-1], str) else ""
        self._elements = [_literal(e) if isinstance(e, str) else e for e in elements]

    def matches(self, text: str) -> bool:
        """Tell whether the pattern fits `text`."""
        text = byte_per_character(text)
        if self._literal is not None:
            return text == self._literal
        if not text.endswith(self._suffix):
            return False
        positions = {0}
        for element in self._elements:
            positions = element(text, positions)
            if not positions:
                return False
        return len(text) in positions

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


class _Reader:
    """Reads a pattern, one element after the other."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def elements(self) -> list[str | _Element]:
        """Return the elements; plain text as `str`."""
        elements: list[str | _Element] = []
        text = self._text
        while self._position < len(text):
            char = text[self._position]
            if char == "?":
                elements.append(_one(lambda c: c != "."))
                self._position += 1
            elif char == "*":
                many = text.startswith("**", self._position)
                elements.append(_anything if many else _anything_but_dots)
                self._position += 2 if many else 1
            elif char == "{":
                elements.append(self._number("}") or self._set())
            elif char == "[" and elements and isinstance(elements[-1], str):
                elements.append(self._number("]") or self._plain())
            else:
                elements.append(self._plain())
        return elements

    def _number(self, closer: str) -> _Element | None:
        """Read a range of numbers, `{2..5}` with its brace, `[2..5]` without its closing bracket."""
        match = _NUMBER_RANGE[closer].match(self._text, self._position)
        if match is None:
            return None
        self._position = match.end() - (closer == "]")
        return _number_between(_bound(match.group(1)), _bound(match.group(2)))

    def _plain(self) -> str:
        """Read what stands for itself; the bracket that opens an index range belongs to it."""
        text = self._text
        chars: list[str] = []
        while self._position < len(text) and text[self._position] not in "?{*":
            if text[self._position] == "\\":
                self._position += 1
                if self._position == len(text):
                    break
            chars.append(text[self._position])
            if text[self._position] == "[" and _NUMBER_RANGE["]"].match(text, self._position):
                break
            self._position += 1
        return "".join(chars)

    def _set(self) -> _Element:
        text = self._text
        self._position += 1
        negated = text.startswith("^", self._position)
        if negated:
            self._position += 1
        start = self._position
        ranges: list[tuple[int, int]] = []
        # A closing brace that comes first is a member of the set.
        while self._position < len(text) and (text[self._position] != "}" or self._position == start):
            low = high = text[self._position]
            behind = text[self._position + 1 : self._position + 3]
            if len(behind) == 2 and behind[0] == "-" and behind[1] != "}":
                high = behind[1]
                self._position += 2
            self._position += 1
            ranges.append((_signed(low), _signed(high)))
        if self._position >= len(text):
            raise PatternError("Unmatched '}' in expression")
        self._position += 1
        return _one(lambda c: any(low <= _signed(c) <= high for low, high in ranges) is not negated)


def _bound(digits: str) -> int | None:
    """Return a limit of a range; too long a number is the largest that C's atol() knows."""
    if not digits:
        return None
    significant = digits.lstrip("0")
    return min(int(significant or "0"), _LONG_MAX) if len(significant) < 20 else _LONG_MAX


def _signed(char: str) -> int:
    """Return the number of a byte as C's (signed) char."""
    code = ord(char)
    return code - 256 if code >= 128 else code


def _literal(literal: str) -> _Element:
    return lambda text, positions: {p + len(literal) for p in positions if text.startswith(literal, p)}


def _one(fits: Callable[[str], bool]) -> _Element:
    return lambda text, positions: {p + 1 for p in positions if p < len(text) and fits(text[p])}


def _anything(text: str, positions: set[int]) -> set[int]:
    return set(range(min(positions), len(text) + 1))


def _anything_but_dots(text: str, positions: set[int]) -> set[int]:
    reached: set[int] = set()
    end = -1
    for position in sorted(positions):
        if position <= end:
            continue  # the run that began further left went beyond it
        dot = text.find(".", position)
        end = dot if dot >= 0 else len(text)
        reached.update(range(position, end + 1))
    return reached


def _number_between(low: int | None, high: int | None) -> _Element:
    def element(text: str, positions: set[int]) -> set[int]:
        reached: set[int] = set()
        for position in positions:
            match = _DIGITS.match(text, position)
            if match is not None and _within(_bound(match.group()) or 0, low, high):
                reached.add(match.end())
        return reached

    return element


def _within(number: int, low: int | None, high: int | None) -> bool:
    return (low is None or number >= low) and (high is None or number <= high)
