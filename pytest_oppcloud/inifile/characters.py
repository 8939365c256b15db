"""Text the way OMNeT++ sees it: bytes in the C locale, where every byte from 0x80 up counts as a letter.

Ini files are decoded with `utf-8` and `surrogateescape`, so any bytes survive; a character outside ASCII stands for
several such letters. Depends on nothing but the standard library.
"""

from __future__ import annotations

import re
from typing import Final

#: What C's isspace() accepts (include/common: opp_ctype.h).
SPACE: Final = " \t\n\v\f\r"

#: One letter; several letters and digits (opp_isalphaext and opp_isalnumext of src/common/opp_ctype.h).
#: Written as what they are not, because a class with all of Unicode in it takes long to compile.
LETTER: Final = r"[^\x00-@\[-`{-\x7f]"
LETTER_OR_DIGIT: Final = r"[^\x00-/:-@\[-`{-\x7f]"

_STRING_BODY: Final = {'"': re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL), "'": re.compile(r"(?:[^'\\]|\\.)*'", re.DOTALL)}
_HEX_DIGITS: Final = "0123456789ABCDEFabcdef"
_PLAIN_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


def is_blank(text: str) -> bool:
    """Tell whether there is nothing but white space."""
    return not text.strip(SPACE)


def encoded(text: str) -> bytes:
    """Return the bytes that `text` was decoded from."""
    return text.encode("utf-8", "surrogateescape")


def decoded(data: bytes) -> str:
    """Return `data` as text from which `encoded` gets the same bytes back."""
    return data.decode("utf-8", "surrogateescape")


def byte_per_character(text: str) -> str:
    """Return `text` with one character for each of its bytes."""
    return text if text.isascii() else encoded(text).decode("latin-1")


def first_byte(text: str) -> str:
    """Return the first byte of `text` as C's "%c" prints it."""
    return decoded(encoded(text[:1])[:1])


def closing_quote(text: str, start: int) -> int:
    """Return the index of the quote that closes the string starting at `start`, or -1 (opp_findclosequote)."""
    match = _STRING_BODY[text[start]].match(text, start + 1)
    return match.end() - 1 if match else -1


class QuoteError(ValueError):
    """A quoted string is not one; the message is OMNeT++'s."""


def parse_quoted(text: str, quotes: str = '"') -> str:
    """Return what the string literal `text`, in one of the `quotes`, stands for; blanks around it are allowed.

    Raise `QuoteError` with the words of opp_parsequotedstr (src/common/stringutil.cc).
    """
    index = len(text) - len(text.lstrip(SPACE))
    quote = text[index : index + 1]
    if not quote or quote not in quotes:
        raise QuoteError("Missing opening quote")
    index += 1
    pieces: list[str] = []
    while index < len(text) and text[index] != quote:
        if text[index] != "\\":
            pieces.append(text[index])
            index += 1
            continue
        piece, index = _escape(text, index + 1, quote)
        pieces.append(piece)
    if index >= len(text):
        raise QuoteError("Missing closing quote")
    if not is_blank(text[index + 1 :]):
        raise QuoteError("Trailing garbage after string literal")
    return _as_c_string("".join(pieces))


def _escape(text: str, index: int, quote: str) -> tuple[str, int]:
    """Return what the escape sequence stands for whose character is at `index`, and the index behind it."""
    char = text[index : index + 1]
    if char in _PLAIN_ESCAPES:
        return _PLAIN_ESCAPES[char], index + 1
    if char == "x":
        digits = 0
        while digits < 2 and text[index + 1 + digits : index + 2 + digits] and text[index + 1 + digits] in _HEX_DIGITS:
            digits += 1
        value = int(text[index + 1 : index + 1 + digits] or "0", 16)
        return decoded(bytes([value])), index + 1 + digits
    if char in {"\n", ""}:
        return "", index + 1 if char else index
    if char in "=;,":
        raise QuoteError(
            f"Illegal escape sequence '\\{char}' (Hint: use double backslashes to quote display string "
            "special chars: equal sign, comma, semicolon)"
        )
    if char != quote:
        raise QuoteError(f"Illegal escape sequence '\\{first_byte(char)}'")
    return quote, index + 1


def _as_c_string(text: str) -> str:
    r"""Cut at the first NUL, as C does; bytes that came from `\x` escapes join to UTF-8 where they can."""
    text = text.split("\0", 1)[0]
    return text if text.isascii() else decoded(encoded(text))


_QUOTED: Final = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def quote(text: str) -> str:
    """Return `text` as a string literal (opp_quotestr of src/common/stringutil.cc)."""
    pieces = (_QUOTED.get(c) or (f"\\x{ord(c):02X}" if c < " " or c == "\x7f" else c) for c in text)
    return '"' + "".join(pieces) + '"'
