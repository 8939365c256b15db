"""Conditions over variables: `constraint`, and run filters; and the evaluation of what ranges are made of.

OMNeT++ puts the values into the text and then evaluates that (6.1, src/envir/valueiterator.cc, Expr). So does this
module where it must; but where every reference stands for an operand and every value is a literal, it compiles the
text once and only the values change. Both ways have the same results.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final

from pytest_oppcloud.inifile.expressions import (
    ExpressionError,
    ExpressionSyntaxError,
    Form,
    Node,
    Program,
    Special,
    Value,
    compile_expression,
    compile_tree,
    parse,
    print_value,
    type_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable

#: `$x` and `${x}` where iteration variables are meant; names are ASCII here.
ITERATION_REFERENCE: Final = re.compile(r"\$(?:\{([A-Za-z0-9_@]+)\}|([A-Za-z0-9_@]+))")
#: The same where a run filter means any variable.
FILTER_REFERENCE: Final = re.compile(r"\$(?:\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+))")

#: Letters that nobody uses, to mark references in a text that is compiled.
_MARK: Final = "\ue000"
_MARK_END: Final = "\ue001"

#: Literals that can stand in an expression without any effect on what is around them, nor on a second substitution.
_HARMLESS: Final = re.compile(r'"[^"\\\n$]*"|[^"\'\\/$]*')


def evaluate_text(text: str) -> Value:
    """Return the value of an expression in which the variables are put in already.

    Raise `ExpressionError` with OMNeT++'s words.
    """
    try:
        program = compile_expression(text, equal_sign=True)
    except ExpressionSyntaxError as error:
        raise ExpressionError(f"Parse error in expression '{text}': {error}") from error
    try:
        return program.run()
    except ExpressionError as error:
        raise ExpressionError(f"Cannot evaluate expression '{text}': {error}") from error


def wrong_type(expected: str, value: Value, raw: str) -> ExpressionError:
    """Return the error of a value of another type; `raw` is the text as it was written."""
    found = "nothing" if value is Special.UNDEFINED else f"{type_name(value)} ({print_value(value)})"
    return ExpressionError(f"{expected} expected, but {found} found in the expression '{raw}'")


class Condition:
    """A text that is true or false once the variables are put in."""

    def __init__(self, text: str, reference: re.Pattern[str] = ITERATION_REFERENCE) -> None:
        """Take the text apart; `reference` finds the variables in it."""
        self._text = text
        self._reference = reference
        #: The variables in the text, in order, as often as they occur.
        self.names = [match.group(1) or match.group(2) for match in reference.finditer(text)]
        self._marks = {f"{_MARK}{index}{_MARK_END}": name for index, name in enumerate(self.names)}
        self._program = self._compile()
        self._literals: dict[str, Value | None] = {}
        self._judged: dict[str, Value] = {}

    def holds(self, value_of: Callable[[str], str], expand: Callable[[str], str] = lambda text: text) -> bool:
        """Tell whether the condition is true for the values that `value_of` gives.

        `expand` may change the text further, once these values are in it. Raise `ExpressionError` with OMNeT++'s
        words.
        """
        values = self._literal_values(value_of) if self._program is not None else None
        if self._program is not None and values is not None:
            try:
                result = self._program.run(lambda name: values.get(name, Special.UNDEFINED))
            except ExpressionError:
                pass  # the long way finds the right words
            else:
                if isinstance(result, bool):
                    return result
        return self._judge_text(expand(self._substituted(value_of)))

    def _substituted(self, value_of: Callable[[str], str]) -> str:
        return self._reference.sub(lambda match: value_of(match.group(1) or match.group(2)), self._text)

    def _judge_text(self, text: str) -> bool:
        if text not in self._judged:
            if len(self._judged) > 10_000:
                self._judged.clear()
            self._judged[text] = evaluate_text(text)
        value = self._judged[text]
        if not isinstance(value, bool):
            # A run filter is substituted before it becomes the "raw" text, a constraint after.
            raw = text if self._reference is FILTER_REFERENCE else self._text
            raise wrong_type("bool", value, raw)
        return value

    def _compile(self) -> Program | None:
        """Return a program in which each reference is an operand; None where the text does not allow that."""
        if _MARK in self._text:
            return None
        marks = iter(self._marks)
        try:
            root = parse(self._reference.sub(lambda _: next(marks), self._text))
            if sorted(_names(root)) != sorted(self._marks):
                return None
            return compile_tree(root, {}, equal_sign=True)
        except ExpressionError:
            return None

    def _literal_values(self, value_of: Callable[[str], str]) -> dict[str, Value] | None:
        """Return the values of all references; None if one of them is anything but a literal."""
        literals = self._literals
        values: dict[str, Value] = {}
        for mark, name in self._marks.items():
            text = value_of(name)
            if text not in literals:
                if len(literals) > 100_000:
                    literals.clear()
                literals[text] = _literal(text)
            value = literals[text]
            if value is None:
                return None
            values[mark] = value
        return values


def _names(root: Node) -> list[str]:
    """Return the names of the variables in a tree that are marks."""
    names: list[str] = []
    pending = [root]
    while pending:
        node = pending.pop()
        if node.form is Form.NAME and node.name.startswith(_MARK):
            names.append(node.name)
        pending.extend(node.children)
    return names


def _literal(text: str) -> Value | None:
    if not _HARMLESS.fullmatch(text):
        return None
    try:
        node = parse(text)
    except ExpressionError:
        return None
    return node.value if node.form is Form.CONSTANT else None


@functools.lru_cache(maxsize=65536)
def evaluate_cached(text: str) -> Value:
    """Return what `evaluate_text` does; ranges are evaluated again and again."""
    return evaluate_text(text)
