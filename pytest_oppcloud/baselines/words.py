"""Lines of words, as OMNeT++'s result files have them: separated by blanks, quoted where needed.

The rules are those of `.sca` files (src/common/stringutil.cc, opp_quotestr; escapes name bytes). Beyond them a byte
that is not UTF-8 is always escaped, and so are the line separators of Unicode: a baseline is clean text for every
editor and for git.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ESCAPED = '[\x00-\x1f\x7f-\x9f"\\\\\u2028\u2029\ud800-\udfff]'
_UNSAFE = re.compile(_ESCAPED + "| ")
_TO_ESCAPE = re.compile(_ESCAPED)
_NAMED = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_UNNAMED = {escape[1]: character.encode() for character, escape in _NAMED.items()}

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^ "]+')
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)


def join(words: Iterable[str]) -> str:
    """Return the line that `split` reads as these words."""
    return " ".join(map(quoted, words))


def quoted(word: str) -> str:
    """Return the word as it stands in a line."""
    if word and not _UNSAFE.search(word):
        return word
    return '"' + _TO_ESCAPE.sub(_escape, word) + '"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in _NAMED:
        return _NAMED[character]
    if "\udc80" <= character <= "\udcff":  # a byte that was not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))


def split(line: str) -> list[str]:
    """Return the words of a line; raise `ValueError` where it has not the form that `join` gives."""
    if '"' not in line:
        words = line.split(" ")
        if "" in words:
            raise ValueError("two blanks, or a blank at an end of the line")
        return words
    words = []
    position = 0
    while True:
        match = _WORD.match(line, position)
        if match is None:
            raise ValueError(f"a word was expected at column {position + 1}")
        words.append(_unquoted(match[0]))
        position = match.end()
        if position == len(line):
            return words
        if line[position] != " ":
            raise ValueError(f"a blank was expected at column {position + 1}")
        position += 1


def _unquoted(word: str) -> str:
    if word[0] != '"':
        return word
    inner = word[1:-1]
    if "\\" not in inner:
        return inner
    # Escapes name bytes, and several of them may make one character.
    data = bytearray()
    position = 0
    for match in _ESCAPE.finditer(inner):
        data += inner[position : match.start()].encode("utf-8", "surrogateescape")
        if match[1]:
            data.append(int(match[1], 16))
        elif match[2] in _UNNAMED:
            data += _UNNAMED[match[2]]
        else:
            raise ValueError(f"unknown escape \\{match[2]}")
        position = match.end()
    data += inner[position:].encode("utf-8", "surrogateescape")
    return data.decode("utf-8", "surrogateescape")
