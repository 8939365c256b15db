"""Syntax trees to programs for a small stack machine, and its interpreter.

A program is compiled once and run for many values. Neither step recurses, so a chain of ten thousand terms is as
good as one of two. Mistakes that OMNeT++ finds before it computes anything (`Unknown array ''`) are found when
compiling, in its order: a parent before its children. Depends on the other modules of the package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from .mathematics import MATH_FUNCTIONS, c_math, dimensionless_double
from .operators import BINARY, UNARY, boolean, to_unit
from .tree import Form, Node
from .units import find_unit
from .values import (
    ExpressionError,
    ExpressionSyntaxError,
    Quantity,
    Special,
    Value,
    as_int,
    print_value,
)

#: Returns the value of a variable, or `Special.UNDEFINED` if there is none of that name.
Variables: TypeAlias = Callable[[str], Value]
#: Functions by name; they get the values of their arguments.
Functions: TypeAlias = Mapping[str, Callable[..., Value]]

_UNDEFINED: Final = Special.UNDEFINED


def _no_variables(name: str) -> Value:  # noqa: ARG001  # the signature is the contract
    return _UNDEFINED


class _Machine:
    """What a running program works on."""

    __slots__ = ("stack", "variables")

    def __init__(self, variables: Variables) -> None:
        self.stack: list[Value] = []
        self.variables = variables


#: Works on the machine; returns where to go on, or None for the next step.
_Step: TypeAlias = Callable[[_Machine], "int | None"]


class Program:
    """A compiled expression."""

    __slots__ = ("_labels", "_steps")

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        #: What goes in front of the message when a step fails ("operator '+'"); "" for nothing.
        self._labels: list[str] = []

    def run(self, variables: Variables = _no_variables) -> Value:
        """Return the value; raise `ExpressionError` with OMNeT++'s words if there is none."""
        machine = _Machine(variables)
        steps = self._steps
        position = 0
        end = len(steps)
        try:
            while position < end:
                position = steps[position](machine) or position + 1
        except ExpressionError as error:
            label = self._labels[position]
            raise ExpressionError(f"{label}: {error}" if label else str(error)) from error
        return machine.stack.pop()

    def add(self, step: _Step, label: str = "") -> int:
        """Append a step; return its position."""
        self._steps.append(step)
        self._labels.append(label)
        return len(self._steps) - 1

    def replace(self, position: int, step: _Step) -> None:
        """Put `step` where a place was kept for it."""
        self._steps[position] = step

    def __len__(self) -> int:
        return len(self._steps)


def compile_tree(root: Node, functions: Functions, *, equal_sign: bool) -> Program:
    """Return the program that computes `root`.

    `functions` come before the built-in ones. With `equal_sign`, "=" compares (constraints and run filters), else it
    is no operator. Raise `ExpressionSyntaxError` with OMNeT++'s words for what it cannot translate.
    """
    _check(root, functions, equal_sign=equal_sign)
    program = Program()
    # Either a node that is still to be compiled, or what remains to be done once its children are.
    pending: list[Node | Callable[[], None]] = [root]
    while pending:
        task = pending.pop()
        if isinstance(task, Node):
            pending.extend(reversed(_tasks(program, task, functions)))
        else:
            task()
    return program


