"""How values become parts of file names."""

from __future__ import annotations

import contextlib
import re
from typing import Final

from pytest_oppcloud.inifile.characters import QuoteError, encoded, parse_quoted

_ENCODED: Final = {" ": "_", "_": "#_", "#": "##"}
_SPECIAL: Final = re.compile(r"[^!(-),-.0-9;=@A-Z\[\]a-z~+]")


def encode(value: str) -> str:
    """Return `value` so that it can stand in a file name.

    A single string literal loses its quotes. A byte from 0x80 up becomes the hexadecimal digits of a negative
    number (OMNeT++ 6.1: unquote of src/envir/sectionbasedconfig.cc, opp_filenameencode of src/common/stringutil.cc).
    """
    if '"' in value:
        with contextlib.suppress(QuoteError):  # what is no literal is taken as it is
            value = parse_quoted(value)
    return _SPECIAL.sub(lambda match: _encode(match.group()), value)


def _encode(char: str) -> str:
    if char in _ENCODED:
        return _ENCODED[char]
    codes = (byte if byte < 0x80 else byte - 0x100 + 2**32 for byte in encoded(char))
    return "".join(f"#{code:2x}" for code in codes)
