"""What `opp_run` prints when it is asked about an ini file: by ourselves, and by itself."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

from pytest_oppcloud.errors import IniError
from pytest_oppcloud.inifile import IniContents, read_ini
from pytest_oppcloud.runs import count_runs, expand

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Our own words, for inputs at which OMNeT++ 6.1 reads beyond the end of something, or crashes.
UNDEFINED_BEHAVIOUR: Final = (
    "Missing '}' for '${'",
    "names a variable twice",
    "A list of values without a name",
    "Integer division by zero",
    "does not survive",
)


class OppRunCrashedError(Exception):
    """OMNeT++ itself did not survive the input, or did not come to an end."""


def ask_opp_run(opp_run: str, words: Sequence[str], file: str = "omnetpp.ini") -> str:
    """Return what `opp_run` prints about an ini file in the current folder; raise `OppRunCrashedError`."""
    command = [opp_run, "-s", "-f", file, *words]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    except subprocess.TimeoutExpired as error:
        raise OppRunCrashedError from error
    if done.returncode not in {0, 1} or b"Stack trace" in done.stdout + done.stderr:
        raise OppRunCrashedError
    return (done.stdout + done.stderr).decode("utf-8", "surrogateescape")


def answer(words: Sequence[str], file: str = "omnetpp.ini") -> str:
    """Return what `opp_run -s -f FILE` would print about an ini file in the current folder.

    `words` are -c, -r, -q or -e with their values, -a, and --key=value.
    """
    options = {word: value for word, value in zip(words, [*words[1:], ""], strict=True) if len(word) == 2}
    overrides = [word[2:].partition("=") for word in words if word.startswith("--")]
    output: list[str] = []
    try:
        ini = read_ini(file, overrides=[(key, value) for key, _, value in overrides])
        if "-a" in options:
            _all(ini, output)
        elif options.get("-q") == "sectioninheritance":
            chain = ini.chain(options["-c"])
            output.extend(f"{'' if name == 'General' else 'Config '}{name}\n" for name in chain)
        else:
            _runs(ini, options, output)
    except IniError as error:
        output.append(f"\n<!> Error: {error.message}\n")
    return "".join(output)


def _all(ini: IniContents, output: list[str]) -> None:
    for name in ini.config_names:
        output.append(f"Config {name}: ")
        output.append(f"{count_runs(ini, name)}\n")


def _runs(ini: IniContents, options: dict[str, str], output: list[str]) -> None:
    runs = expand(ini, options["-c"], options.get("-r", ""))
    query = options.get("-q", "")
    if query == "numruns":
        output.append(f"{len(runs)}\n")
    elif query == "runnumbers":
        output.append("".join(f" {run.number}" for run in runs) + "\n")
    elif "-e" in options:
        output.append(f"{runs[0].option(options['-e']) or ''}\n")
    for run in runs if query in {"runs", "rundetails", "runconfig"} else ():
        output.append(f"Run {run.number}: {run.summary}\n")
        if query == "runconfig":
            output.extend(f"\t{key} = {value}\n" for key, value in run.entries)
        elif query == "rundetails":
            details = "".join(f"{key} = {value}\n" for key, value in run.details)
            output.append(("\t" if details else "") + details[:-1].replace("\n", "\n\t") + details[-1:])
        if query != "runs" and run.number != runs[-1].number:
            output.append("\n")
