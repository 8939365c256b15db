"""Expressions: how they are simplified and printed."""

from __future__ import annotations

import pytest
from engine.expressions import compile_expression

from pytest_oppcloud.inifile.expressions import ExpressionError


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        # Recorded with OMNeT++ 6.1: `par` lines of volatile parameters.
        ("exponential(1s / 0.9)", "exponential(1.11111s)"),
        ("200b + intuniform(0, 2) * 500b", "200b+intuniform(0, 2)*500b"),
        ("uniform(0, 1) < 0.8 ? uniform(0s, 10ms) : 400ms", "uniform(0, 1) < 0.8 ? uniform(0s, 10ms) : 400ms"),
        ("weibull(2s, 1.5s / 1s * 1s)", "weibull(2s, 1.5s)"),
        # By src/common/exprnodes.cc: parentheses where a part binds less tightly than the whole.
        ("2 * (x + 1)", "2*(x+1)"),
        ("(a * b) * 3", "a*b*3"),
        ("!(a && b) || c", "!(a && b) || c"),
        ("sin(0) + y", "0+y"),
        ("parent.x", "parent.x"),
    ],
)
def test_expressions_are_printed_as_in_result_files(text: str, printed: str) -> None:
    assert compile_expression(text).text == printed


def test_what_is_constant_is_computed_at_once() -> None:
    assert compile_expression("2 * 3s + 1ms").is_constant
    assert not compile_expression("uniform(1, 1)").is_constant


def test_the_engine_says_what_it_does_not_know() -> None:
    with pytest.raises(ExpressionError, match=r"^The embedded engine knows no indexed identifier in expressions"):
        compile_expression("a[3]")
