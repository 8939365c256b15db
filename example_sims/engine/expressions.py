"""Parameter values: NED expressions, made ready to be computed again and again, and printed as OMNeT++ prints them.

The syntax and the operators are the ini reader's; what is added here is what a running simulation knows: other
parameters, indices, random numbers. Rules: OMNeT++ 6.1, src/common/expression.cc and exprnodes.cc (constant parts are
computed once and for all; the printed form is that of the simplified expression).
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from functools import lru_cache

from pytest_oppcloud.inifile.expressions.mathematics import MATH_FUNCTIONS, c_math, dimensionless_double
from pytest_oppcloud.inifile.expressions.operators import BINARY, UNARY, boolean
from pytest_oppcloud.inifile.expressions.parser import parse
from pytest_oppcloud.inifile.expressions.tree import Form, Node
from pytest_oppcloud.inifile.expressions.values import ExpressionError, Special, Value, print_value

from .errors import SimulationError
from .functions import find_function

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .components import Component

Evaluator: typing.TypeAlias = "Callable[[Component | None], Value]"

_ELEMENT, _MEMBER, _UNARY, _CONDITIONAL = 0, 1, 2, 16
#: How loosely operators bind: ExprNode::Precedence.
_LOOSENESS = {
    symbol: looseness
    for looseness, symbols in enumerate(
        ["^", "* / %", "+ -", "<< >>", "&", "#", "|", "=~", "< <= > >= <=>", "= == !=", "&&", "##", "||"], start=3
    )
    for symbol in symbols.split()
}
#: From here on operators stand between blanks.
_SPACED = _LOOSENESS["|"]


class BlamedError(ExpressionError):
    """An error that names the operator or function where it arose."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that is ready to be computed."""

    evaluate: Evaluator
    #: The simplified expression.
    text: str
    looseness: int = _ELEMENT
    is_constant: bool = False
    #: Whether it is computed once and for all as soon as all its operands are constants.
    is_foldable: bool = False


@lru_cache(maxsize=256)
def compile_expression(text: str) -> Expression:
    """Make an expression ready; raise `ExpressionError` with OMNeT++'s words where it is none."""
    return _compile(parse(text))


def _compile(node: Node) -> Expression:
    if node.form is Form.CONSTANT:
        return _constant(node.value)
    children = [_compile(child) for child in node.children]
    expression = _FORMS[node.form](node, children) if node.form in _FORMS else _unsupported(node)
    if expression.is_foldable and all(child.is_constant for child in children):
        try:
            return _constant(expression.evaluate(None))
        except ExpressionError:
            # The error is raised when the value is asked for.
            return expression
    return expression


def _constant(value: Value) -> Expression:
    return Expression(lambda _component: value, print_value(value), is_constant=True)


def _unsupported(node: Node) -> typing.NoReturn:
    raise ExpressionError(f"The embedded engine knows no {node.form.value} in expressions ({node.name!r})")


def _blaming(place: str, evaluate: Evaluator) -> Evaluator:
    """Let the errors of a node name it, unless a node inside has done so (ExprNode::tryEvaluate)."""

    def blaming(component: Component | None) -> Value:
        try:
            return evaluate(component)
        except BlamedError:
            raise
        except (ExpressionError, SimulationError) as error:
            raise BlamedError(f"{place}: {error}") from error

    return blaming


def _child(child: Expression, looseness: int) -> str:
    """Print an operand; parentheses only where they are needed (ExprNode::printChild)."""
    return f"({child.text})" if looseness < child.looseness else child.text


def _operator(node: Node, children: Sequence[Expression]) -> Expression:
    symbol = node.name
    if symbol == "?:":
        return _conditional(*children)
    if len(children) == 1:
        if symbol not in UNARY:
            _unsupported(node)
        (child,) = children
        apply, operand = UNARY[symbol], child.evaluate
        evaluate = _blaming(f"operator '{symbol}'", lambda component: apply(operand(component)))
        return Expression(evaluate, symbol + _child(child, _UNARY), _UNARY, is_foldable=True)
    left, right = children
    looseness = _LOOSENESS[symbol]
    printed = "==" if symbol == "=" else symbol
    printed = f" {printed} " if looseness >= _SPACED else printed
    text = f"{_child(left, looseness)}{printed}{_child(right, looseness)}"
    evaluate = _blaming(f"operator '{printed.strip()}'", _binary(symbol, left.evaluate, right.evaluate))
    return Expression(evaluate, text, looseness, is_foldable=True)


