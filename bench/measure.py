"""Time commands in turn and tell their ratio; shared by the benchmarks."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """What one execution of a command took."""

    #: Seconds from start to end.
    wall: float
    #: CPU seconds of the command and everything it waited for.
    cpu: float


def run(command: list[str], directory: Path, environment: dict[str, str] | None = None) -> Sample:
    """Run `command` in `directory`; raise `RuntimeError` with its output if it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Where it is set, Python compiles every module anew at each start, which is not what users have.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    process = subprocess.run(
        command,
        cwd=directory,
        env={**inherited, **(environment or {})},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != 0:
        output = "\n".join((process.stdout + process.stderr).splitlines()[-30:])
        raise RuntimeError(f"{' '.join(command)} ended with exit code {process.returncode}\n{output}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sample(wall=wall, cpu=cpu)


def in_turn(commands: dict[str, list[str]], directory: Path, rounds: int) -> dict[str, list[Sample]]:
    """Run all commands `rounds` times, one after the other in each round, after one round that does not count."""
    samples: dict[str, list[Sample]] = {name: [] for name in commands}
    for count in range(rounds + 1):
        for name, command in commands.items():
            sample = run(command, directory)
            if count:
                samples[name].append(sample)
    return samples


def median_ratio(samples: list[Sample], reference: list[Sample]) -> float:
    """Return the median of the wall-clock ratios, pair by pair."""
    return statistics.median(a.wall / b.wall for a, b in zip(samples, reference, strict=True))


def median_wall(samples: list[Sample]) -> float:
    """Return the median wall-clock time in seconds."""
    return statistics.median(sample.wall for sample in samples)


def median_cpu(samples: list[Sample]) -> float:
    """Return the median CPU time in seconds."""
    return statistics.median(sample.cpu for sample in samples)
