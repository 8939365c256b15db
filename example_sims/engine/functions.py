"""The functions that parameter expressions may call, beside those of the C library.

Depends on the distributions and on the ini reader's values and units. Rules: OMNeT++ 6.1, src/sim/nedfunctions.cc.
"""

from __future__ import annotations

import math
import typing

from pytest_oppcloud.inifile.expressions.units import convert, parse_quantity
from pytest_oppcloud.inifile.expressions.values import (
    ExpressionError,
    Quantity,
    Value,
    as_double,
    as_int,
    print_value,
    type_name,
    with_unit,
)

from . import distributions
from .simtime import seconds

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .components import Component

Function: typing.TypeAlias = "Callable[[Component, Sequence[Value]], Value]"

#: Distributions, and what their arguments are: a quantity "q" (all of them are brought to the unit of the first one,
#: which is the unit of the result), a plain double "d", an integer "i", an integer with the unit of the result "n".
_DISTRIBUTIONS = {
    "uniform": "qq",
    "exponential": "q",
    "normal": "qq",
    "truncnormal": "qq",
    "gamma_d": "dq",
    "beta": "dd",
    "erlang_k": "iq",
    "chi_square": "i",
    "student_t": "i",
    "cauchy": "qq",
    "triang": "qqq",
    "lognormal": "dd",
    "weibull": "qq",
    "pareto_shifted": "dqq",
    "intuniform": "nn",
    "intuniformexcl": "nn",
    "bernoulli": "d",
    "binomial": "id",
    "geometric": "d",
    "negbinomial": "id",
    "poisson": "d",
}


def find_function(name: str, count: int) -> Function | None:
    """Return the function of that name for `count` arguments, None if there is none."""
    kinds = _DISTRIBUTIONS.get(name)
    # The number of an RNG may follow the arguments of a distribution.
    if kinds is not None and count in {len(kinds), len(kinds) + 1}:
        return _distribution(name, kinds)
    return _OTHERS.get((name, count))


def _distribution(name: str, kinds: str) -> Function:
    draw: Callable[..., float] = getattr(distributions, name)

    def function(component: Component, arguments: Sequence[Value]) -> Value:
        rng = component.rng(as_int(arguments[len(kinds)]) if len(arguments) > len(kinds) else 0)
        numbers, unit = _plain(kinds, arguments)
        return with_unit(draw(rng, *numbers), unit)

    return function


def _plain(kinds: str, arguments: Sequence[Value]) -> tuple[list[float], str]:
    """Return the arguments without units, and the unit of the result."""
    unit: str | None = None
    numbers: list[float] = []
    for kind, argument in zip(kinds, arguments, strict=False):
        own = argument.unit if isinstance(argument, Quantity) else ""
        if kind == "n":
            numbers.append(as_int(argument))
            if unit not in {None, own}:
                shown = ",".join(print_value(value) for value in arguments[:2])
                raise ExpressionError(f"Arguments must have the same unit, got ({shown})")
            unit = own
        elif kind == "q":
            number, own = as_double(argument)
            numbers.append(number if unit is None else convert(number, own, unit))
            unit = own if unit is None else unit
        elif own:
            raise ExpressionError(f"Cannot convert unit '{own}' to none")
        else:
            numbers.append(as_int(argument) if kind == "i" else as_double(argument)[0])
    return numbers, unit or ""


def _pair(arguments: Sequence[Value]) -> tuple[float, float]:
    """Return two quantities in the unit of the first one."""
    (first, unit), (second, other) = as_double(arguments[0]), as_double(arguments[1])
    return first, convert(second, other, unit)


def _minimum(_component: Component, arguments: Sequence[Value]) -> Value:
    first, second = _pair(arguments)
    return arguments[0] if first < second else arguments[1]


def _maximum(_component: Component, arguments: Sequence[Value]) -> Value:
    first, second = _pair(arguments)
    return arguments[1] if first < second else arguments[0]


def _absolute(_component: Component, arguments: Sequence[Value]) -> Value:
    number, unit = as_double(arguments[0])
    return with_unit(abs(number), unit)


def _double(_component: Component, arguments: Sequence[Value]) -> Value:
    value = arguments[0]
    if isinstance(value, bool):
        return float(value)
    number, unit = parse_quantity(value) if isinstance(value, str) else as_double(value)
    return with_unit(number, unit)


def _int(_component: Component, arguments: Sequence[Value]) -> Value:
    value = arguments[0]
    if isinstance(value, bool):
        return int(value)
    if type_name(value) == "integer":
        return value
    number, unit = parse_quantity(value) if isinstance(value, str) else as_double(value)
    return with_unit(math.floor(number), unit)


def _drop_unit(_component: Component, arguments: Sequence[Value]) -> Value:
    value = arguments[0]
    return value.number if isinstance(value, Quantity) else value


def _simulation_time(component: Component, _arguments: Sequence[Value]) -> Value:
    return Quantity(seconds(component.simulation.now), "s")


_OTHERS: dict[tuple[str, int], Function] = {
    ("min", 2): _minimum,
    ("max", 2): _maximum,
    ("fabs", 1): _absolute,
    ("double", 1): _double,
    ("int", 1): _int,
    ("dropUnit", 1): _drop_unit,
    ("simTime", 0): _simulation_time,
}
