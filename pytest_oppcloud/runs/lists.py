"""Splitting text at a delimiter outside strings and brackets (OMNeT++ 6.1, src/common/stringtokenizer.cc)."""

from __future__ import annotations

import re
from typing import Final

from pytest_oppcloud.inifile.characters import SPACE, closing_quote

_CLOSERS: Final = {")": "(", "]": "[", "}": "{"}
_SPECIAL: Final = {delimiter: re.compile(rf"[{delimiter}\"'()\[\]{{}}]") for delimiter in (",", "}")}


class ListError(ValueError):
    """Quotes or brackets do not fit together; the message is OMNeT++'s."""


def end_of_item(text: str, start: int, delimiter: str) -> int:
    """Return the index of the next `delimiter` outside strings and brackets, or the length of `text`.

    Raise `ListError` with OMNeT++'s words.
    """
    opened: list[str] = []
    position = start
    while match := _SPECIAL[delimiter].search(text, position):
        index, char = match.start(), match.group()
        if char == delimiter and not opened:
            return index
        if char in "\"'":
            index = closing_quote(text, index)
            if index < 0:
                raise ListError("Unclosed string constant")
        elif char in _CLOSERS:
            if not opened or opened[-1] != _CLOSERS[char]:
                raise ListError(f"Unmatched close parenthesis '{char}'")
            opened.pop()
        elif char != delimiter:
            opened.append(char)
        position = index + 1
    if opened:
        raise ListError(f"Unclosed parenthesis '{opened[-1]}'")
    return len(text)


def split_list(text: str) -> list[str]:
    """Return the items between commas, trimmed, without the empty ones; raise `ListError`."""
    items: list[str] = []
    position = 0
    while position < len(text):
        end = end_of_item(text, position, ",")
        items.append(text[position:end].strip(SPACE))
        position = end + 1
    return [item for item in items if item]
