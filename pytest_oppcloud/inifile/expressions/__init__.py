"""NED expressions as OMNeT++ 6.1 evaluates them in ini files: `2 * 1.5min`, `$x < 5 && "a" != "b"`.

    evaluate("2 * 3s")                                   -> Quantity(6, "s")
    evaluate("n + 1", variables={"n": 4})                -> 5
    evaluate("exponential(2s)", functions={"exponential": draw})
    quantity("1h 30min")                                 -> 5400.0

Errors are `ExpressionError` with OMNeT++'s words, and `ExpressionSyntaxError` where the text is no expression at all.
The modules, each depending on those before it: `values`, `units`, `tokens`, `literals`, `tree`, `parser`,
`mathematics`, `operators`, `compiler`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from .compiler import Functions, Program, Variables, compile_tree
from .parser import parse
from .tree import Form, Node
from .units import convert, parse_quantity
from .values import (
    ExpressionError,
    ExpressionSyntaxError,
    Quantity,
    Special,
    Value,
    as_bool,
    as_double,
    as_int,
    as_string,
    print_value,
    type_name,
)

_NO_FUNCTIONS: Final[Functions] = MappingProxyType({})


def compile_expression(text: str, *, functions: Functions = _NO_FUNCTIONS, equal_sign: bool = False) -> Program:
    """Return the program that computes `text`; `equal_sign` allows "=" for "==".

    Raise `ExpressionSyntaxError` if `text` is no expression.
    """
    return compile_tree(parse(text), functions, equal_sign=equal_sign)


def evaluate(
    text: str,
    *,
    variables: Mapping[str, Value] | Callable[[str], Value] = MappingProxyType({}),
    functions: Functions = _NO_FUNCTIONS,
) -> Value:
    """Return the value of `text`.

    `variables` gives the values of names (a function returns `Special.UNDEFINED` for a name that it does not know),
    `functions` adds to, and goes before, the built-in functions. Raise `ExpressionError` with OMNeT++'s words.
    """
    program = compile_expression(text, functions=functions)
    if isinstance(variables, Mapping):
        known = variables
        return program.run(lambda name: known.get(name, Special.UNDEFINED))
    return program.run(variables)


def quantity(text: str, unit: str = "s") -> float:
    """Return what an option such as sim-time-limit amounts to in `unit`; "1.5min" is 90.0.

    Raise `ExpressionError`, a `ValueError`, with OMNeT++'s words (cValue::doubleValueInUnit of src/sim/cvalue.cc).
    """
    value = evaluate(text)
    number = value.number if isinstance(value, Quantity) else value
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise ExpressionError(f"Cannot cast {print_value(value)} from type {type_name(value)} to double")
    double, own_unit = as_double(value)
    return convert(double, own_unit, unit)


__all__ = [
    "ExpressionError",
    "ExpressionSyntaxError",
    "Form",
    "Functions",
    "Node",
    "Program",
    "Quantity",
    "Special",
    "Value",
    "Variables",
    "as_bool",
    "as_double",
    "as_int",
    "as_string",
    "compile_expression",
    "compile_tree",
    "convert",
    "evaluate",
    "parse",
    "parse_quantity",
    "print_value",
    "quantity",
    "type_name",
]
