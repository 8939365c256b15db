"""From a run to the request that has it simulated.

Decides the command line. What could alter a recorded value or a fingerprint is put there only together with a line in
the run's `settings`, which stand in its baseline. Pure: no pytest, nothing is started.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from oppcloud_worker.messages import Limits, RunRequest
from oppcloud_worker.simulation import PYTHON, RESULTS

from .comparison import same_fingerprint
from .inifile.expressions import ExpressionError, quantity
from .project import UNLIMITED, Program, RunSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_oppcloud.runs import Run

#: Options for a run that nobody looks at; none of them touches what is simulated or recorded.
_QUIET = (
    ("cmdenv-express-mode", "true"),
    ("cmdenv-interactive", "false"),
    ("cmdenv-redirect-output", "false"),
)
#: Effective options that stand in a baseline, because they decide the recorded values.
DECISIVE_OPTIONS = (
    "fingerprintcalculator-class",
    "num-rngs",
    "output-scalar-precision",
    "rng-class",
    "sim-time-limit",
    "simtime-resolution",
    "warmup-period",
)
#: Where an ini file names files of its own, they are put into the result folder of the run instead, which the worker
#: puts for `{results}`.
_RESULT_FILES = {
    "eventlog-file": f"{RESULTS}/run.elog",
    "output-scalar-file": f"{RESULTS}/run.sca",
    "output-vector-file": f"{RESULTS}/run.vec",
    "snapshot-file": f"{RESULTS}/run.sna",
}
#: Result files tell all entries, by which the worker knows them for those of the run, whatever the ini file says; what
#: OMNeT++ would refuse is left to it (src/envir/resultfileutils.cc).
_CONFIG_RECORDING = "config-recording"
_CONFIG_RECORDINGS = frozenset({"all", "none", "config", "params", "essentials", "globalconfig"})
DEFAULT_INGREDIENTS = "tplx"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What is decided for all runs of a config, from settings and options."""

    ini_file: Path
    program: Program
    settings: RunSettings
    #: Overrides as on OMNeT++'s command line: those among the project's arguments, then the user's (`--opp-set`).
    overrides: tuple[tuple[str, str], ...] = ()
    #: Seconds of wall-clock time, 0 for no limit.
    timeout: float = 0.0
    #: Limit that takes the place of the ini file's own; "" leaves that.
    sim_time_limit: str = ""


def ingredients(plan: RunPlan, run: Run) -> tuple[str, ...]:
    """Return the fingerprints to compute: those of the settings, else of the ini file, else OMNeT++'s default."""
    chosen = plan.settings.check_fingerprints
    if chosen is None:
        chosen = tuple(filter(None, _named_ingredients(run)))
    return tuple(dict.fromkeys((*chosen, *filter(None, own_fingerprints(run)))))


def own_fingerprints(run: Run) -> dict[str, tuple[str, ...]]:
    """Return what the ini file itself expects: accepted values by ingredients.

    The grammar is that of `--fingerprint`: a comma between fingerprints, all of which must be met, a blank between
    accepted values (OMNeT++ 6.1 src/sim/cfingerprint.cc). Values without ingredients have those of
    `fingerprint-ingredients` at their place; where it has none, "" stands for them, and OMNeT++ calculates zero. What
    nothing can meet is given as one text that is no fingerprint: two different ones of the same ingredients, and
    values of one fingerprint that do not agree about its ingredients, which OMNeT++ refuses.
    """
    named = _named_ingredients(run)
    expected: dict[str, tuple[str, ...]] = {}
    for index, one in enumerate(part for part in run.string("fingerprint").split(",") if part):
        words = [word.partition("/") for word in one.split() or ["' '"]]
        values = tuple(value for value, _, _ in words)
        suffixes = [letters for _, _, letters in words]
        letters = next(filter(None, suffixes), named[index] if index < len(named) else "")
        if len(set(filter(None, suffixes))) > 1:
            values = (one.strip(),)
        if letters in expected:
            before = expected[letters]
            both = tuple(value for value in before if any(same_fingerprint(value, other) for other in values))
            values = both or (f"{' or '.join(before)} and {' or '.join(values)}",)
        if letters or not any(same_fingerprint(value, "0") for value in values):
            expected[letters] = values
    return expected


def _named_ingredients(run: Run) -> list[str]:
    return [part.strip() for part in (run.string("fingerprint-ingredients") or DEFAULT_INGREDIENTS).split(",")]


def fingerprint_option(names: tuple[str, ...], expected: Mapping[str, str]) -> str | None:
    """Return the value of `--fingerprint`; `expected` has the accepted values (blank between) by ingredients.

    Where none is known, OMNeT++ is asked for zero, which makes it tell what it calculated.
    """
    parts = [" ".join(f"{value}/{name}" for value in (expected.get(name) or "0000-0000").split()) for name in names]
    return ",".join(parts) or None


