"""The values of expressions, and how OMNeT++ calls and prints them.

Numbers, strings and bools are Python's own; `int` stands for OMNeT++'s 64-bit integer. A number with a unit is a
`Quantity`. Depends on nothing above `characters`.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Final, TypeAlias

from pytest_oppcloud.inifile.characters import quote

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1


class ExpressionError(ValueError):
    """An expression has no value; the message is OMNeT++'s, without any prefix."""


class ExpressionSyntaxError(ExpressionError):
    """A text is no expression."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit."""

    number: int | float
    #: "s", "mW", also units that OMNeT++ does not know.
    unit: str


class Special(enum.Enum):
    """The values that are neither numbers nor strings nor bools."""

    UNDEFINED = "undefined"
    NULL = "nullptr"


Value: TypeAlias = "bool | int | float | str | Quantity | Special"


def type_name(value: Value) -> str:
    """Return the name of the value's type in messages (ExprValue::getTypeName of src/common/exprvalue.cc)."""
    number = value.number if isinstance(value, Quantity) else value
    if isinstance(number, bool):
        return "bool"
    if isinstance(number, int):
        return "integer"
    if isinstance(number, float):
        return "double"
    if isinstance(number, str):
        return "string"
    return "object" if number is Special.NULL else "undefined"


def print_value(value: Value) -> str:
    """Return the value as messages show it (ExprValue::str of src/common/exprvalue.cc)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return print_double(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, Quantity):
        gap = " " if isinstance(value.number, float) and not math.isfinite(value.number) else ""
        return f"{print_value(value.number)}{gap}{value.unit}"
    return value.value


def print_double(number: float) -> str:
    """Return `number` with six digits, as C's "%g" prints it (opp_dtoa of src/common/stringutil.cc)."""
    return "%g" % number  # noqa: UP031  # the C format is the point; format(x, "g") is the same but hides it


def cannot_cast(value: Value, target: str) -> ExpressionError:
    """Return the error of a conversion that OMNeT++ does not make (src/common/exprvalue.cc)."""
    kind = type_name(value)
    note = " (note: no implicit conversion from double to int)" if (kind, target) == ("double", "integer") else ""
    return ExpressionError(f"Cannot cast '{print_value(value)}' from type '{kind}' to '{target}'{note}")


def as_int(value: Value) -> int:
    """Return an integer, whatever its unit; raise `ExpressionError` for everything else."""
    number = value.number if isinstance(value, Quantity) else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise cannot_cast(value, "integer")
    return number


def as_bool(value: Value) -> bool:
    """Return a bool; raise `ExpressionError` for everything else."""
    if not isinstance(value, bool):
        raise cannot_cast(value, "bool")
    return value


def as_string(value: Value) -> str:
    """Return a string; raise `ExpressionError` for everything else."""
    if not isinstance(value, str):
        raise cannot_cast(value, "string")
    return value


def as_double(value: Value) -> tuple[float, str]:
    """Return a number as double, and its unit ("" for none).

    Raise `ExpressionError` for what is no number, and for an integer that a double cannot hold exactly
    (safeCastToDouble of src/common/intutil.h).
    """
    number, unit = (value.number, value.unit) if isinstance(value, Quantity) else (value, "")
    if isinstance(number, float):
        return number, unit
    if isinstance(number, bool) or not isinstance(number, int):
        raise cannot_cast(value, "double")
    double = float(number)
    if int(double) != number:
        raise ExpressionError(
            f"Integer {number} too large, conversion to double would incur precision loss "
            "(use explicit cast to double to suppress this error)"
        )
    return double, unit


def with_unit(number: float, unit: str) -> int | float | Quantity:
    """Return `number`, with `unit` unless that is empty."""
    return Quantity(number, unit) if unit else number
