"""Parameters of modules and channels: how they are declared, where their values come from, how they are recorded.

Depends on the expressions. Rules: OMNeT++ 6.1, src/sim/cpar.cc and the c...parimpl.cc files: a parameter that is not
volatile gets its value once, when its module is set up; a volatile one is computed anew whenever it is read.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Literal

from pytest_oppcloud.inifile.expressions.units import conversion_factor, convert
from pytest_oppcloud.inifile.expressions.values import (
    ExpressionError,
    Quantity,
    Value,
    as_double,
    print_value,
    type_name,
    with_unit,
)

from .errors import SimulationError
from .expressions import Expression, compile_expression

if typing.TYPE_CHECKING:
    from .components import Component


@dataclass(frozen=True, slots=True)
class Parameter:
    """The declaration of a parameter, as a NED file holds it."""

    name: str
    type: Literal["double", "int", "bool", "string"]
    #: The unit of its values: "s", "bps"; "" for plain numbers.
    unit: str = ""
    #: The value that holds where no ini file sets one, as NED text: "exponential(1s)".
    default: str | None = None
    volatile: bool = False
    mutable: bool = False
    #: What asks for the value where nothing sets it.
    prompt: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """What result files say about it."""
        attributes = {}
        if self.unit:
            attributes["unit"] = self.unit
        if self.mutable:
            attributes["mutable"] = ""
        if self.prompt:
            attributes["prompt"] = self.prompt
        return attributes


class ParameterValue:
    """A parameter of one component."""

    def __init__(self, owner: Component, declaration: Parameter) -> None:
        self.declaration = declaration
        self._owner = owner
        self._expression: Expression | None = None
        #: Where the value came from, for error messages.
        self._text = ""
        self._value: Value | None = None

    def assign(self, text: str) -> None:
        """Set the value to a NED expression; raise `SimulationError` where it is none."""
        self._text = text
        try:
            self._expression = compile_expression(text)
            if self._expression.is_constant:
                self._value = self._converted(self._expression.evaluate(self._owner))
        except ExpressionError as error:
            path = f"{self._owner.full_path}.{self.declaration.name}"
            raise SimulationError(f"Cannot assign '{text}' to parameter '{path}': {error}") from error

    def finalize(self) -> None:
        """Compute the value once and for all, unless the parameter is volatile."""
        if self._value is None and not self.declaration.volatile:
            self._value = self.evaluate()
            self._expression = None

    def evaluate(self) -> Value:
        """Return the value, with the parameter's unit; a volatile one is computed anew."""
        if self._value is not None:
            return self._value
        if self._expression is None:
            raise SimulationError("Parameter is not yet accessible")
        try:
            return self._converted(self._expression.evaluate(self._owner))
        except (ExpressionError, SimulationError) as error:
            raise SimulationError(f"Cannot assign parameter '{self.declaration.name}': {error}") from error

    def read(self) -> typing.Any:
        """Return the value as a Python number, string or bool, in the parameter's unit."""
        value = self.evaluate()
        return value.number if isinstance(value, Quantity) else value

    def text(self) -> str:
        """Return the value as result files show it: a constant, or the expression of a volatile parameter."""
        if self._value is not None:
            return print_value(self._value)
        return self._expression.text if self._expression else ""

    def _converted(self, value: Value) -> Value:
        """Bring a value to the parameter's type and unit."""
        kind, unit = self.declaration.type, self.declaration.unit
        number = value.number if isinstance(value, Quantity) else value
        own = value.unit if isinstance(value, Quantity) else ""
        is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
        if kind == "double" and is_number:
            return with_unit(convert(as_double(value)[0], own, unit), unit)
        if kind == "int" and isinstance(number, int) and is_number:
            factor = conversion_factor(own, unit)
            if factor >= 1 and factor.is_integer():
                return with_unit(number * int(factor), unit)
            raise ExpressionError(
                f"Cannot convert integer from unit {own or 'none'} to {unit or 'none'}: "
                "no conversion or conversion rate is not integer"
            )
        if (kind == "string" and isinstance(number, str)) or (kind == "bool" and isinstance(number, bool)):
            return value
        note = kind == "int" and isinstance(number, float)
        raise ExpressionError(
            f"Cannot cast {print_value(value)} from type {type_name(value)} to {'integer' if kind == 'int' else kind}"
            + (" (note: no implicit conversion from double to int)" if note else "")
        )
