"""`oppcloud runs`: the configurations of an ini file and their runs, as a table or as JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_oppcloud.errors import IniError
from pytest_oppcloud.inifile import IniContents, read_ini
from pytest_oppcloud.runs import Run, Runs, expand

from .runs_arguments import RunsArguments, parse_runs_arguments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_USAGE: Final = """\
usage: oppcloud runs [options] [-f] FILE.ini [[-f] FILE.ini ...] [--KEY=VALUE ...]

Print the runs that the configurations expand to, as opp_run would make them.

  -c CONFIG              only this configuration
  -r FILTER              only these runs: "0..4,9" or "$load > 0.5 && $repetition == 0"
  --KEY=VALUE            an entry that goes before those of the files, as on OMNeT++'s command line
  --extra-options NAMES  options that model libraries register (separated by commas)
  --omnetpp VERSION      whose rules to follow: 6.0, 6.1 (default) or 6.2
  --json                 everything that is known, as JSON"""

#: The options whose effective values the JSON tells.
_OPTIONS: Final = (
    "network",
    "description",
    "repeat",
    "sim-time-limit",
    "warmup-period",
    "seed-set",
    "num-rngs",
    "result-dir",
    "output-scalar-file",
    "output-vector-file",
    "eventlog-file",
    "snapshot-file",
    "cmdenv-output-file",
    "experiment-label",
    "measurement-label",
    "replication-label",
)
#: Variables that tell of a process, not of a run.
_VOLATILE: Final = frozenset({"runid", "processid", "datetime", "datetimef"})


def runs_command(given: Sequence[str]) -> int:
    """Do what the command line says; return the exit code."""
    arguments = parse_runs_arguments(given)
    if arguments.help:
        print(_USAGE)
        return 0
    try:
        ini = read_ini(
            arguments.files[0],
            more=[_found(file, arguments.files[0]) for file in arguments.files[1:]],
            overrides=arguments.overrides,
            extra_options=arguments.extra_options,
            version=arguments.version,
        )
        if arguments.config is not None:
            ini.chain(arguments.config)  # there must be one
    except IniError as error:
        if arguments.json:
            _print_json_error(error)
        else:
            _report(error)
        return 1
    names = ini.config_names if arguments.config is None else (arguments.config,)
    expansions = _expansions(ini, names, arguments)
    return _print_json(ini, expansions) if arguments.json else _print_table(expansions)


def _found(file: str, first: str) -> str:
    """Return the path of a further ini file: OMNeT++ would be started in the folder of the first."""
    beside = Path(first).parent / file
    return str(beside) if not Path(file).exists() and beside.exists() else file


def _expansions(
    ini: IniContents, names: Iterable[str], arguments: RunsArguments
) -> Iterator[tuple[str, Runs | IniError]]:
    for name in names:
        yield name, _expansion(ini, name, arguments.run_filter)


def _expansion(ini: IniContents, name: str, run_filter: str) -> Runs | IniError:
    try:
        return expand(ini, name, run_filter)
    except IniError as error:
        return error


# -- the table ------------------------------------------------------------------------------------------------------


def _print_table(expansions: Iterable[tuple[str, Runs | IniError]]) -> int:
    rows: list[tuple[str, str, str, str]] = []
    errors: list[IniError] = []
    for name, runs in expansions:
        if isinstance(runs, IniError):
            errors.append(runs)
            rows.append((name, "-", "(error)", ""))
        elif not runs:
            rows.append((name, "-", "(no runs)", ""))
        else:
            rows.extend((name, str(run.number), _itervars(run), str(run.repetition)) for run in runs)
    headings = ("config", "run", "iteration variables", "repetition")
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(3)]
    for row in (headings, *rows):
        name, number, itervars, repetition = map(_printable, row)
        print(f"{name:<{widths[0]}}  {number:>{widths[1]}}  {itervars:<{widths[2]}}  {repetition}".rstrip())
    for error in errors:
        _report(error)
    return 1 if errors else 0


def _itervars(run: Run) -> str:
    return _printable(", ".join(f"{name}={value}" for name, value in run.itervars.items()))


def _printable(text: str) -> str:
    """Return `text` on one line, with escapes for what no terminal can show."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _report(error: IniError) -> None:
    for line in str(error).splitlines():
        print(_printable(line), file=sys.stderr)


# -- JSON -----------------------------------------------------------------------------------------------------------


def _print_json(ini: IniContents, expansions: Iterable[tuple[str, Runs | IniError]]) -> int:
    """Write run by run, so that a large study does not have to fit the memory as text."""
    from json import dumps  # noqa: PLC0415  # the table needs none

    write = sys.stdout.write
    failed = False
    write('{"error": null, "configs": [')
    separator = "\n"
    for name, runs in expansions:
        config = ini.config(name)
        head: dict[str, object] = {
            "name": name,
            "error": None,
            "description": None if config.description_error else config.description,
            "abstract": None if config.abstract_error else config.abstract,
            "extends": config.extends,
            "chain": config.chain,
            "file": config.file,
            "line": config.line,
        }
        if isinstance(runs, IniError):
            failed = True
            write(separator + dumps({**head, **_error_fields(runs), "runs": []}))
        else:
            head["nesting"] = runs.names
            write(f'{separator}{dumps(head)[:-1]}, "runs": [')
            inner = "\n "
            for run in runs:
                write(inner + dumps(_run_fields(run)))
                inner = ",\n "
            write("]}")
        separator = ",\n"
    write("\n]}\n")
    return 1 if failed else 0


def _print_json_error(error: IniError) -> None:
    from json import dumps  # noqa: PLC0415  # the table needs none

    print(dumps({**_error_fields(error), "configs": []}))


def _error_fields(error: IniError) -> dict[str, object]:
    return {
        "error": error.message,
        "error_file": error.file,
        "error_line": error.line,
        "error_advice": error.advice or None,
    }


def _run_fields(run: Run) -> dict[str, object]:
    fields: dict[str, object] = {
        "number": run.number,
        "itervars": run.itervars,
        "repetition": run.repetition,
        "occurrence": run.occurrence,
        "summary": f"Run {run.number}: {run.summary}",
        "vars": {name: value for name, value in run.variables.items() if name not in _VOLATILE},
        "details": "".join(f"{key} = {value}\n" for key, value in run.details),
    }
    try:
        fields["entries"] = run.entries
        fields["options"] = {name: run.option(name) or "" for name in _OPTIONS}
    except IniError as error:
        fields["activate_error"] = error.message
    return fields