def command_line_entries(plan: RunPlan, run: Run) -> dict[str, str]:
    """Return the ini entries that stand on the command line, fingerprints apart: later ones win."""
    entries = dict(_QUIET)
    if not plan.settings.check_vectors and not any("v" in name for name in ingredients(plan, run)):
        entries["**.vector-recording"] = "false"
    if plan.sim_time_limit not in {"", UNLIMITED}:
        entries["sim-time-limit"] = plan.sim_time_limit
    entries.update(plan.overrides)
    named = {key for key, _ in run.entries}
    if _CONFIG_RECORDING in named and set((run.option(_CONFIG_RECORDING) or "").split()) <= _CONFIG_RECORDINGS:
        entries[_CONFIG_RECORDING] = "all"
    return entries | {name: file for name, file in _RESULT_FILES.items() if name in named}


def decisive_settings(plan: RunPlan, run: Run) -> dict[str, str]:
    """Return the settings that decide what is recorded: they stand in the baseline and must be equal."""
    settings = {name: value.strip('"') for name in DECISIVE_OPTIONS if (value := run.option(name)) is not None}
    quiet = dict(_QUIET)
    for key, value in command_line_entries(plan, run).items():
        if quiet.get(key) != value and key not in {"fingerprint", _CONFIG_RECORDING, *_RESULT_FILES}:
            settings[key] = value  # noqa: PERF403  # a comprehension would hide the condition
    settings.setdefault("sim-time-limit", UNLIMITED)
    return dict(sorted(settings.items()))


def simulated_seconds(plan: RunPlan, run: Run) -> float | None:
    """Return the simulated time after which the run ends, in seconds; None where nothing tells."""
    # As `command_line_entries` has it, without the rest of it: there may be ten thousand runs.
    decided = dict(plan.overrides).get("sim-time-limit") or plan.sim_time_limit.replace(UNLIMITED, "")
    text = decided or run.option("sim-time-limit")
    return _seconds(text) if text else None


@lru_cache(maxsize=1000)
def _seconds(text: str) -> float | None:
    try:
        return max(0.0, quantity(text))
    except ExpressionError:
        return None


def build_request(plan: RunPlan, run: Run, *, name: str, expected_fingerprints: Mapping[str, str]) -> RunRequest:
    """Return the request for a run; paths in it are relative to the ini file's folder, its working directory."""
    entries = command_line_entries(plan, run)
    entries.pop("fingerprint", None)
    fingerprint = fingerprint_option(ingredients(plan, run), expected_fingerprints)
    arguments = [
        *plan.settings.other_arguments,
        "-u",
        "Cmdenv",
        "-f",
        plan.ini_file.name,
        "-c",
        run.config,
        "-r",
        str(run.number),
    ]
    ned_path = _ned_path(plan, run)
    if ned_path:
        arguments += ["-n", ned_path]
    arguments += [f"--{key}={value}" for key, value in entries.items()]
    # `run.entries` begins with the overrides that the reader was given: OMNeT++ sorts all of the command line.
    own = len(dict(plan.overrides))
    keys = sorted([*entries, *(["fingerprint"] if fingerprint else [])])
    keys += (key for key, _ in run.entries[own:])
    settings = plan.settings
    return RunRequest(
        name=name,
        program=plan.program.words,
        arguments=tuple(arguments),
        directory=str(plan.ini_file.parent),
        config=run.config,
        run_number=run.number,
        repetition=run.repetition,
        itervars=dict(run.itervars),
        config_keys=tuple(keys),
        fingerprint=fingerprint,
        environment=settings.environment,
        limits=limits_of(plan),
    )


def limits_of(plan: RunPlan) -> Limits:
    """Return the limits of one simulation."""
    settings = plan.settings
    given = {
        "cpu_time": settings.limits_cpu_time,
        "memory": settings.limits_memory,
        "file_size": settings.limits_file_size,
        "output": settings.limits_output,
    }
    return replace(Limits(timeout=plan.timeout), **{name: value for name, value in given.items() if value is not None})


def _ned_path(plan: RunPlan, run: Run) -> str:
    if not plan.program.ned_path:
        # OMNeT++'s own default is the working directory, unless an ini file or the environment says otherwise.
        return "" if run.option("ned-path") else "."
    return ":".join(plan.program.ned_path)


def plain_command(request: RunRequest, *, python: str = sys.executable) -> str:
    """Return the request as a line for a shell, as one would start the simulation by hand (with this `python`)."""
    program = [python if word == PYTHON else word for word in request.program]
    words = [*program, *(word for word in request.arguments if RESULTS not in word)]
    if request.fingerprint:
        words.append(f"--fingerprint={request.fingerprint}")
    assignments = [f"{name}={shlex.quote(value)}" for name, value in request.environment.items()]
    return " ".join(["cd", shlex.quote(request.directory), "&&", *assignments, shlex.join(words)])
