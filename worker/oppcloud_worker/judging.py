"""How a run ended: exit code, console output and result files together.

Standard library only; reads the result files, starts nothing. A run is completed only if the process ended with
OMNeT++'s exit code for it, OMNeT++'s end line came, the result file is whole and is the one of this very run, and the
fingerprints asked for were answered. Everything else has a cause of its own; see `messages.Cause`.

What a model can forge: it runs inside the process and may print every line that OMNeT++ prints. So lines that
contradict each other are never believed, neither is a result file without its last line, nor an output that ends
before OMNeT++'s own last word. A model that takes over the whole process could still lie; that is not prevented here.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .messages import Cause, Limits, RecordedValue, RunRequest
from .results import ResultError, RunRecord, read_results

if TYPE_CHECKING:
    from pathlib import Path

    from .console import Console, EndLine, FingerprintVerdict
    from .supervision import ProcessEnd, Trouble

#: Run attributes that tell when, where and by which process, and so differ from run to run.
VOLATILE_ATTRIBUTES = frozenset({"datetime", "datetimef", "processid", "resultdir"})

_SIM_TIME_OVER = "Simulation time limit reached"
_RUN_LIMITS = ("CPU time limit reached", "Realtime limit reached")
_SIGNALLED = "SIGINT or SIGTERM received, exiting"
_INTERRUPTED = "Scheduler interrupted while waiting"
#: Errors that say that there is nothing to run, or that a value is left for others to set, in OMNeT++'s words
#: (src/cmdenv/cmdenv.cc, src/sim/csimulation.cc, src/sim/netbuilder/cnednetworkbuilder.cc).
_NOT_RUNNABLE = re.compile(
    r"The simulation attempted to prompt for user input"
    r"|No network specified \(missing or empty network= configuration option\)"
    r"|Cannot set up network: '.*' is not a network type"
    r"|Unable to determine type name for (?:submodule|channel)\b.*[Mm]issing (?:config )?entry .* and no default value"
)
_OUT_OF_MEMORY = re.compile(r"std::bad_alloc|^MemoryError\b|Cannot allocate memory", re.MULTILINE)
_OUT_OF_SPACE = re.compile(r"No space left on device|File too large|Disk quota exceeded")
#: What the dynamic loaders of Linux and macOS print.
_LOADER = re.compile(
    r".*(?:error while loading shared libraries|symbol lookup error|Library not loaded|Symbol not found).*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is to be told about the end of a run."""

    cause: Cause
    message: str = ""
    end: EndLine | None = None
    verdict: FingerprintVerdict | None = None
    record: RunRecord | None = None
    #: The fingerprints as recorded values.
    fingerprints: tuple[RecordedValue, ...] = ()


class _RedError(Exception):
    """The run is not completed."""

    def __init__(self, cause: Cause, message: str) -> None:
        self.cause = cause
        self.message = message
        super().__init__(message)


def judge(request: RunRequest, end: ProcessEnd, stdout: Console, stderr: Console, results: Path) -> Judgement:
    """Return how the run ended; `results` is the folder that it alone wrote its result files to."""
    if end.trouble is not None:
        return _never_started(request, end.trouble)
    end_lines = stdout.end_lines
    last = end_lines[-1] if end_lines else None
    # OMNeT++ 7.0 tells a mismatch as an error; otherwise standard error is no place for verdicts.
    verdicts = [*stdout.verdicts, *(stderr.verdicts if end.exit_code else [])]
    try:
        _check_signals(request, end, stdout, stderr)
        _check_exit(end, stdout, stderr, last)
        _check_end(stdout, end_lines)
        record = _only_record(results)
        _check_record(request, record, results)
        verdict, fingerprints = _check_fingerprint(request, verdicts)
    except _RedError as red:
        return Judgement(cause=red.cause, message=red.message, end=last, record=_any_record(red.cause, results))
    return Judgement(cause=Cause.COMPLETED, end=last, verdict=verdict, record=record, fingerprints=fingerprints)


