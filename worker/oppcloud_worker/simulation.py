"""The only place where a simulation is started.

Standard library only. Both the local executor and the job function of a worker call `execute`.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import machine
from .checking import MAX_FILES
from .console import Console
from .judging import VOLATILE_ATTRIBUTES, judge
from .messages import Cause, ResultFile, RunOutcome, RunRequest
from .supervision import GuardianLostError, Program, Stop, guardian

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .account import Account
    from .judging import Judgement

__all__ = ["PYTHON", "RESULTS", "STDERR", "STDOUT", "Stop", "execute"]

#: What stands for the result folder in arguments: `--output-scalar-file={results}/run.sca`. With a dollar sign in
#: front it is OMNeT++'s own notation for a variable and stays.
RESULTS = "{results}"
#: As a word of the program: the interpreter of whoever executes the request.
PYTHON = "{python}"  # no f-string: it is written so in requests
#: Where the dynamic loader looks first.
_LOADER_PATH = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
_RESULTS = re.compile(r"(?<!\$)\{results\}")
#: Names in the directory of a run.
STDOUT = "stdout.txt"
STDERR = "stderr.txt"


def execute(  # noqa: PLR0913  # one task, eight things to say about it
    request: RunRequest,
    directory: Path,
    *,
    content: Path | None = None,
    environment: Mapping[str, str] | None = None,
    confined: bool = False,
    account: Account | None = None,
    stop: Stop | None = None,
    on_output: Callable[[bytes], None] | None = None,
) -> RunOutcome:
    """Run one simulation to its end and tell how it ended.

    The command is the request's program and arguments, then `--fingerprint=` if one is asked for, then
    `--result-dir=`; `{results}` in an argument stands for that folder, too. Whatever goes wrong with the simulation
    or its processes is told by the outcome's cause; no process of it is left when this returns or raises.

    :param directory: The run's own directory, which is made if need be and must be empty. Afterwards it holds
        stdout.txt, stderr.txt and the folder `results`.
    :param content: Root of the unpacked content, if the request's directory is relative to one.
    :param environment: Variables to start from; this process's own by default.
    :param confined: Whether it gets no more rights than it begins with; for runs that others ask for.
    :param account: Whom it runs as, instead of ourselves; it must be able to enter `directory`.
    :param stop: A switch that ends the run (cause `STOPPED`) when it is thrown, also before the start.
    :param on_output: Called with each piece of standard output as it comes.
    :raises FileExistsError: if `directory` is not empty: what lies there would be taken for results.
    """
    directory = directory.absolute()
    results = directory / "results"
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise FileExistsError(f"the directory of a run must be empty: {directory}")
    results.mkdir()
    if account is not None:
        account.own(results)
    place = Path(request.directory) if content is None else content / request.directory
    command = _command(request, results)
    made_with = this_machine() | ({"product": request.product} if request.product else {})
    blank = RunOutcome(
        cause=Cause.WORKER_BROKEN, command=command, host=machine.name(), directory=str(directory), provenance=made_with
    )
    if not place.is_absolute():
        return replace(
            blank, cause=Cause.REQUEST_DAMAGED, message=f"the working directory {place} is relative, but to nothing"
        )
    if stop is not None and stop.is_set():
        return replace(blank, cause=Cause.STOPPED, message="stopped before the start")
    stdout = Console(directory / STDOUT, request.limits.output)
    stderr = Console(directory / STDERR, request.limits.output, after_end=False)

    def take_output(data: bytes) -> None:
        stdout.feed(data)
        if on_output is not None:
            on_output(data)

    try:
        with guardian() as lent:
            end = lent.run(
                Program(
                    command=command,
                    directory=place,
                    environment={
                        **_with_libraries(request, content, os.environ if environment is None else environment),
                        **({} if account is None else account.environment),
                        **request.environment,
                    },
                    limits=request.limits,
                    confined=confined,
                    account=account,
                ),
                on_stdout=take_output,
                on_stderr=stderr.feed,
                stop=stop,
            )
    except GuardianLostError as error:
        return replace(blank, cause=Cause.WORKER_LOST, message=str(error), files=tuple(files_of(directory)))
    finally:
        stdout.close()
        stderr.close()
    return replace(
        _judged(blank, judge(request, end, stdout, stderr, results), results),
        exit_code=end.exit_code,
        provenance=made_with | ({"omnetpp": stdout.version} if stdout.version else {}),
        wall_time=end.wall_time,
        cpu_time=end.cpu_time,
        peak_memory=end.peak_memory,
        stdout=stdout.tail,
        stderr=stderr.tail,
        files=tuple(files_of(directory)),
    )


def _judged(blank: RunOutcome, judgement: Judgement, results: Path) -> RunOutcome:
    """Return `blank` with what the run's output and its result files say; of the folder of these, only that it is it.

    `**.log = "${resultdir}/log.txt"` has another value in each run, and means the same.
    """
    end, verdict, record = judgement.end, judgement.verdict, judgement.record
    attributes = {} if record is None else record.attributes
    return replace(
        blank,
        cause=judgement.cause,
        message=judgement.message,
        end_line="" if end is None else end.line,
        events=None if end is None else end.event,
        sim_time="" if end is None else end.time,
        fingerprint_verdict="" if verdict is None else "verified" if verdict.verified else "mismatch",
        values=judgement.fingerprints
        + tuple(
            replace(value, value=value.value.replace(str(results), RESULTS)) if value.kind == "par" else value
            for value in (() if record is None else record.values)
        ),
        attributes={key: value for key, value in attributes.items() if key not in VOLATILE_ATTRIBUTES},
    )


def _command(request: RunRequest, results: Path) -> tuple[str, ...]:
    """Return the whole command line; options that are repeated count where they stand last."""
    arguments = [_RESULTS.sub(lambda _: str(results), argument) for argument in request.arguments]
    if request.fingerprint is not None:
        arguments.append(f"--fingerprint={request.fingerprint}")
    program = [sys.executable if word == PYTHON else word for word in request.program]
    return (*program, *arguments, f"--result-dir={results}")


def _with_libraries(request: RunRequest, content: Path | None, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return variables that have the loader look into the content first.

    Programs that `opp_makemake` links look for libraries of their own project at the place where they were built, and
    before that where the loader is told to (ld.so(8): LD_LIBRARY_PATH comes before DT_RUNPATH).
    """
    if content is None or not request.libraries:
        return environment
    own = [str(content / folder) for folder in request.libraries]
    return {**environment, _LOADER_PATH: os.pathsep.join([*own, *filter(None, [environment.get(_LOADER_PATH)])])}


def files_of(directory: Path) -> Iterator[ResultFile]:
    """Give the regular files of a run, in the order of their names."""
    for count, path in enumerate(sorted(directory.rglob("*"))):
        if count == MAX_FILES:
            return
        information = path.lstat()
        if stat.S_ISREG(information.st_mode):
            yield ResultFile(path=path.relative_to(directory).as_posix(), size=information.st_size)


def this_machine() -> dict[str, str]:
    """Return what is known of the machine that the simulation runs on."""
    return {"platform": _platform()}


@functools.cache
def _platform() -> str:
    """Return system, machine and C library: "Linux x86_64 glibc 2.36"."""
    library = ""
    if sys.platform == "linux":
        try:
            library = os.confstr("CS_GNU_LIBC_VERSION") or ""
        except (OSError, ValueError):
            # Another C library (musl), which does not know the question.
            library = "other libc"
    elif sys.platform == "darwin":
        library = f"macOS {platform.mac_ver()[0]}"
    return " ".join(filter(None, (platform.system(), platform.machine(), library)))
