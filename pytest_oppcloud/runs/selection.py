"""Run filters: which runs `-r` selects (OMNeT++ 6.1, src/envir/envirbase.cc, resolveRunFilter)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_oppcloud.errors import IniError
from pytest_oppcloud.inifile.characters import SPACE, is_blank
from pytest_oppcloud.inifile.expressions import ExpressionError, ExpressionSyntaxError, compile_expression

from .conditions import FILTER_REFERENCE, ITERATION_REFERENCE, Condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .plan import Plan
    from .scenario import Values

_NUMBERS_ONLY: Final = re.compile("[0-9,.\\- ]*")
#: A number or a range, and the comma behind it. `1-.3` is a range, too.
_ITEM: Final = re.compile(r" *([0-9]+) *(?:(?:-\.?|\.\.) *([0-9]+) *)?(?:,|$)")
#: More numbers than there can be runs, for lists that name runs many times.
_MAX_NUMBERS: Final = 2_000_000


def is_number_list(run_filter: str) -> bool:
    """Tell whether a filter is a list of run numbers, or blank, rather than an expression."""
    return _NUMBERS_ONLY.fullmatch(run_filter) is not None or is_blank(run_filter)


def numbers_of(run_filter: str, run_count: int) -> Sequence[int]:
    """Return the numbers in a list such as "0..4,9,12-14", in its order; raise `IniError` with OMNeT++'s words."""
    if is_blank(run_filter):
        return range(run_count)
    numbers: list[int] = []
    for low, high in _ranges(run_filter):
        if low < 0 or high >= run_count:
            # OMNeT++ does not look at the lower bound, and crashes.
            number = low if low < 0 else max(low, run_count)
            raise IniError(f"Run number {number} in run list '{run_filter}' is out of range 0..{run_count - 1}")
        if len(numbers) + high - low > _MAX_NUMBERS:
            raise IniError(f"Run list '{run_filter:.40}...' names too many runs")
        numbers.extend(range(low, high + 1))
    return numbers


def _ranges(run_list: str) -> list[tuple[int, int]]:
    """Return first and last number of each item that names a run (OMNeT++ 6.1, src/common/enumstr.cc)."""
    ranges: list[tuple[int, int]] = []
    position = 0
    end = len(run_list.rstrip(SPACE))
    while position < end:
        match = _ITEM.match(run_list, position)
        if match is None:
            raise IniError(f"Syntax error in run list '{run_list}'")
        position = match.end()
        low = _c_int(match.group(1))
        high = low if match.group(2) is None else _c_int(match.group(2))
        if low == -1 <= high:
            break  # that is how OMNeT++ marks the end of a list
        if low <= high:
            ranges.append((low, high))
    return ranges


def check_filter(run_filter: str) -> None:
    """Raise `IniError` for a filter that no ini file could make sense of: its syntax is wrong, whatever the values.

    Values are put in as text, and what they are decides what the text around them means: a filter is only wrong if it
    is with a number, with a name and with a string.
    """
    if is_number_list(run_filter):
        _ranges(run_filter)
        return
    errors = []
    for value in ("0", "a", '"a"'):
        try:
            compile_expression(FILTER_REFERENCE.sub(value, run_filter), equal_sign=True)
        except ExpressionSyntaxError as error:  # noqa: PERF203  # one is enough to be right
            errors.append(error)
        else:
            return
    raise IniError(f"Parse error in run filter '{run_filter}': {errors[0]}")


def matching(run_filter: str, plan: Plan, tuples: Sequence[Values]) -> list[int]:
    """Return the numbers of the runs for which an expression is true; raise `IniError` with OMNeT++'s words."""
    condition = Condition(run_filter, FILTER_REFERENCE)
    places = {name: index for index, name in enumerate(plan.names)}
    needs_more = any(name not in places for name in condition.names)
    numbers: list[int] = []
    for number, values in enumerate(tuples):
        variables = plan.variables(number, values) if needs_more else dict(zip(plan.names, values, strict=True))

        def value_of(name: str, variables: dict[str, str] = variables) -> str:
            if name not in variables:
                raise ExpressionError(f"Unknown variable ${name}")
            return variables[name]

        try:
            if condition.holds(value_of, _without_references):
                numbers.append(number)
        except ExpressionError as error:
            raise IniError(f"Cannot evaluate run filter: {error}") from error
    return numbers


def _without_references(text: str) -> str:
    """Raise if a text refers to variables still: OMNeT++ looks a second time, and knows none then."""
    match = ITERATION_REFERENCE.search(text)
    if match:
        raise ExpressionError(f"Unknown iteration variable: ${match.group(1) or match.group(2)}")
    return text


def _c_int(digits: str) -> int:
    """Return a number as C's `atoi` does it: 64 bits at most, of which the lower 32 remain."""
    number = 2**63 - 1 if len(digits.lstrip("0")) > 19 else min(int(digits[-19:]), 2**63 - 1)
    return (number + 2**31) % 2**32 - 2**31