def _never_started(request: RunRequest, trouble: Trouble) -> Judgement:
    if trouble.phase == "program":
        return Judgement(
            cause=Cause.PROGRAM_MISSING,
            message=f"{request.program[0]} cannot be executed in {request.directory}: {trouble.text}",
        )
    if trouble.phase == "directory":
        message = f"the working directory {request.directory} cannot be entered: {trouble.text}"
        return Judgement(cause=Cause.REQUEST_DAMAGED, message=message)
    return Judgement(cause=Cause.WORKER_BROKEN, message=f"the process could not be set up: {trouble.text}")


def _check_signals(request: RunRequest, end: ProcessEnd, stdout: Console, stderr: Console) -> None:
    """Raise if the process was ended by us, by a limit or by a signal."""
    where = f"; last seen at {stdout.last_status}" if stdout.last_status else ""
    if end.ended_by == "stop":
        raise _RedError(Cause.STOPPED, f"stopped after {end.wall_time:.1f} s{where}")
    _check_tree(request.limits, end.ended_by)
    if end.ended_by == "timeout":
        raise _RedError(Cause.TIMEOUT, f"no end within {request.limits.timeout:g} s{where}")
    if end.exit_code is None:
        raise _RedError(Cause.WORKER_BROKEN, "the process would not die")
    number = -end.exit_code if end.exit_code < 0 else 0
    if not number:
        return
    limit = request.limits.cpu_time
    if limit and (number == signal.SIGXCPU or (number == signal.SIGKILL and end.cpu_time >= limit)):
        raise _RedError(Cause.TIMEOUT, f"no end within {limit} s of CPU time{where}")
    if number == signal.SIGKILL and end.out_of_memory:
        raise _RedError(Cause.OUT_OF_MEMORY, f"killed by the kernel for want of memory{where}")
    _check_memory(stderr)
    if number == signal.SIGXFSZ:
        raise _RedError(Cause.OUT_OF_SPACE, f"a file grew beyond {request.limits.file_size} bytes{where}")
    loader = _LOADER.search(stderr.text[:4000])
    if number == signal.SIGABRT and loader and not stdout.size:
        raise _RedError(Cause.PROGRAM_MISSING, loader[0])
    raise _RedError(Cause.CRASH, f"ended by {_signal_name(number)}{where}")


def _check_tree(limits: Limits, ended_by: str) -> None:
    """Raise if all its processes together used too much."""
    if ended_by == "processes":
        raise _RedError(Cause.OUT_OF_SPACE, f"it had more than the {limits.processes} processes that are allowed")
    if ended_by == "tree_memory":
        raise _RedError(
            Cause.OUT_OF_MEMORY, f"its processes took more than the {limits.tree_memory} bytes of memory allowed"
        )


def _check_exit(end: ProcessEnd, stdout: Console, stderr: Console, last: EndLine | None) -> None:
    """Raise for every exit code but 0, and for errors that were told in spite of a 0."""
    # With `-m` and for errors in the options, OMNeT++ tells them on standard output.
    errors = stderr.errors or (stdout.errors if end.exit_code else [])
    if last is not None and end.exit_code == 1 and len(errors) == 1 and errors[0].startswith("Fingerprint mismatch!"):
        # OMNeT++ 7.0: a run that is complete but for its fingerprints.
        return
    if errors:
        raise _error_told(errors)
    if end.exit_code:
        _check_memory(stderr)
        raise _silent_exit(end.exit_code, stderr, last)


def _error_told(errors: list[str]) -> _RedError:
    """Return what errors in OMNeT++'s words mean."""
    text = "\n".join(dict.fromkeys(errors))
    if _OUT_OF_MEMORY.search(text):
        return _RedError(Cause.OUT_OF_MEMORY, text)
    if _OUT_OF_SPACE.search(text):
        return _RedError(Cause.OUT_OF_SPACE, text)
    if all(map(_NOT_RUNNABLE.match, errors)):
        return _RedError(Cause.NOT_RUNNABLE, text)
    if errors[0].startswith("Cannot load library '"):
        return _RedError(Cause.PROGRAM_MISSING, text)
    return _RedError(Cause.MODEL_ERROR, text)


