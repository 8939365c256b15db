"""What the harness adds to a campaign: the same runs through pytest and through `xargs -P`.

The campaign is a study of tiny runs of the example `mm1`: its C++ model where `opp_makemake` is on the PATH, else its
Python program. Two sizes are measured, so that the cost per session and the cost per run can be told apart. Where
`opp_runall` is on the PATH, OMNeT++'s own tool is measured beside.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from measure import Sample, in_turn, median_cpu, median_ratio, median_wall

EXAMPLES = Path(__file__).resolve().parents[1] / "example_sims"
INI_FILE = """\
[General]
network = {network}
sim-time-limit = 10s
repeat = {runs}
**.source.interArrivalTime = exponential(2s)
**.queue.serviceTime = exponential(1s)
**.vector-recording = false
"""


@dataclass(frozen=True)
class Campaign:
    """The model that is run."""

    folder: Path
    #: The words that start it there.
    program: list[str]
    network: str
    cores: int


def prepare(folder: Path, cores: int) -> Campaign:
    """Copy the example into `folder` and build it if possible."""
    ignore = shutil.ignore_patterns("baselines", "results", "out", "Makefile", "__pycache__")
    shutil.copytree(EXAMPLES, folder / "example_sims", ignore=ignore)
    model = folder / "example_sims" / "mm1"
    if shutil.which("opp_makemake"):
        for command in (["opp_makemake", "-f", "-o", "mm1"], ["make", "MODE=release"]):
            subprocess.run(command, cwd=model, check=True, capture_output=True)
        program = ["./mm1"]
    else:
        program = [sys.executable, "mm1.py"]
    return Campaign(folder=model, program=program, network=network_of(model), cores=cores)


def network_of(model: Path) -> str:
    """Return the network that the example's own ini file names."""
    lines = (model / "omnetpp.ini").read_text().splitlines()
    return next(line.partition("=")[2].strip() for line in lines if line.startswith("network"))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds per size (default: 3)")
    parser.add_argument("--sizes", type=int, nargs=2, default=[20, 200], help="two numbers of runs (default: 20 200)")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as name:
        campaign = prepare(Path(name), cores)
        print(f"program: {' '.join(campaign.program)}, {cores} cores; median wall seconds (CPU seconds)")
        results = {size: measure(campaign, size, options.rounds) for size in options.sizes}
    report(results)


def measure(campaign: Campaign, size: int, rounds: int) -> dict[str, list[Sample]]:
    """Measure all ways to run `size` runs."""
    model, cores = campaign.folder, campaign.cores
    (model / "omnetpp.ini").write_text(INI_FILE.format(network=campaign.network, runs=size))
    shutil.rmtree(model / "baselines", ignore_errors=True)
    words = " ".join(campaign.program)
    line = f"{words} -s -u Cmdenv -r {{}} --result-dir=/tmp/oppcloud-bench-$$ > /dev/null; rm -r /tmp/oppcloud-bench-$$"
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--opp-all", "omnetpp.ini"]
    # The baselines that all pytest commands compare with.
    subprocess.run([*pytest, "--opp-update-baselines=all"], cwd=model, check=True, capture_output=True)
    commands = {
        f"xargs -P{cores}": ["sh", "-c", f"seq 0 {size - 1} | xargs -P{cores} -I{{}} sh -c '{line}'"],
        "pytest --oppcloud": [*pytest, "--oppcloud"],
        f"pytest -n {cores}": [*pytest, "-n", str(cores)],
        "xargs -P1": ["sh", "-c", f"seq 0 {size - 1} | xargs -P1 -I{{}} sh -c '{line}'"],
        "pytest": pytest,
    }
    if shutil.which("opp_runall") and campaign.program == ["./mm1"]:
        commands["opp_runall"] = ["opp_runall", f"-j{cores}", "-b1", "./mm1", "--result-dir=/tmp/oppcloud-bench-all"]
    return in_turn(commands, model, rounds)


def report(results: dict[int, dict[str, list[Sample]]]) -> None:
    """Print a table, and for each way the cost per session and per run beyond its floor."""
    small, large = sorted(results)
    for name in results[large]:
        floor = "xargs -P1" if name == "pytest" else next(iter(results[large]))
        beyond = {size: median_wall(samples[name]) - median_wall(samples[floor]) for size, samples in results.items()}
        per_run = (beyond[large] - beyond[small]) / (large - small)
        fixed = beyond[small] - per_run * small
        walls = "   ".join(
            f"{size} runs: {median_wall(results[size][name]):6.2f} ({median_cpu(results[size][name]):6.2f})"
            for size in (small, large)
        )
        ratio = median_ratio(results[large][name], results[large][floor])
        print(f"{name:<18} {walls}   {ratio:5.2f} of {floor}, +{fixed:.2f} s, +{1000 * per_run:.1f} ms a run")


if __name__ == "__main__":
    main()
