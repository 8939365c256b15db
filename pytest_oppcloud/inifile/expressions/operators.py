"""What operators and unit conversions compute (OMNeT++ 6.1, src/common/exprnodes.cc, exprnode.cc, intutil.cc).

Integers are 64 bits wide and checked for overflow; quantities are brought to a common unit; whatever touches
`undefined` is undefined. Depends on values, units, patterns and `mathematics`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypeAlias

from pytest_oppcloud.inifile.characters import encoded
from pytest_oppcloud.inifile.patterns import Pattern, PatternError

from .mathematics import c_math
from .units import conversion_factor, convert, is_linear
from .values import (
    INT_MAX,
    INT_MIN,
    ExpressionError,
    Quantity,
    Special,
    Value,
    as_double,
    print_value,
    type_name,
    with_unit,
)

Unary: TypeAlias = Callable[[Value], Value]
Binary: TypeAlias = Callable[[Value, Value], Value]

_UNDEFINED: Final = Special.UNDEFINED


def _is_int(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _split(value: Value) -> tuple[Value, str]:
    """Return a value without its unit, and the unit ("" for none)."""
    return (value.number, value.unit) if isinstance(value, Quantity) else (value, "")


def _wrapped(number: int) -> int:
    """Return what is left of `number` in 64 bits."""
    return (number - INT_MIN) % 2**64 + INT_MIN


def _checked(number: int, what: str) -> int:
    if INT_MIN <= number <= INT_MAX:
        return number
    raise ExpressionError(f"Integer overflow {what}, try casting operands to double")


def _no_logarithm(value: Value) -> None:
    """Raise unless the value may be computed with."""
    if isinstance(value, Quantity) and not is_linear(value.unit):
        raise ExpressionError(
            f"Refusing to perform computations involving quantities with nonlinear units ({print_value(value)})"
        )


def _to_common_unit(value: Value, other: Value) -> tuple[int | float, int | float, str]:
    """Return both numbers, and the unit that they are in then.

    Integers stay integers where one unit is a whole multiple of the other (ExprNode::bringToCommonTypeAndUnit);
    otherwise `value` is converted to the unit of `other`.
    """
    (number, unit), (other_number, other_unit) = _split(value), _split(other)
    if isinstance(number, int) and isinstance(other_number, int):
        factor = conversion_factor(unit, other_unit)
        if factor == 1:
            return number, other_number, other_unit
        if factor > 1 and factor.is_integer():
            return _multiplied(int(factor), number), other_number, other_unit
        inverse = conversion_factor(other_unit, unit)
        if inverse > 1 and inverse.is_integer():
            return number, _multiplied(int(inverse), other_number), unit
    double, other_double = as_double(value)[0], as_double(other)[0]
    return convert(double, unit, other_unit), other_double, other_unit


def _multiplied(left: int, right: int) -> int:
    return _checked(left * right, f"multiplying {left} and {right}")


def _kinds(left: Value, right: Value) -> str:
    return f"{type_name(left)} and {type_name(right)}"


def _numeric(left: Value, right: Value) -> tuple[bool, bool]:
    """Tell whether both are integers, and whether at least one is a double."""
    left, right = _split(left)[0], _split(right)[0]
    return _is_int(left) and _is_int(right), isinstance(left, float) or isinstance(right, float)


def negate(value: Value) -> Value:
    """Return -value."""
    if value is _UNDEFINED:
        return value
    number, unit = _split(value)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise ExpressionError(f"Numeric argument expected, got {type_name(value)}")
    _no_logarithm(value)
    return with_unit(_wrapped(-number) if isinstance(number, int) else -number, unit)


def add(left: Value, right: Value) -> Value:
    """Return the sum of two numbers, or two strings joined."""
    ints, doubles = _numeric(left, right)
    if not ints and not doubles:
        if isinstance(left, str) and isinstance(right, str):
            return left + right
        raise ExpressionError(f"Numeric arguments expected, got {_kinds(left, right)}")
    _no_logarithm(right)
    _no_logarithm(left)
    second, first, unit = _to_common_unit(right, left)
    if isinstance(first, int) and isinstance(second, int):
        return with_unit(_checked(first + second, f"adding {first} and {second}"), unit)
    return with_unit(first + second, unit)


def subtract(left: Value, right: Value) -> Value:
    """Return left - right."""
    ints, doubles = _numeric(left, right)
    if not ints and not doubles:
        raise ExpressionError(f"Numeric arguments expected, got {_kinds(left, right)}")
    _no_logarithm(right)
    _no_logarithm(left)
    second, first, unit = _to_common_unit(right, left)
    if isinstance(first, int) and isinstance(second, int):
        return with_unit(_checked(first - second, f"subtracting {second} from {first}"), unit)
    return with_unit(first - second, unit)


def multiply(left: Value, right: Value) -> Value:
    """Return the product; at most one of the two may have a unit."""
    ints, doubles = _numeric(left, right)
    if not ints and not doubles:
        raise ExpressionError(f"Numeric arguments expected, got {_kinds(left, right)}")
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        raise ExpressionError("Multiplying two quantities with units is not supported")
    _no_logarithm(right)
    _no_logarithm(left)
    (first, unit), (second, other_unit) = _split(left), _split(right)
    if ints and isinstance(first, int) and isinstance(second, int):
        return with_unit(_multiplied(first, second), unit or other_unit)
    return with_unit(as_double(left)[0] * as_double(right)[0], unit or other_unit)


def divide(left: Value, right: Value) -> Value:
    """Return the quotient, always a double."""
    (first, unit), (second, other_unit) = as_double(left), as_double(right)
    _no_logarithm(right)
    if second != 0:
        _no_logarithm(left)
    if other_unit:
        second = convert(second, other_unit, unit)
        unit = ""
    return with_unit(_quotient(first, second), unit)


def _quotient(first: float, second: float) -> float:
    if second != 0:
        return first / second
    if first == 0 or math.isnan(first):
        return math.nan
    return math.copysign(math.inf, first) * math.copysign(1.0, second)


def modulo(left: Value, right: Value) -> Value:
    """Return the remainder of two integers, with the sign of the first, as in C."""
    ints, doubles = _numeric(left, right)
    if not ints:
        note = " (note: no implicit conversion from double to int)" if doubles else ""
        raise ExpressionError(f"Integer arguments expected, got {_kinds(left, right)}{note}")
    _no_logarithm(right)
    _no_logarithm(left)
    first, second, unit = _to_common_unit(left, right)
    if second == 0 or not isinstance(first, int) or not isinstance(second, int):
        # OMNeT++ 6.1 ends with a floating point exception, or computes with the bits of a double.
        raise ExpressionError("Integer division by zero, or of quantities whose units are no multiples of each other")
    remainder = abs(first) % abs(second)
    return with_unit(remainder if first >= 0 else -remainder, unit)


def power(left: Value, right: Value) -> Value:
    """Return left to the power of right; integers stay integers."""
    (first, unit), (second, other_unit) = _split(left), _split(right)
    if _is_int(first) and _is_int(second) and isinstance(first, int) and isinstance(second, int):
        _dimensionless(left, right, unit or other_unit)
        if second < 0:
            raise ExpressionError("Negative exponent in integer exponentiation, cast operands to double to allow it")
        return _int_power(first, second)
    base, exponent = as_double(left)[0], as_double(right)[0]
    if unit or other_unit:
        # The operands have become doubles, and are printed as such.
        _dimensionless(with_unit(base, unit), with_unit(exponent, other_unit), unit or other_unit)
    return c_math(math.pow, base, exponent)


def _dimensionless(left: Value, right: Value, unit: str) -> None:
    if unit:
        raise ExpressionError(f"Dimensionless arguments expected, got {print_value(left)} and {print_value(right)}")


def _int_power(base: int, exponent: int) -> int:
    """Return base ** exponent if it, and every square on the way to it, fits 64 bits (intPow of intutil.cc)."""
    result = 1
    while exponent:
        if exponent & 1:
            result *= base
        exponent >>= 1
        if exponent:
            base *= base
        if not INT_MIN <= result <= INT_MAX or not INT_MIN <= base <= INT_MAX:
            raise ExpressionError("Overflow during integer exponentiation, try casting operands to double")
    return result


def compare(left: Value, right: Value, *, equality: bool) -> float:
    """Return a number whose sign tells the order; nan where there is none (CompareNode::compare)."""
    ints, doubles = _numeric(left, right)
    if ints:
        second, first, _ = _to_common_unit(right, left)
        if isinstance(first, int) and isinstance(second, int):
            # A difference that does not fit 64 bits changes its sign in OMNeT++, too.
            return float(_wrapped(first - second))
        # A quotient of units that is no whole number: the operands are doubles by now, but OMNeT++ 6.1 goes on
        # with their bits; telling the truth is the best that can be done.
        return first - second
    if doubles:
        (first, unit), (second, other_unit) = as_double(left), as_double(right)
        second = convert(second, other_unit, unit)
        return 0.0 if first == second else first - second
    if isinstance(left, str) and isinstance(right, str):
        one, two = encoded(left), encoded(right)
        return float((one > two) - (one < two))
    if isinstance(left, bool) and isinstance(right, bool):
        return float(left - right)
    if left is Special.NULL and right is Special.NULL:
        if not equality:
            raise ExpressionError("Arguments of type 'object' may only be compared for equality")
        return 0.0
    raise ExpressionError(f"Mismatching argument types '{type_name(left)}' vs '{type_name(right)}'")


def _comparison(judge: Callable[[float], bool], *, equality: bool = False) -> Binary:
    def operator(left: Value, right: Value) -> Value:
        return judge(compare(left, right, equality=equality))

    return operator


def three_way(left: Value, right: Value) -> Value:
    """Return -1.0, 0.0 or 1.0; nan where there is no order."""
    difference = compare(left, right, equality=False)
    return difference if math.isnan(difference) else float((difference > 0) - (difference < 0))


def match(left: Value, right: Value) -> Value:
    """Tell whether the string on the left fits the pattern on the right."""
    if not isinstance(left, str) or not isinstance(right, str):
        raise ExpressionError("String operands expected for '=~'")
    try:
        return Pattern(right).matches(left)
    except PatternError as error:
        raise ExpressionError(str(error)) from error


def logical_not(value: Value) -> Value:
    """Return the opposite of a bool."""
    if value is _UNDEFINED:
        return value
    return not boolean(value)


def boolean(value: Value) -> bool:
    """Return a bool; raise for everything else."""
    if not isinstance(value, bool):
        raise ExpressionError(f"Boolean argument expected, got {type_name(value)}")
    return value


def bitwise_not(value: Value) -> Value:
    """Return the complement of an integer."""
    if value is _UNDEFINED:
        return value
    number, unit = _split(value)
    if isinstance(number, bool) or not isinstance(number, int):
        note = " (note: no implicit conversion from double to int)" if isinstance(number, float) else ""
        raise ExpressionError(f"Integer argument expected, got {type_name(value)}{note}")
    if unit:
        raise ExpressionError(f"Dimensionless argument expected, got {print_value(value)}")
    return ~number


def _bitwise(compute: Callable[[int, int], int]) -> Binary:
    def operator(left: Value, right: Value) -> Value:
        ints, doubles = _numeric(left, right)
        (first, unit), (second, other_unit) = _split(left), _split(right)
        if not ints or not isinstance(first, int) or not isinstance(second, int):
            note = " (note: no implicit conversion from double to int)" if doubles else ""
            raise ExpressionError(f"Integer arguments expected, got {_kinds(left, right)}{note}")
        _dimensionless(left, right, unit or other_unit)
        return compute(first, second)

    return operator


def _shift(number: int, by: int) -> int:
    """Shift left, or right for a negative `by`; `0 >> 64` is -1, as in OMNeT++ (shift of intutil.cc)."""
    if by > 0:
        return _wrapped(number << by) if by < 64 else 0
    if by > -64:
        return number >> -by
    return 0 if number > 0 else -1


UNARY: Final[dict[str, Unary]] = {"-": negate, "!": logical_not, "~": bitwise_not}


def _where_defined(compute: Binary) -> Binary:
    """Return the operator that is undefined where an operand is."""

    def operator(left: Value, right: Value) -> Value:
        return _UNDEFINED if left is _UNDEFINED or right is _UNDEFINED else compute(left, right)

    return operator


#: What operators make of operands that are defined.
_COMPUTED: Final[dict[str, Binary]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": modulo,
    "^": power,
    "==": _comparison(lambda difference: difference == 0, equality=True),
    "!=": _comparison(lambda difference: difference != 0, equality=True),
    "<": _comparison(lambda difference: difference < 0),
    ">": _comparison(lambda difference: difference > 0),
    "<=": _comparison(lambda difference: difference <= 0),
    ">=": _comparison(lambda difference: difference >= 0),
    "<=>": three_way,
    "=~": match,
    "&": _bitwise(lambda left, right: left & right),
    "|": _bitwise(lambda left, right: left | right),
    "#": _bitwise(lambda left, right: left ^ right),
    "<<": _bitwise(_shift),
    ">>": _bitwise(lambda left, right: _shift(left, _wrapped(-right))),
}
#: All but && || ##, which do not always look at their right side.
BINARY: Final = {symbol: _where_defined(compute) for symbol, compute in _COMPUTED.items()}


def to_unit(value: Value, unit: str) -> Value:
    """Return the value in `unit`, or a plain number with that unit (UnitConversionNode::evaluate)."""
    if value is _UNDEFINED:
        return value
    if isinstance(value, Quantity):
        number, own = as_double(value)
        return Quantity(convert(number, own, unit), unit)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ExpressionError(f"Cannot set measurement unit on a value of type '{type_name(value)}'")
    return Quantity(value, unit)