def _silent_exit(code: int, stderr: Console, last: EndLine | None) -> _RedError:
    """Return what an exit code means that OMNeT++ told no error for."""
    if code in {126, 127} and last is None:
        # As a shell and the dynamic loader of Linux tell it.
        return _RedError(Cause.PROGRAM_MISSING, f"exit code {code}, as of a missing program{_last_words(stderr)}")
    if last is not None and last.text == _SIGNALLED:
        return _RedError(Cause.CRASH, f"ended by a signal that we did not send: {last.line}")
    if code > 128 and last is None and code - 128 in set(signal.valid_signals()):
        return _RedError(Cause.CRASH, f"exit code {code}, as a shell tells {_signal_name(code - 128)}")
    if _OUT_OF_SPACE.search(stderr.tail):
        return _RedError(Cause.OUT_OF_SPACE, f"exit code {code}{_last_words(stderr)}")
    return _RedError(Cause.NO_END, f"exit code {code} without a word of OMNeT++ about it{_last_words(stderr)}")


def _check_memory(stderr: Console) -> None:
    match = _OUT_OF_MEMORY.search(stderr.text)
    if match:
        line = stderr.text[match.start() :].partition("\n")[0]
        raise _RedError(Cause.OUT_OF_MEMORY, line)


def _check_end(stdout: Console, end_lines: list[EndLine]) -> None:
    """Raise unless the output tells one end, and a good one."""
    if stdout.overflowing:
        raise _RedError(Cause.MODEL_ERROR, "the model prints lines like OMNeT++'s own, too many to tell them apart")
    different = {end.line for end in end_lines}
    if not different:
        raise _RedError(Cause.NO_END, f"exit code 0, but OMNeT++ told no end of the simulation{_last_words(stdout)}")
    if len(different) > 1:
        lines = "\n".join(sorted(different))
        raise _RedError(Cause.MODEL_ERROR, f"the output tells several ends, some of them the model's own:\n{lines}")
    end = end_lines[0]
    if end.text in _RUN_LIMITS:
        raise _RedError(Cause.TIME_LIMIT_REACHED, f"{end.line}: its results are those of a random moment")
    if end.text in {_SIGNALLED, _INTERRUPTED}:
        raise _RedError(Cause.CRASH, f"ended by a signal that we did not send: {end.line}")
    if stdout.is_verbose and not stdout.has_last_word:
        raise _RedError(Cause.NO_END, "exit code 0, but the process ended before OMNeT++ said 'End.'")


def _only_record(results: Path) -> RunRecord:
    """Return the one run that the result files hold."""
    files = sorted(results.rglob("*.sca"))
    if not files:
        raise _RedError(Cause.RESULT_DAMAGED, f"the run completed, but there is no .sca file in {results}")
    try:
        records = [record for file in files for record in read_results(file)]
    except (ResultError, OSError) as error:
        raise _RedError(Cause.RESULT_DAMAGED, str(error)) from error
    if len(records) != 1:
        runs = ", ".join(record.run_id for record in records)
        raise _RedError(Cause.RESULT_DAMAGED, f"the result files hold {len(records)} runs instead of one: {runs}")
    return records[0]


def _any_record(cause: Cause, results: Path) -> RunRecord | None:
    """Return what a run of a legal but unwanted end recorded, for people to look at."""
    if cause is not Cause.TIME_LIMIT_REACHED:
        return None
    try:
        return _only_record(results)
    except _RedError:
        return None


def _check_record(request: RunRequest, record: RunRecord, results: Path) -> None:
    """Raise unless the record is that of the run that was asked for."""
    wanted = {
        "configname": request.config,
        "runnumber": str(request.run_number),
        "repetition": str(request.repetition),
    }
    # With `runnumber-width`, there are zeros in front.
    told = {**record.attributes, "runnumber": record.attributes["runnumber"].lstrip("0") or "0"}
    for name, value in wanted.items():
        if told[name] != value:
            raise _wrong_run(f"{name} {told[name]!r} instead of {value!r}")
    itervars = {**_unnamed(request, record), **record.itervars}
    if itervars != dict(request.itervars):
        raise _wrong_run(f"iteration variables {itervars} instead of {dict(request.itervars)}")
    if request.config_keys is not None:
        _check_config(request, request.config_keys, record, results)


