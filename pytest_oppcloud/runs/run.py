"""One run of a configuration, and all of them.

A run holds little more than its number; everything that can be told of it is computed when it is asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, overload

from pytest_oppcloud.errors import IniError
from pytest_oppcloud.inifile.expressions import ExpressionError, as_string, evaluate

from .itervars import PREDEFINED, REPETITION
from .placeholders import PlaceholderError

if TYPE_CHECKING:
    from .plan import Plan
    from .scenario import Values


class Run:
    """One run: what OMNeT++ starts with `-c CONFIG -r NUMBER`."""

    __slots__ = ("__dict__", "_plan", "_runs", "_values", "number")

    def __init__(self, runs: Runs, number: int, values: Values) -> None:
        self._runs = runs
        self._plan = runs.plan
        self._values = values
        #: The run number, counted from 0 over all runs of the configuration.
        self.number = number

    def __repr__(self) -> str:
        return f"<Run {self.config} {self.number}: {self.summary}>"

    @property
    def config(self) -> str:
        """The name of the configuration."""
        return self._plan.config

    @property
    def repetition(self) -> int:
        """Which repetition of the same iteration variables this is, counted from 0."""
        return int(float(self._values[self._plan.repetition_index]))

    @property
    def itervars(self) -> dict[str, str]:
        """The iteration variables in the order of the loops, unnamed ones as "0", "1", ..., without the repetition."""
        plan = self._plan
        values = dict(zip(plan.names, self._values, strict=True))
        del values[REPETITION]
        return values

    @property
    def summary(self) -> str:
        """All iteration variables in the order of the loops, as `opp_run -q runs` prints them."""
        return ", ".join(f"${name}={value}" for name, value in zip(self._plan.names, self._values, strict=True))

    @property
    def iterationvarsf(self) -> str:
        """OMNeT++'s ${iterationvarsf}: "numHosts=10,iaMean=1-", the stem of its result files, "" without variables."""
        return self._plan.iterationvars(self._values)[1]

    @property
    def occurrence(self) -> int:
        """Which of the runs with the same iteration variables and repetition this is, counted from 1."""
        return self._runs.occurrences.get(self.number, 1)

    @functools.cached_property
    def all_variables(self) -> Mapping[str, str]:
        """The predefined variables and the iteration variables."""
        return self._plan.variables(self.number, self._values)

    @property
    def variables(self) -> dict[str, str]:
        """The predefined variables; runid, processid and datetime are those of this process, not of a simulation."""
        return {name: self.all_variables[name] for name in PREDEFINED}

    @functools.cached_property
    def entries(self) -> tuple[tuple[str, str], ...]:
        """Key and value of all entries, in the order in which they count, as `opp_run -q runconfig` lists them.

        Raise `IniError` where OMNeT++ fails to activate the run: a key that is no pattern, an override that refers
        to a variable that does not exist.
        """
        return tuple((key, self._value(index)) for index, (key, _, _) in enumerate(self._plan.active))

    @property
    def details(self) -> tuple[tuple[str, str], ...]:
        """Key and value of the entries with variables in them, as `opp_run -q rundetails` lists them."""
        return tuple(
            (item.entry.key, item.template.fill(self.all_variables))
            for item in self._plan.entries
            if item.template.names
        )

    def option(self, name: str) -> str | None:
        """Return what holds for an option: the first entry that sets it, or else OMNeT++'s default, or None.

        The text is raw: "2*5s" stays that, and a string keeps its quotes.
        """
        index = self._plan.lookup.option(name)
        return self._default(name) if index is None else self._value(index)

    def string(self, name: str) -> str:
        """Return what holds for an option that is a text, "" for none: with quotes around it, it is an expression.

        Where that expression is wrong, so that OMNeT++ refuses to simulate, return it as it is written.
        """
        text = self.option(name) or ""
        try:
            return as_string(evaluate(text)) if text.startswith('"') else text
        except ExpressionError:
            return text

    def parameter(self, path: str, *, has_default: bool = True) -> str | None:
        """Return what is set for the parameter with that full path, or None.

        The value "default" counts only if the parameter has a default value.
        """
        owner, _, name = path.rpartition(".")
        values = (self._value(index) for index in self._plan.lookup.parameter(owner, name))
        return next((value for value in values if has_default or value != "default"), None)

    def object_option(self, path: str, name: str) -> str | None:
        """Return what holds for a per-object option of the object with that full path, or None."""
        index = self._plan.lookup.per_object(path, name)
        return self._default(name) if index is None else self._value(index)

    def _value(self, index: int) -> str:
        template = self._plan.active[index][1]
        if not template.names:
            return template.texts[0]
        try:
            return template.fill(self.all_variables)
        except PlaceholderError as error:
            raise IniError(str(error)) from error

    def _default(self, name: str) -> str | None:
        option = self._plan.ini.options.find(name)
        if option is None or option.default is None:
            return None
        return self._plan.template(option.default).fill(self.all_variables)


class Runs(Sequence[Run]):
    """Runs of one configuration: all of them, or those that a filter selects, in its order."""

    def __init__(self, plan: Plan, tuples: Sequence[Values], numbers: Sequence[int]) -> None:
        """Make the selection `numbers` of all runs, whose values are `tuples`."""
        self.plan = plan
        self._tuples = tuples
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> Runs: ...
    def __getitem__(self, index: int | slice) -> Run | Runs:
        if isinstance(index, slice):
            return Runs(self.plan, self._tuples, self._numbers[index])
        number = self._numbers[index]
        return Run(self, number, self._tuples[number])

    def __iter__(self) -> Iterator[Run]:
        tuples = self._tuples
        return (Run(self, number, tuples[number]) for number in self._numbers)

    @property
    def names(self) -> tuple[str, ...]:
        """The iteration variables and the repetition in the order of the loops, outermost first."""
        return self.plan.names

    @functools.cached_property
    def occurrences(self) -> dict[int, int]:
        """Tell for runs that repeat the values of earlier ones which of them they are; the first ones are left out."""
        if len(set(self._tuples)) == len(self._tuples):
            return {}
        seen: dict[Values, int] = {}
        later: dict[int, int] = {}
        for number, values in enumerate(self._tuples):
            seen[values] = seen.get(values, 0) + 1
            if seen[values] > 1:
                later[number] = seen[values]
        return later
