"""From a configuration to its runs, with OMNeT++'s words for everything that may go wrong on the way.

`opp_run` first counts the runs, in the default order of the loops, and then makes them (6.1, src/envir/envirbase.cc,
printRunInfo); which error is reported, and with which prefix, follows from that.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from pytest_oppcloud.errors import IniError

from .itervars import Collected, collect
from .plan import Plan
from .run import Runs
from .scenario import MAX_RUNS, Scenario, Values
from .selection import is_number_list, matching, numbers_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_oppcloud.inifile import IniContents


def expand(ini: IniContents, config: str, run_filter: str = "") -> Runs:
    """Return the runs of a configuration, or those that `run_filter`, OMNeT++'s `-r`, selects.

    Raise `IniError` with OMNeT++'s words if the configuration cannot be expanded: what `opp_run -c CONFIG -q runs`
    says.
    """
    collected = collect(ini, ini.chain(config))
    if not is_number_list(run_filter):
        plan, tuples = _make_runs(ini, config, collected, None)
        return Runs(plan, tuples, matching(run_filter, plan, tuples))
    tuples = _counted(ini, config, collected)
    numbers = numbers_of(run_filter, len(tuples))
    # In the default order of the loops the runs need not be made a second time.
    in_default_order = ini.find(ini.chain(config), "iteration-nesting-order") is None
    plan, tuples = _make_runs(ini, config, collected, tuples if in_default_order else None)
    return Runs(plan, tuples, numbers)


def count_runs(ini: IniContents, config: str) -> int:
    """Return the number of runs of a configuration, as `opp_run -a` tells it.

    Fewer things can go wrong than in `expand`: no variables are computed. Raise `IniError` with OMNeT++'s words.
    """
    return len(_counted(ini, config, collect(ini, ini.chain(config))))


def _counted(ini: IniContents, config: str, collected: Collected) -> Sequence[Values]:
    """Return the values of all runs in the default order of the loops."""
    try:
        scenario = Scenario(collected.variables, ini.find(ini.chain(config), "constraint"), None)
        tuples, mistake = _tuples(scenario)
        if mistake is not None:
            raise mistake
    except IniError as error:
        raise _prefixed(error, f"Could not compute number of runs in config {config}: ") from error
    return tuples


def _make_runs(
    ini: IniContents, config: str, collected: Collected, known: Sequence[Values] | None
) -> tuple[Plan, Sequence[Values]]:
    """Return the values of all runs, `known` ones or new ones, after having checked the variables of each."""
    chain = ini.chain(config)
    try:
        scenario = Scenario(
            collected.variables, ini.find(chain, "constraint"), ini.find(chain, "iteration-nesting-order")
        )
        plan = Plan(ini, config, collected, scenario.names)
        mistake = None
        if known is None:
            known, mistake = _tuples(scenario)
        checked = known if plan.differs_in_success else known[:1]
        for number, values in enumerate(checked):
            plan.check(number, values)
        if mistake is not None:
            raise mistake
    except IniError as error:
        raise _prefixed(error, "Scenario generator: ") from error
    return plan, known


def _tuples(scenario: Scenario) -> tuple[Sequence[Values], IniError | None]:
    """Return the values of all runs, or those up to a mistake, and that."""
    tuples: list[Values] = []
    try:
        count = scenario.run_count()
        if count is None or count <= MAX_RUNS:
            tuples.extend(itertools.islice(scenario.tuples(), MAX_RUNS + 1))
            count = len(tuples)
        if count > MAX_RUNS:
            return tuples, IniError("Are you sure you want to generate more than one million runs?")
    except IniError as error:
        return tuples, error
    return tuples, None


def _prefixed(error: IniError, prefix: str) -> IniError:
    return IniError(prefix + error.message, file=error.file, line=error.line, advice=error.advice)