def _unnamed(request: RunRequest, record: RunRecord) -> dict[str, str]:
    """Return the variables without a name ("0", "1", ...), of which OMNeT++ writes no `itervar` line.

    `SectionBasedConfiguration::getIterationVariableNames` skips them (OMNeT++ 6.1 src/envir/sectionbasedconfig.cc);
    the attribute `iterationvars` has all, in the order of the loops, which requests need not keep.
    """
    expected = ", ".join(f"${name}={value}" for name, value in request.itervars.items())
    if sorted(record.attributes.get("iterationvars", "").split(", ")) != sorted(expected.split(", ")):
        return {}
    return {name: value for name, value in request.itervars.items() if name.isascii() and name.isdigit()}


def _check_config(request: RunRequest, keys: tuple[str, ...], record: RunRecord, results: Path) -> None:
    """Raise unless the configuration lines are those expected, and that of the result folder."""
    found = list(record.config)
    own = ("result-dir", str(results))
    if own in found:
        found.remove(own)
    elif keys:
        raise _wrong_run(f"no line 'config {own[0]}' tells {own[1]}")
    found_keys = tuple(key for key, _ in found)
    if found_keys != keys:
        missing = [key for key in keys if key not in found_keys]
        unknown = [key for key in found_keys if key not in keys]
        difference = (
            f"{missing[0]!r} is missing"
            if missing
            else f"{unknown[0]!r} was not expected"
            if unknown
            else f"there are {len(found_keys)} instead of {len(keys)}, or they come in another order"
        )
        raise _wrong_run(f"of its configuration keys, {difference}")
    if request.fingerprint is not None and "fingerprint" in keys and ("fingerprint", request.fingerprint) not in found:
        raise _wrong_run(f"no line 'config fingerprint' tells {request.fingerprint}")


def _wrong_run(message: str) -> _RedError:
    return _RedError(Cause.RESULT_DAMAGED, f"the result file is not that of this run: {message}")


def _check_fingerprint(
    request: RunRequest, verdicts: list[FingerprintVerdict]
) -> tuple[FingerprintVerdict | None, tuple[RecordedValue, ...]]:
    """Return OMNeT++'s verdict and the fingerprints; raise unless they answer what was asked for."""
    if request.fingerprint is None:
        return None, ()
    if not verdicts:
        raise _RedError(Cause.RESULT_DAMAGED, "a fingerprint was asked for, but OMNeT++ told none")
    if len(set(verdicts)) > 1:
        raise _RedError(
            Cause.MODEL_ERROR, f"the output tells {len(set(verdicts))} fingerprint verdicts, some the model's own"
        )
    verdict = verdicts[0]
    wanted = [[_split(choice) for choice in item.split()] for item in request.fingerprint.split(",")]
    found = [_split(item) for item in verdict.calculated]
    told = ", ".join(verdict.calculated)
    if len(found) != len(wanted) or any(
        choices and choices[0][1] not in {"", ingredients}
        for (_, ingredients), choices in zip(found, wanted, strict=False)
    ):
        raise _RedError(Cause.MODEL_ERROR, f"the fingerprints told ({told}) are not those that were asked for")
    fits = all(value in {choice for choice, _ in choices} for (value, _), choices in zip(found, wanted, strict=True))
    if fits != verdict.verified:
        raise _RedError(Cause.MODEL_ERROR, f"the fingerprint verdict does not fit the fingerprints it tells ({told})")
    values = tuple(
        RecordedValue(kind="fingerprint", module="", name=ingredients, value=value) for value, ingredients in found
    )
    return verdict, values


def _split(item: str) -> tuple[str, str]:
    """Return value and ingredients of "0617-2d8e/tplx"; the value as OMNeT++ prints it, whatever its form was."""
    value, _, ingredients = item.strip().partition("/")
    digits = value.replace("-", "").replace(":", "")
    if re.fullmatch(r"[0-9A-Fa-f]{1,8}", digits):
        digits = f"{int(digits, 16):08x}"
        value = f"{digits[:4]}-{digits[4:]}"
    return value, ingredients


def _last_words(console: Console) -> str:
    lines = console.text.removesuffix("\nEnd.\n").rstrip().splitlines()
    return f"; its last words: {lines[-1][:200]}" if lines else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
