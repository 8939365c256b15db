"""The mathematical functions of expressions: C's, where Python's would raise (OMNeT++ 6.1, src/common/exprnodes.cc).

Depends on the values only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from .values import ExpressionError, Value, as_double, print_value, with_unit

if TYPE_CHECKING:
    from collections.abc import Callable


def c_math(function: Callable[..., float], *arguments: float) -> float:
    """Return what C's function of that name returns, where Python's raises: nan, or infinity."""
    try:
        return function(*arguments)
    except OverflowError:
        return _overflown(function, arguments)
    except ValueError:
        return _outside_domain(function, arguments)


def _overflown(function: Callable[..., float], arguments: tuple[float, ...]) -> float:
    if function is math.pow and arguments[0] < 0 and arguments[1] % 2 == 1:
        return -math.inf
    return math.inf


def _outside_domain(function: Callable[..., float], arguments: tuple[float, ...]) -> float:
    if function in {math.log, math.log10} and arguments[0] == 0:
        return -math.inf
    if function is math.pow and arguments[0] == 0:
        odd = arguments[1] % 2 == 1
        return math.copysign(math.inf, arguments[0]) if odd else math.inf
    return math.nan


def _rounded(function: Callable[[float], int]) -> Callable[[float], float]:
    def rounded(number: float) -> float:
        if not math.isfinite(number) or number == 0:
            return number
        return math.copysign(float(function(number)), number)

    return rounded


#: Name: number of arguments and function.
MATH_FUNCTIONS: Final[dict[str, tuple[int, Callable[..., float]]]] = {
    "acos": (1, math.acos),
    "asin": (1, math.asin),
    "atan": (1, math.atan),
    "atan2": (2, math.atan2),
    "sin": (1, math.sin),
    "cos": (1, math.cos),
    "tan": (1, math.tan),
    "ceil": (1, _rounded(math.ceil)),
    "floor": (1, _rounded(math.floor)),
    "exp": (1, math.exp),
    "pow": (2, math.pow),
    "sqrt": (1, math.sqrt),
    "fabs": (1, math.fabs),
    "fmod": (2, math.fmod),
    "hypot": (2, math.hypot),
    "log": (1, math.log),
    "log10": (1, math.log10),
}


def dimensionless_double(value: Value) -> float:
    """Return the argument of a mathematical function."""
    number, unit = as_double(value)
    if unit:
        raise ExpressionError(f"Dimensionless argument expected, got {print_value(with_unit(number, unit))}")
    return number
