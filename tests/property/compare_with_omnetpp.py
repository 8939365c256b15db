"""Expand generated ini files by ourselves and by a real `opp_run`, and report where the two disagree.

usage: python tests/property/compare_with_omnetpp.py [--count N] [--seed N] [--show N]

Every file of a project is asked for its configurations, their runs, the entries of the runs, their fallback chains,
some run filters and some command lines, all texts and errors exactly. `opp_run` (6.1) must be on the PATH. Inputs at
which it crashes are counted; for those it is enough that we answer. The last line reads
"N ini files, M runs, K disagreements"; the exit code is 1 if K is not 0.
"""

# ruff: noqa: T201  # a script that reports
from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.property.ini_generator import GeneratedIni, generate
from tests.property.opp_run_answers import UNDEFINED_BEHAVIOUR, OppRunCrashedError, answer, ask_opp_run
from tests.property.working_folder import inside

if TYPE_CHECKING:
    from collections.abc import Sequence

_RUN_LINE = re.compile("^Run [0-9]+: ", re.MULTILINE)


@dataclass(slots=True)
class Tally:
    """What came out so far."""

    files: int = 0
    runs: int = 0
    crashes: int = 0
    disagreements: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and report; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="how many projects (default 1000)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--show", type=int, default=5, help="how many disagreements to show (default 5)")
    options = parser.parse_args(arguments)
    opp_run = shutil.which("opp_run")
    if opp_run is None:
        parser.error("opp_run is not on the PATH")
    tally = compare_generated(opp_run, range(options.seed, options.seed + options.count))
    for text in tally.disagreements[: options.show]:
        print(text)
    if tally.crashes:
        print(f"{tally.crashes} questions at which opp_run crashed")
    print(f"{tally.files} ini files, {tally.runs} runs, {len(tally.disagreements)} disagreements")
    return 1 if tally.disagreements else 0


def compare_generated(opp_run: str, seeds: Sequence[int]) -> Tally:
    """Compare the projects of the seeds."""
    tally = Tally()
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="oppcloud-compare-") as folder, inside(Path(folder)):
            case = generate(seed)
            case.write()
            compare_case(opp_run, case, tally)
    return tally


def compare_case(opp_run: str, case: GeneratedIni, tally: Tally) -> None:
    """Ask both about the project in the current folder."""
    tally.files += 1
    # The latter two follow from the first two but for their form.
    queries = ["runs", "runconfig", "rundetails", "sectioninheritance"][: 4 if case.seed % 4 == 0 else 2]
    for config in case.configs:
        for query in queries:
            _compare(opp_run, case, tally, ["-c", config, "-q", query])
    _compare(opp_run, case, tally, ["-a"])
    for config, run_filter in case.filters:
        _compare(opp_run, case, tally, ["-c", config, "-q", "runs", "-r", run_filter])
    for config, overrides in case.overrides:
        words = [f"--{key}={value}" for key, value in overrides]
        for query in ("runs", "runconfig"):
            _compare(opp_run, case, tally, ["-c", config, "-q", query, *words])


def _compare(opp_run: str, case: GeneratedIni, tally: Tally, words: list[str]) -> None:
    ours = answer(words)
    try:
        theirs = ask_opp_run(opp_run, words)
    except OppRunCrashedError:
        tally.crashes += 1
        return
    if "runs" in words:
        tally.runs += len(_RUN_LINE.findall(theirs))
    if ours != theirs and not any(text in ours for text in UNDEFINED_BEHAVIOUR):
        shown = (f"     {label}: {text!r}" for label, text in (("ours", ours), ("opp_run", theirs)))
        tally.disagreements.append("\n".join([f"seed {case.seed}, {words}:", *shown]))


if __name__ == "__main__":
    sys.exit(main())