def _check(root: Node, functions: Functions, *, equal_sign: bool) -> None:
    """Raise the error of the first node, parents before children, that OMNeT++ cannot translate."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.form is Form.OPERATOR:
            _check_operator(node, equal_sign=equal_sign)
        elif node.form is Form.FUNCTION and node.name not in functions and node.name in MATH_FUNCTIONS:
            count = MATH_FUNCTIONS[node.name][0]
            if len(node.children) != count:
                raise ExpressionSyntaxError(
                    f"Function '{node.name}' invoked with wrong number of arguments "
                    f"({len(node.children)} instead of {count})"
                )
        elif node.form is Form.OBJECT or node.form is Form.ARRAY:
            for index, key in enumerate(node.keys):
                if key in node.keys[:index]:
                    raise ExpressionSyntaxError(f'Duplicate key "{key}" in object literal')
            raise ExpressionSyntaxError(f"Unknown {node.form.value} '{node.name}'")
        pending.extend(reversed(node.children))


def _check_operator(node: Node, *, equal_sign: bool) -> None:
    if node.name == "_!":
        raise ExpressionSyntaxError("Not a recognized unary operator: postfix '!' (bang operator)")
    if node.name == "=":
        if not equal_sign:
            raise ExpressionSyntaxError("Not a recognized binary operator: '='")
        node.name = "=="


def _tasks(program: Program, node: Node, functions: Functions) -> Sequence[Node | Callable[[], None]]:
    """Return what is to be done for `node`, in order."""
    form = node.form
    if form is Form.OPERATOR:
        return _operator(program, node)
    if form is Form.FUNCTION or form is Form.METHOD:
        known = None if form is Form.METHOD or node.name in functions else _built_in(node)
        if known is None:
            return _call(program, node, functions)
        step, label = known
    elif form is Form.CONSTANT:
        step, label = _push(node.value), ""
    elif form is Form.NAME:
        step, label = _load(node.name), ""
    else:
        step, label = _without_value(node), ""
    return (*node.children, lambda: _emit(program, step, label))


def _operator(program: Program, node: Node) -> Sequence[Node | Callable[[], None]]:
    if node.name == "?:":
        return _conditional(program, node)
    if node.name in _LOGICAL:
        return _logical(program, node)
    step = _unary(UNARY[node.name]) if len(node.children) == 1 else _binary(BINARY[node.name])
    return (*node.children, lambda: _emit(program, step, f"operator '{node.name}'"))


def _emit(program: Program, step: _Step, label: str) -> None:
    program.add(step, label)


# -- steps ------------------------------------------------------------------------------------------------------


def _push(value: Value) -> _Step:
    def step(machine: _Machine) -> None:
        machine.stack.append(value)

    return step


def _load(name: str) -> _Step:
    def step(machine: _Machine) -> None:
        value = machine.variables(name)
        if value is _UNDEFINED:
            raise ExpressionError(f"No such variable: '{name}'")
        machine.stack.append(value)

    return step


def _unary(function: Callable[[Value], Value]) -> _Step:
    def step(machine: _Machine) -> None:
        machine.stack[-1] = function(machine.stack[-1])

    return step


def _binary(function: Callable[[Value, Value], Value]) -> _Step:
    def step(machine: _Machine) -> None:
        stack = machine.stack
        right = stack.pop()
        stack[-1] = function(stack[-1], right)

    return step


def _without_value(node: Node) -> _Step:
    """Return the step that tells that there is no such member, or nothing at that index."""
    indexed = node.form is Form.INDEXED_NAME or node.form is Form.INDEXED_MEMBER
    suffix = "[]" if indexed else ""

    def step(machine: _Machine) -> None:
        if indexed:
            index = machine.stack.pop()
            as_int(index)
            if isinstance(index, Quantity):
                raise ExpressionError("Index must be dimensionless")
        if node.form is Form.INDEXED_NAME:
            raise ExpressionError(f"No such variable: '{node.name}[]'")
        owner = machine.stack.pop()
        kind = "Object" if owner is Special.NULL else "Value"
        raise ExpressionError(f"{kind} {print_value(owner)} has no member named '{node.name}{suffix}'")

    return step


# -- operators that do not always look at their right side ---------------------------------------------------------

#: The left value that decides alone, and what both compute.
_LOGICAL: Final[dict[str, tuple[bool | None, Callable[[bool, bool], bool]]]] = {
    "&&": (False, lambda left, right: left and right),
    "||": (True, lambda left, right: left or right),
    "##": (None, lambda left, right: left != right),
}


def _logical(program: Program, node: Node) -> Sequence[Node | Callable[[], None]]:
    left, right = node.children
    label = f"operator '{node.name}'"
    decides, compute = _LOGICAL[node.name]
    place = 0

    def keep_place() -> None:
        nonlocal place
        place = program.add(_push(_UNDEFINED), label)

    def finish() -> None:
        def combine(machine: _Machine) -> None:
            second = machine.stack.pop()
            first = machine.stack[-1]
            machine.stack[-1] = _UNDEFINED if second is _UNDEFINED else compute(boolean(first), boolean(second))

        end = program.add(combine, label) + 1

        def test(machine: _Machine) -> int | None:
            first = machine.stack[-1]
            if first is _UNDEFINED or boolean(first) is decides:
                return end
            return None

        program.replace(place, test)

    return (left, keep_place, right, finish)


def _conditional(program: Program, node: Node) -> Sequence[Node | Callable[[], None]]:
    condition, then, otherwise = node.children
    label = f"operator '{node.name}'"
    test_place = 0
    jump_place = 0

    def keep_test() -> None:
        nonlocal test_place
        test_place = program.add(_push(_UNDEFINED), label)

    def keep_jump() -> None:
        nonlocal jump_place
        jump_place = program.add(_push(_UNDEFINED), label)

    def finish() -> None:
        end = len(program)

        def test(machine: _Machine) -> int | None:
            value = machine.stack[-1]
            if value is _UNDEFINED:
                return end
            machine.stack.pop()
            return None if boolean(value) else jump_place + 1

        program.replace(test_place, test)
        program.replace(jump_place, lambda _: end)

    return (condition, keep_test, then, keep_jump, otherwise, finish)


# -- functions ----------------------------------------------------------------------------------------------------


def _built_in(node: Node) -> tuple[_Step, str] | None:
    """Return the step of a mathematical function or a unit conversion, and its label; None for other functions."""
    if node.name in MATH_FUNCTIONS:
        count, function = MATH_FUNCTIONS[node.name]

        def compute(machine: _Machine) -> None:
            arguments = machine.stack[-count:]
            del machine.stack[-count:]
            undefined = _UNDEFINED in arguments
            machine.stack.append(
                _UNDEFINED if undefined else c_math(function, *[dimensionless_double(value) for value in arguments])
            )

        return compute, f"{node.name}()"
    unit = _unit_of_function(node.name) if len(node.children) == 1 else ""
    return (_unary(lambda value: to_unit(value, unit)), unit) if unit else None


def _unit_of_function(name: str) -> str:
    """Return the unit of a conversion function; names with hyphen or slash are written with _ and _per_."""
    if find_unit(name):
        return name
    unit = name.replace("_per_", "/").replace("_", "-")
    return unit if unit != name and find_unit(unit) else ""


def _call(program: Program, node: Node, functions: Functions) -> Sequence[Node | Callable[[], None]]:
    """Compile a call that gets its function by name; an undefined argument makes the whole undefined at once."""
    tasks: list[Node | Callable[[], None]] = []
    places: list[int] = []
    for child in node.children:
        tasks.extend((child, lambda: places.append(program.add(_push(_UNDEFINED)))))

    def finish() -> None:
        end = program.add(_invoke(node, functions)) + 1
        for index, place in enumerate(places):
            program.replace(place, _leave_if_undefined(index, end))

    tasks.append(finish)
    return tasks


def _leave_if_undefined(index: int, end: int) -> _Step:
    def step(machine: _Machine) -> int | None:
        if machine.stack[-1] is not _UNDEFINED:
            return None
        del machine.stack[-index - 1 :]
        machine.stack.append(_UNDEFINED)
        return end

    return step


def _invoke(node: Node, functions: Functions) -> _Step:
    count = len(node.children)
    name = node.name

    def step(machine: _Machine) -> None:
        arguments = machine.stack[len(machine.stack) - count :]
        del machine.stack[len(machine.stack) - count :]
        if node.form is Form.METHOD:
            kind = "Object" if arguments[0] is Special.NULL else "Value"
            raise ExpressionError(
                f"{kind} {print_value(arguments[0])} has no '{name}' method that accepts {count - 1} argument(s)"
            )
        if name not in functions:
            raise ExpressionError(f"No '{name}' function accepting {count} argument(s) was found")
        machine.stack.append(functions[name](*arguments))

    return step
