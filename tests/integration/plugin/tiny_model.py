"""A program that speaks OMNeT++'s command line: what it does, the parameters in its ini file say.

`Tiny.do` is "work" (the default), "error", "crash", "ask", "leave" (no end line), "wait" (until it is killed) or
"recover PATH" (an error, unless PATH is there; it is, the next time). `Tiny.value` is what its scalar is; at `Tiny.log`
it notes that it ran.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from pathlib import Path

from pytest_oppcloud.inifile import read_ini
from pytest_oppcloud.runs import Run, expand

ATTRIBUTES = [
    "configname",
    "datetime",
    "datetimef",
    "experiment",
    "inifile",
    "iterationvars",
    "iterationvarsd",
    "iterationvarsf",
    "measurement",
    "network",
    "processid",
    "repetition",
    "replication",
    "resultdir",
    "runnumber",
    "seedset",
]


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main(words: list[str]) -> int:
    chosen = {"-f": "omnetpp.ini", "-c": "General", "-r": "0"}
    entries = []
    rest = iter(words)
    for word in rest:
        if word.startswith("--"):
            key, _, value = word[2:].partition("=")
            entries.append((key, value))
        elif word.startswith("-"):
            chosen[word] = next(rest)
    run = expand(read_ini(Path(chosen["-f"]), overrides=entries), chosen["-c"])[int(chosen["-r"])]
    say("OMNeT++ Discrete Event Simulation")
    say("Version: 6.1, build: tiny, edition: Academic Public License -- NOT FOR COMMERCIAL USE")
    say(f"Preparing for running configuration {run.config}, run #{run.number}...")
    return simulate(run)


def simulate(run: Run) -> int:
    deed, _, place = (run.parameter("Tiny.do") or '"work"').strip('"').partition(" ")
    log = (run.parameter("Tiny.log") or "").strip('"')
    if log:
        with Path(log).open("a") as file:
            file.write(f"{run.config} {run.variables['iterationvarsf']}#{run.repetition}\n")
    if deed == "recover" and not Path(place).exists():
        Path(place).touch()
        deed = "error"
    if deed == "error":
        sys.stderr.write("\n<!> Error: Something is wrong -- in module (Tiny) Tiny (id=1), at t=1s, event #7\n")
        return 1
    if deed == "ask":
        sys.stderr.write("\n<!> Error: The simulation attempted to prompt for user input\n")
        return 1
    if deed == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if deed == "leave":
        return 0
    if deed == "wait":
        (Path.cwd() / "waiting").write_text(str(os.getpid()))
        while True:
            time.sleep(60)
    value = run.parameter("Tiny.value") or "1"
    record(run, value)
    limit = run.option("sim-time-limit")
    ends = (
        f"Simulation time limit reached -- at t={limit}" if limit else "No more events, simulation completed -- at t=1s"
    )
    say(f"\n<!> {ends}, event #7")
    say(f"\nCalling finish() at end of Run #{run.number}...\n")
    tell_fingerprint(run, f"{value} {run.repetition}")
    say("\nEnd.")
    return 0


def record(run: Run, value: str) -> None:
    folder = Path((run.option("result-dir") or "results").strip('"'))
    file = next((item for key, item in run.entries if key == "output-scalar-file"), "")
    path = Path(file.strip('"')) if file else folder / f"{run.config}.sca"
    lines = ["version 3", f"run {run.variables['runid']}"]
    lines += [f"attr {name} {quoted(run.variables[name])}" for name in ATTRIBUTES]
    lines += [f"itervar {quoted(name)} {quoted(item)}" for name, item in run.itervars.items()]
    lines += [f"config {quoted(key)} {quoted(item)}" for key, item in run.entries]
    lines += [
        "",
        f"par Tiny value {quoted(value)}",
        f"scalar Tiny value {value}",
        f"scalar Tiny twice {2 * float(value):g}",
        "",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def quoted(word: str) -> str:
    return word if word and not set(word) & set(' "\\') else '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def tell_fingerprint(run: Run, state: str) -> None:
    expected = run.option("fingerprint")
    if not expected:
        return
    calculated, fits = [], True
    for one in expected.strip('"').split(","):
        choices = [choice.partition("/") for choice in one.split()]
        letters = choices[0][2] or "tplx"
        digits = hashlib.sha256(f"{state} {letters}".encode()).hexdigest()
        calculated.append(f"{digits[:4]}-{digits[4:8]}/{letters}")
        fits = fits and f"{digits[:4]}-{digits[4:8]}" in {value for value, _, _ in choices}
    if fits:
        say(f"<!> Fingerprint successfully verified: {', '.join(calculated)}")
    else:
        say(f"<!> Fingerprint mismatch! calculated: {', '.join(calculated)}, expected: {expected}")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
