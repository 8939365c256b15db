"""Configurations of ini files become runs, exactly as OMNeT++ makes them.

    ini = read_ini("omnetpp.ini")
    for run in expand(ini, "Experiment", "$load > 0.5"):
        print(run.number, run.itervars, run.repetition, run.option("sim-time-limit"))

The modules, each depending on those before it: `lists`, `placeholders` (`${...}`), `conditions`, `values` (of one
variable), `scenario` (the loops), `itervars`, `filenames`, `plan` (what all runs share), `run`, `selection`
(run filters), `expansion`. Nothing here knows pytest.
"""

from __future__ import annotations

from .expansion import count_runs, expand
from .run import Run, Runs
from .selection import check_filter

__all__ = ["Run", "Runs", "check_filter", "count_runs", "expand"]
