"""Nested loops over iteration variables: which tuples of values there are, in which order.

The rules are those of OMNeT++ 6.1, src/envir/scenario.cc. However the variables are made, the work is bounded: the
tuples that are looked at count, not only those that a constraint lets through.
"""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from pytest_oppcloud.errors import IniError
from pytest_oppcloud.inifile.characters import SPACE, encoded
from pytest_oppcloud.inifile.expressions import ExpressionError

from .conditions import Condition
from .lists import ListError
from .values import ValueIterator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_oppcloud.inifile.reader import Entry

#: As many runs OMNeT++ makes of one configuration, and not one more.
MAX_RUNS: Final = 1_000_001
#: As many steps of the loops are done for one configuration, whatever becomes of them.
MAX_STEPS: Final = 2_000_000

#: The values of one run, in the order of the loops, outermost first.
Values: TypeAlias = "tuple[str, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationVariable:
    """An iteration variable as it was found."""

    #: Unnamed ones are "0", "1", ...
    name: str
    #: The list of values as it is written.
    values: str
    #: The variable that it runs parallel to, "" for none.
    master: str
    #: The entry that defines it; None for the repetition where `repeat` is not set.
    entry: Entry | None


@dataclass(slots=True)
class _Loop:
    name: str
    iterator: ValueIterator
    master: ValueIterator | None
    master_name: str
    entry: Entry | None


class Scenario:
    """The loops of a configuration."""

    def __init__(
        self, variables: Sequence[IterationVariable], constraint: Entry | None, nesting_order: Entry | None
    ) -> None:
        """Check the variables and sort the loops; raise `IniError` with OMNeT++'s words, without a prefix."""
        iterators = {variable.name: _parsed(variable) for variable in variables}
        _check_references(variables, iterators)
        order = _loop_order(_nesting_order(variables, nesting_order), variables, iterators, nesting_order)
        by_name = {variable.name: variable for variable in variables}
        self._iterators = iterators
        self._constraint_entry = constraint
        self._constraint = Condition(constraint.value) if constraint and constraint.value else None
        self._loops = [
            _Loop(name, iterators[name], iterators.get(by_name[name].master), by_name[name].master, by_name[name].entry)
            for name in order
        ]
        self._steps = 0
        #: The variables in the order of the loops, outermost first.
        self.names = tuple(order)

    def tuples(self) -> Iterator[Values]:
        """Yield the values of one run after the other; may be used once.

        Raise `IniError` with OMNeT++'s words, without a prefix.
        """
        lists = self._independent_values()
        if lists is None:
            yield from self._stepped()
            return
        if self._constraint is None:
            yield from itertools.product(*lists)
            return
        places = {name: index for index, name in enumerate(self.names)}
        for values in itertools.product(*lists):
            self._count_step()
            if self._holds(values, places):
                yield values

    def run_count(self) -> int | None:
        """Return the number of runs where no loop depends on another and there is no constraint, else None."""
        if self._constraint is not None or not all(self._is_simple(loop) for loop in self._loops):
            return None
        try:
            for loop in self._loops:
                loop.iterator.restart(self._value_of)
            return math.prod(loop.iterator.count() for loop in self._loops)
        except ExpressionError:
            return None  # found again, at its place, when the loops are run

    def _independent_values(self) -> list[list[str]] | None:
        """Return the values of all loops if each has its own, and they are few enough to be written out."""
        if not all(self._is_simple(loop) for loop in self._loops):
            return None
        try:
            for loop in self._loops:
                loop.iterator.restart(self._value_of)
            if sum(loop.iterator.count() for loop in self._loops) > MAX_RUNS:
                return None
            return [loop.iterator.all() for loop in self._loops]
        except ExpressionError:
            return None

    @staticmethod
    def _is_simple(loop: _Loop) -> bool:
        return loop.iterator.is_constant and not loop.master_name

    # -- loops that depend on each other --------------------------------------------------------------------------

    def _stepped(self) -> Iterator[Values]:
        more = self._restart()
        while more:
            if self._constraint is None or self._holds(None, {}):
                try:
                    values = tuple([loop.iterator.get() for loop in self._loops])
                except ExpressionError as error:
                    raise IniError(str(error)) from error
                yield values
            more = self._advance(len(self._loops))

    def _restart(self) -> bool:
        """Go to the first tuple; tell whether there is one.

        A parallel loop starts at its own beginning here, even if its master did not (a mistake of OMNeT++ 6.1).
        """
        index = 0
        while index < len(self._loops):
            loop = self._loops[index]
            self._start(loop)
            if not loop.iterator.at_end:
                index += 1
            elif index == 0 or not self._advance(index):
                return False
        return True

    def _advance(self, count: int) -> bool:
        """Go on in the outer `count` loops and start all inner ones; tell whether there is another tuple.

        OMNeT++ calls itself where an inner loop has no values; here, the search goes on in place.
        """
        index = self._advance_one_of(count)
        while index is not None:
            index += 1
            if index == len(self._loops):
                return True
            loop = self._loops[index]
            if loop.master is not None:
                self._follow_master(loop, loop.master)
            else:
                self._start(loop)
                if loop.iterator.at_end:
                    index = self._advance_one_of(index)
        return False

    def _advance_one_of(self, count: int) -> int | None:
        """Advance the innermost of the outer `count` loops that can; return its index, or None."""
        for index in range(count - 1, -1, -1):
            loop = self._loops[index]
            if not loop.master_name:
                self._count_step()
                try:
                    loop.iterator.advance()
                except ExpressionError as error:
                    raise _located(str(error), loop.entry) from error
                if not loop.iterator.at_end:
                    return index
        return None

    def _start(self, loop: _Loop) -> None:
        self._count_step()
        try:
            loop.iterator.restart(self._value_of)
        except ExpressionError as error:
            raise _located(str(error), loop.entry) from error

    def _follow_master(self, loop: _Loop, master: ValueIterator) -> None:
        self._count_step()
        try:
            enough = loop.iterator.go_to(master.position, self._value_of)
        except ExpressionError as error:
            raise _located(str(error), loop.entry) from error
        if not enough:
            raise _located(
                f"Parallel iterator ${{...!{loop.master_name}}} does not have enough values",
                loop.entry,
                f"give it as many values as {loop.master_name} has",
            )

    def _count_step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise _located(
                f"More than {MAX_STEPS} combinations of iteration variables would have to be tried",
                self._constraint_entry,
                "let the iteration variables have fewer values instead of excluding so many of them",
            )

    def _holds(self, values: Values | None, places: dict[str, int]) -> bool:
        """Tell whether the constraint is true for `values`, or for the current ones."""
        constraint = self._constraint
        if constraint is None:
            return True
        try:
            if values is None:
                return constraint.holds(self._value_of)
            return constraint.holds(lambda name: values[places[name]] if name in places else self._value_of(name))
        except ExpressionError as error:
            raise _located(f"Cannot evaluate constraint expression: {error}", self._constraint_entry) from error

    def _value_of(self, name: str) -> str:
        if name not in self._iterators:
            raise ExpressionError(f"Unknown iteration variable: ${name}")
        return self._iterators[name].get()


