"""Recorded numbers: when two texts are the same number, and how far two numbers are apart.

Decimal rather than binary: what was recorded is decimal digits, and a tolerance of 0.1 should allow 0.2 beside 0.3.
"""

from __future__ import annotations

import functools
import re
from decimal import Context, Decimal

# Not all that Decimal reads: "1_000" and "Infinity" are no numbers to OMNeT++, and an exponent of ten digits is a
# way to keep a computer busy.
_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?|nan|inf)", re.ASCII)

#: Enough for every digit of two doubles of any size in one difference; nothing here may raise.
EXACT = Context(prec=800, Emax=999_999, Emin=-999_999, traps=[])


@functools.lru_cache(maxsize=4096)
def number(text: str) -> Decimal | None:
    """Return the number that a text says, None if it says none; "nan" in either sign is Decimal's quiet NaN."""
    if not _NUMBER.fullmatch(text):
        return None
    value = Decimal(text)
    return Decimal("nan") if value.is_nan() else value


def equal(one: str, other: str) -> bool:
    """Tell whether two recorded values are the same, to the last digit.

    1 and 1.0 are the same, and so are nan and -nan, whose sign is chance, and 0 and -0, whose sign SQLite result
    files do not keep.
    """
    if one == other:
        return True
    first, second = number(one), number(other)
    if first is None or second is None:
        return False
    return first == second or (first.is_nan() and second.is_nan())


def distance(baseline: Decimal, obtained: Decimal) -> Decimal:
    """Return the absolute difference of two finite numbers."""
    return EXACT.abs(EXACT.subtract(obtained, baseline))
