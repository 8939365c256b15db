"""The values of one iteration variable: `1, 2, 10..50 step 10, "a b", $n..$m`.

The rules are those of OMNeT++ 6.1, src/envir/valueiterator.cc. A list is parsed once; the values of other variables
are put in, and ranges evaluated, at every restart. Ranges are never written out.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from pytest_oppcloud.inifile.characters import LETTER_OR_DIGIT
from pytest_oppcloud.inifile.expressions import Quantity, Special, Value

from .conditions import ITERATION_REFERENCE, evaluate_cached, wrong_type
from .lists import split_list

if TYPE_CHECKING:
    from collections.abc import Callable

_STEP: Final = re.compile("step")
_NAME: Final = re.compile("[A-Za-z0-9_@]+")
_WORD: Final = re.compile(LETTER_OR_DIGIT)


class _Text:
    """An expression or a text, as it is written and with the variables put in."""

    __slots__ = ("_pieces", "raw", "value")

    def __init__(self, raw: str) -> None:
        self.raw = raw
        # Text and names in turn; two groups per reference, one of which is None.
        self._pieces = [piece for piece in ITERATION_REFERENCE.split(raw) if piece is not None]
        #: Undefined before the first restart, which shows where a variable is used before its time.
        self.value: Value = Special.UNDEFINED

    @property
    def is_constant(self) -> bool:
        return len(self._pieces) == 1

    def substitute(self, value_of: Callable[[str], str]) -> str:
        pieces = self._pieces
        if len(pieces) == 1:
            return self.raw
        return "".join(value_of(piece) if index % 2 else piece for index, piece in enumerate(pieces))

    def evaluate(self, value_of: Callable[[str], str]) -> None:
        self.value = evaluate_cached(self.substitute(value_of))

    def double(self) -> float:
        number = self.value.number if isinstance(self.value, Quantity) else self.value
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise wrong_type("double", self.value, self.raw)
        return float(number)


class _Single:
    """A value that stands for itself."""

    __slots__ = ("_text",)

    def __init__(self, raw: str) -> None:
        self._text = _Text(raw)

    @property
    def is_constant(self) -> bool:
        return self._text.is_constant

    def restart(self, value_of: Callable[[str], str]) -> None:
        self._text.value = self._text.substitute(value_of)

    def count(self) -> int:
        return 1

    def get(self, index: int) -> str:  # noqa: ARG002  # there is only one
        value = self._text.value
        if not isinstance(value, str):
            raise wrong_type("string", value, self._text.raw)
        return value


class _Range:
    """`from..to step step`."""

    __slots__ = ("_count", "_first", "_last", "_step")

    def __init__(self, first: str, last: str, step: str) -> None:
        self._first, self._last, self._step = _Text(first), _Text(last), _Text(step)
        self._count: int | None = None

    @property
    def is_constant(self) -> bool:
        return self._first.is_constant and self._last.is_constant and self._step.is_constant

    def restart(self, value_of: Callable[[str], str]) -> None:
        self._count = None
        self._first.evaluate(value_of)
        self._last.evaluate(value_of)
        self._step.evaluate(value_of)

    def count(self) -> int:
        if self._count is None:
            step, last, first = self._step.double(), self._last.double(), self._first.double()
            # The odd factor lets 1..9 step 0.1 end at 9 in spite of rounding.
            span = last - first + 1.000001 * step
            number = span / step if step else math.nan
            # A number beyond 32 bits becomes INT_MIN in OMNeT++, that is, no values.
            self._count = max(0, math.floor(number)) if abs(number) < 2**31 else 0
        return self._count

    def parts(self) -> list[str]:
        return [self._first.raw, self._last.raw, self._step.raw]

    def get(self, index: int) -> str:
        return "%g" % (self._first.double() + self._step.double() * index)  # C's format is the rule


def _item(text: str) -> _Single | _Range:
    first, dots, rest = text.partition("..")
    if not dots:
        return _Single(text)
    for match in _STEP.finditer(rest):
        before, after = rest[match.start() - 1 : match.start()], rest[match.end() : match.end() + 1]
        if not _WORD.match(before) and not _WORD.match(after):
            return _Range(first, rest[: match.start()], rest[match.end() :])
    return _Range(first, rest, "1")


class ValueIterator:
    """Goes through the values of a variable."""

    __slots__ = ("_index", "_item", "_items", "_started", "is_constant", "position", "references")

    def __init__(self, text: str) -> None:
        """Parse a list; raise `ListError` with OMNeT++'s words."""
        texts = split_list(text)
        self._items = [_item(text) for text in texts]
        #: No other variable has a say in the values.
        self.is_constant = all(item.is_constant for item in self._items)
        #: The variables that must be outer to this one.
        self.references = frozenset(name for text in texts for name in _registered_references(text))
        #: How many values came before the current one.
        self.position = 0
        self._item = 0
        self._index = 0
        self._started = False

    @property
    def at_end(self) -> bool:
        """All values have been seen, or there are none."""
        return self._item >= len(self._items)

    def restart(self, value_of: Callable[[str], str]) -> None:
        """Go to the first value; raise `ExpressionError` with OMNeT++'s words."""
        if not self.is_constant or not self._started:
            for item in self._items:
                item.restart(value_of)
            self._started = True
        self.position = self._index = self._item = 0
        self._skip_empty()

    def advance(self) -> None:
        """Go to the next value."""
        if self.at_end:
            return
        self.position += 1
        self._index += 1
        if self._index >= self._items[self._item].count():
            self._index = 0
            self._item += 1
            self._skip_empty()

    def go_to(self, position: int, value_of: Callable[[str], str]) -> bool:
        """Go to the value at `position`; tell whether there is one."""
        self.restart(value_of)
        self.position = position
        while not self.at_end:
            count = self._items[self._item].count()
            if position < count:
                self._index = position
                return True
            position -= count
            self._item += 1
        return False

    def get(self) -> str:
        """Return the current value, "" at the end."""
        return "" if self.at_end else self._items[self._item].get(self._index)

    def count(self) -> int:
        """Return the number of all values; call `restart` before."""
        return sum(item.count() for item in self._items)

    def all(self) -> list[str]:
        """Return all values; call `restart` before."""
        return [item.get(index) for item in self._items for index in range(item.count())]

    def _skip_empty(self) -> None:
        while not self.at_end and self._items[self._item].count() == 0:
            self._item += 1


def _registered_references(text: str) -> list[str]:
    """Return the variables to which an item refers as far as OMNeT++ takes notice.

    `${x}` counts only if the character after its brace is another closing brace (Expr::collectVariablesInto); the
    references in the parts of a range are looked for part by part.
    """
    item = _item(text)
    parts = [text] if isinstance(item, _Single) else item.parts()
    return [name for part in parts for name in _references_of(part)]


def _references_of(raw: str) -> list[str]:
    names: list[str] = []
    dollar = raw.find("$")
    while dollar >= 0:
        braced = raw.startswith("{", dollar + 1)
        match = _NAME.match(raw, dollar + 1 + braced)
        end = match.end() if match else dollar + 1 + braced
        if match and (not braced or raw.startswith("}", end + 1)):
            names.append(match.group())
        dollar = raw.find("$", end)
    return names