def _binary(symbol: str, left: Evaluator, right: Evaluator) -> Evaluator:
    if symbol in {"&&", "||"}:
        deciding = symbol == "||"

        def short_cut(component: Component | None) -> Value:
            value = left(component)
            if value is Special.UNDEFINED or boolean(value) is deciding:
                return value
            value = right(component)
            return value if value is Special.UNDEFINED else boolean(value)

        return short_cut
    if symbol == "##":

        def exclusive(component: Component | None) -> Value:
            first, second = left(component), right(component)
            if first is Special.UNDEFINED or second is Special.UNDEFINED:
                return Special.UNDEFINED
            return boolean(first) is not boolean(second)

        return exclusive
    apply = BINARY["==" if symbol == "=" else symbol]
    return lambda component: apply(left(component), right(component))


def _conditional(condition: Expression, yes: Expression, no: Expression) -> Expression:
    def evaluate(component: Component | None) -> Value:
        value = condition.evaluate(component)
        if value is Special.UNDEFINED:
            return value
        return (yes if boolean(value) else no).evaluate(component)

    text = " ? ".join([_child(condition, _CONDITIONAL), _child(yes, _CONDITIONAL)])
    return Expression(evaluate, f"{text} : {_child(no, _CONDITIONAL)}", _CONDITIONAL, is_foldable=True)


def _function(node: Node, children: Sequence[Expression]) -> Expression:
    name, count = node.name, len(children)
    text = f"{name}({', '.join(child.text for child in children)})"
    arguments = [child.evaluate for child in children]
    if (function := find_function(name, count)) is not None:
        call = function
        if all(child.is_constant for child in children):
            values = [argument(None) for argument in arguments]
            return Expression(_blaming(f"{name}()", lambda component: call(_needed(component), values)), text)
        evaluate = _blaming(
            f"{name}()", lambda component: call(_needed(component), [argument(component) for argument in arguments])
        )
        return Expression(evaluate, text)
    arity, compute = MATH_FUNCTIONS.get(name, (-1, None))
    if compute is None or arity != count:
        return Expression(lambda _component: _unknown_function(name, count), text)
    of_c = compute
    evaluate = _blaming(
        f"{name}()",
        lambda component: c_math(of_c, *(dimensionless_double(argument(component)) for argument in arguments)),
    )
    return Expression(evaluate, text, is_foldable=True)


def _unknown_function(name: str, count: int) -> typing.NoReturn:
    raise BlamedError(f"No '{name}' function accepting {count} argument(s) was found")


def _needed(component: Component | None) -> Component:
    if component is None:
        raise ExpressionError("No context component")
    return component


def _name(node: Node, _children: Sequence[Expression]) -> Expression:
    name = node.name
    return Expression(lambda component: _read(_needed(component), name), name)


def _member(node: Node, _children: Sequence[Expression]) -> Expression:
    owner, name = node.children[0].name, node.name
    if node.children[0].form is not Form.NAME or owner not in {"this", "parent"}:
        _unsupported(node)

    def evaluate(component: Component | None) -> Value:
        place = _needed(component)
        return _read(place.parent_component() if owner == "parent" else place, name)

    return Expression(evaluate, f"{owner}.{name}", _MEMBER)


def _read(component: Component, name: str) -> Value:
    """Return a parameter of a component, or its index."""
    try:
        return component.vector_index() if name == "index" else component.parameter(name).evaluate()
    except SimulationError as error:
        raise BlamedError(str(error)) from error


_FORMS: dict[Form, Callable[[Node, Sequence[Expression]], Expression]] = {
    Form.OPERATOR: _operator,
    Form.FUNCTION: _function,
    Form.NAME: _name,
    Form.MEMBER: _member,
}