def _parsed(variable: IterationVariable) -> ValueIterator:
    try:
        return ValueIterator(variable.values)
    except ListError as error:
        raise _located(
            f"Cannot parse iteration variable '{variable.name}' ({error} in '{variable.values}')", variable.entry
        ) from error


def _check_references(variables: Sequence[IterationVariable], iterators: dict[str, ValueIterator]) -> None:
    for variable in variables:
        for name in sorted(iterators[variable.name].references, key=encoded):
            if name not in iterators:
                raise _located(
                    f"Undefined variable ${name}, referenced from the definition of ${variable.name} "
                    f"({variable.values})",
                    variable.entry,
                )
        if variable.master and variable.master not in iterators:
            raise _located(
                f"Undefined variable ${variable.master}, referenced from the definition of ${variable.name} "
                "as parallel variable",
                variable.entry,
            )


def _nesting_order(variables: Sequence[IterationVariable], entry: Entry | None) -> list[str]:
    """Return all variables in the wanted order: those that are not listed stand in for the asterisk."""
    known = {variable.name: None for variable in variables}
    listed = [name.strip(SPACE) for name in entry.value.split(",")] if entry and entry.value.strip(SPACE) else []
    for name in listed:
        if name != "*" and name not in known:
            raise _located(
                f"Undefined variable ${name} specified as part of the iteration variable nesting order", entry
            )
    if listed.count("*") > 1:
        raise _located("Iteration variable nesting order may only contain one '*'", entry)
    if len(set(listed)) < len(listed):
        # OMNeT++ 6.1 goes on with two loops over one variable, and then beyond the end of its list of loops.
        raise _located("Iteration variable nesting order names a variable twice", entry)
    place = listed.index("*") if "*" in listed else len(listed)
    return [*listed[:place], *(name for name in known if name not in listed), *listed[place + 1 :]]


def _loop_order(
    names: list[str],
    variables: Sequence[IterationVariable],
    iterators: dict[str, ValueIterator],
    nesting_order: Entry | None,
) -> list[str]:
    """Move variables inwards until each comes after those that it refers to.

    OMNeT++ takes the first variable that refers to none of the remaining ones, again and again.
    """
    index_of = {name: index for index, name in enumerate(names)}
    dependents: dict[str, list[str]] = {name: [] for name in names}
    waiting_for: dict[str, int] = {}
    for variable in variables:
        needed = set(iterators[variable.name].references) | ({variable.master} if variable.master else set())
        waiting_for[variable.name] = len(needed)
        for name in needed:
            dependents[name].append(variable.name)
    ready = [index_of[name] for name in names if not waiting_for[name]]
    heapq.heapify(ready)
    order: list[str] = []
    while ready:
        name = names[heapq.heappop(ready)]
        order.append(name)
        for dependent in dependents[name]:
            waiting_for[dependent] -= 1
            if not waiting_for[dependent]:
                heapq.heappush(ready, index_of[dependent])
    if len(order) < len(names):
        stuck = next(variable for variable in variables if waiting_for[variable.name])
        raise _located("Cycle detected in iteration variable references", stuck.entry or nesting_order)
    return order


def _located(message: str, entry: Entry | None, advice: str = "") -> IniError:
    return IniError(
        message, file=entry.file if entry else None, line=entry.line if entry and entry.line else None, advice=advice
    )
