"""What the literals of an expression stand for; a bad one is an `ExpressionSyntaxError` with OMNeT++'s words.

Depends on the kinds of tokens, the units and the values only.
"""

from __future__ import annotations

from typing import Final

from pytest_oppcloud.inifile.characters import QuoteError, parse_quoted

from .tokens import Kind
from .units import c_double, parse_quantity
from .values import INT_MAX, INT_MIN, ExpressionError, ExpressionSyntaxError, Special, Value, with_unit

#: The words that are values; `nan` and `inf` are numbers.
KEYWORD_VALUES: Final[dict[str, Value]] = {
    "true": True,
    "false": False,
    "undefined": Special.UNDEFINED,
    "nullptr": Special.NULL,
    "null": Special.NULL,
}


def string(text: str) -> str:
    """Return what a literal in quotes stands for."""
    try:
        return parse_quoted(text, quotes="\"'")
    except QuoteError as error:
        raise ExpressionSyntaxError(str(error)) from error


def number(kind: Kind, text: str) -> int | float:
    """Return the number that a literal without unit stands for."""
    if kind is Kind.INT:
        whole = int(text, 16) if text[:2] in {"0x", "0X"} else _decimal(text)
        if not INT_MIN <= whole <= INT_MAX:
            raise ExpressionSyntaxError(f'Cannot represent "{text}" in the target integer type')
        return whole
    double = c_double(text)
    if kind is Kind.REAL and double == float("inf"):
        raise ExpressionSyntaxError(f'Cannot represent "{text}" in double')
    return double


def _decimal(text: str) -> int:
    """Return the number; Python's own limit on the length of digit strings is below what a file may hold."""
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) < 20 else INT_MAX + 1


def quantity(text: str) -> Value:
    """Return what numbers with units, as `1h 30min`, stand for."""
    try:
        amount, unit = parse_quantity(text)
    except ExpressionError as error:
        raise ExpressionSyntaxError(str(error)) from error
    whole = -(2.0**63) <= amount < 2.0**63 and amount == int(amount)
    return with_unit(int(amount) if whole else amount, unit)
