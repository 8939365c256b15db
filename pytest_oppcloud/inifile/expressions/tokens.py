"""The tokens of expressions (OMNeT++ 6.1, src/common/expression.lex).

Tokens are made one at a time, because OMNeT++ reports whichever mistake its parser meets first. Depends on nothing
but the errors of the values.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from pytest_oppcloud.inifile.characters import LETTER, LETTER_OR_DIGIT

from .values import ExpressionSyntaxError


class Kind(enum.Enum):
    """What a token is; operators and brackets are all of one kind and known by their text."""

    END = "end"
    INT = "int"
    REAL = "real"
    STRING = "string"
    NAME = "name"
    KEYWORD = "keyword"
    SYMBOL = "symbol"
    INVALID = "invalid"


_NUMBERS: Final = frozenset({Kind.INT, Kind.REAL})
KEYWORDS: Final = frozenset({"true", "false", "nan", "inf", "undefined", "nullptr", "null"})

_LETTER: Final = rf"(?:{LETTER}|[$@_])"
_REST: Final = rf"(?:{LETTER_OR_DIGIT}|[$@_])*"
_TOKEN: Final = re.compile(
    rf"""[ \t\v\n\r\f]*(?:
      (?P<comment>//)
    | (?P<name>{_LETTER}{_REST}(?::{_LETTER}{_REST})*)
    | (?P<real>[0-9]*\.[0-9]+(?:[Ee][+-]?[0-9]+)?|[0-9]+[Ee][+-]?[0-9]+)
    | (?P<int>0[xX][0-9a-fA-F]+|[0-9]+)
    | (?P<quote>["'])
    | (?P<symbol><=>|\|\||&&|\#\#|<<|>>|==|!=|<=|>=|=~|::|[,:=()\[\]{{}}.?!|&\#~^+\-*/%<>])
    | (?P<invalid>[^ \t\v\n\r\f])
    )""",
    re.VERBOSE | re.DOTALL,
)
#: The body of a string up to its closing quote, the end of the line, or the end of the text.
_STRING_BODY: Final = {
    '"': re.compile(r'(?:[^"\\\n]|\\.)*', re.DOTALL),
    "'": re.compile(r"(?:[^'\\\n]|\\.)*", re.DOTALL),
}


class Tokens:
    """A text, token by token: `kind` and `text` are those of the current one."""

    __slots__ = ("_position", "_source", "kind", "text")

    def __init__(self, source: str) -> None:
        self._source = source.split("\0", 1)[0]
        self._position = 0
        self.kind = Kind.END
        self.text = ""
        self.advance()

    def at(self, symbol: str) -> bool:
        """Tell whether the current token is that operator or bracket."""
        return self.text == symbol and self.kind is Kind.SYMBOL

    @property
    def is_name(self) -> bool:
        """Whether the current token is the name of something, no keyword."""
        return self.kind is Kind.NAME

    @property
    def is_number(self) -> bool:
        """Whether the current token is a number; nan and inf are."""
        return self.kind in _NUMBERS or (self.kind is Kind.KEYWORD and self.text in {"nan", "inf"})

    def advance(self) -> None:
        """Go to the next token; raise `ExpressionSyntaxError` where OMNeT++'s lexer does."""
        match = _TOKEN.match(self._source, self._position)
        if match is None or match.lastgroup is None:
            self._end()
            return
        group = match.lastgroup
        self._position = match.end()
        self.text = match.group(group)
        if group == "name":
            self.kind = Kind.KEYWORD if self.text in KEYWORDS else Kind.NAME
        elif group == "quote":
            self._string(self.text, match.end() - 1)
        elif group == "comment":
            # OMNeT++ 6.1 ends with a segmentation fault here.
            raise ExpressionSyntaxError("syntax error: OMNeT++ does not survive // comments here")
        else:
            self.kind = Kind(group)

    def _string(self, quote: str, start: int) -> None:
        match = _STRING_BODY[quote].match(self._source, start + 1)
        end = match.end() if match else start + 1
        ending = self._source[end : end + 1]
        if ending == "\n":
            raise ExpressionSyntaxError("Unterminated string literal")
        if ending != quote:
            # The end of the text inside a string is just the end for OMNeT++'s lexer: `1 "abc` is 1.
            self._end()
            return
        self._position = end + 1
        self.kind = Kind.STRING
        self.text = self._source[start : end + 1]

    def _end(self) -> None:
        self._position = len(self._source)
        self.kind = Kind.END
        self.text = ""
