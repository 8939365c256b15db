"""How busy the queue keeps its slots: runs of a second each, many times the slots, through pytest and `xargs -P`.

The simulation sleeps, so that more slots than cores can be measured: what is left is what the harness adds between one
run and the next. Two sizes are measured, so that the cost per session does not count. The second part queues runs of
very different lengths, and tells what the order of the ini file and the order of what was seen make of them.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Sample, in_turn, median_wall, run

EXAMPLES = Path(__file__).resolve().parents[1] / "example_sims"
MODEL = """\
import sys, time
sys.path.insert(0, {examples!r})
from engine import Parameter, SimpleModule, main

class Sleeper(SimpleModule):
    parameters = (Parameter("pause", "double"),)

    def initialize(self):
        time.sleep(self.par("pause"))

    def handle_message(self, message):
        pass

if __name__ == "__main__":
    raise SystemExit(main(Sleeper))
"""
EVEN = """\
[General]
network = Sleeper
sim-time-limit = 1s
repeat = {runs}
**.pause = 1
"""
#: Three long runs that come last, as `opp_run` numbers them.
UNEVEN = """\
[General]
network = Sleeper
sim-time-limit = 1s
**.pause = ${{p=0.5 .. {short} step 0.001, 8, 8.001, 8.002}}
"""
_SHARE = re.compile(r"\((\d+)% of the slots' time")


def prepare(folder: Path) -> None:
    """Write the model into `folder`."""
    (folder / "sleeper.py").write_text(MODEL.format(examples=str(EXAMPLES)))
    (folder / "oppcloud.toml").write_text('program = "{python} sleeper.py"\n[files]\ninclude = ["*.py", "*.ini"]\n')


def commands(slots: int, runs: int) -> dict[str, list[str]]:
    """Return the two ways to run everything."""
    words = f"{sys.executable} sleeper.py -s -u Cmdenv -r {{}} --result-dir=/tmp/oppcloud-bench-$$"
    line = f"{words} > /dev/null; rm -r /tmp/oppcloud-bench-$$"
    return {
        "xargs": ["sh", "-c", f"seq 0 {runs - 1} | xargs -P{slots} -I{{}} sh -c '{line}'"],
        "pytest": [
            *[sys.executable, "-m", "pytest", "-q", "--opp-all", "--oppcloud", f"--oppcloud-workers={slots}"],
            "omnetpp.ini",
        ],
    }


def share(command: list[str], folder: Path) -> int:
    """Run pytest once; return the percentage of the slots' time that it tells itself."""
    # With -q there is no summary.
    command = [word for word in command if word != "-q"]
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    match = _SHARE.search(process.stdout)
    if match is None:
        raise RuntimeError(process.stdout[-2000:])
    return int(match[1])


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds per size (default: 3)")
    parser.add_argument("--slots", type=int, default=4, help="default: 4")
    parser.add_argument("--sizes", type=int, nargs=2, default=[20, 120], help="two numbers of runs (default: 20 120)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        results = {size: measure(folder, options.slots, size, options.rounds) for size in options.sizes}
        small, large = sorted(results)
        beyond = {
            way: median_wall(results[large][way]) - median_wall(results[small][way]) for way in ("xargs", "pytest")
        }
        print(f"{large - small} runs of a second on {options.slots} slots, beyond the first {small}:")
        print(f"  {beyond['xargs']:.2f} s with xargs, {beyond['pytest']:.2f} s with pytest --oppcloud")
        print(f"  efficiency: {beyond['xargs'] / beyond['pytest']:.1%}")
        print(f"  as pytest tells it: {share(commands(options.slots, large)['pytest'], folder)}% of the slots' time")
        uneven(folder, options.slots)


def measure(folder: Path, slots: int, size: int, rounds: int) -> dict[str, list[Sample]]:
    """Measure both ways to run `size` runs."""
    (folder / "omnetpp.ini").write_text(EVEN.format(runs=size))
    shutil.rmtree(folder / "baselines", ignore_errors=True)
    ways = commands(slots, size)
    # The baselines that all others compare with.
    run([*ways["pytest"], "--opp-update-baselines=all"], folder)
    return in_turn(ways, folder, rounds)


def uneven(folder: Path, slots: int) -> None:
    """Tell what it is worth to know which runs are long."""
    runs = 8 * slots
    (folder / "omnetpp.ini").write_text(UNEVEN.format(short=0.5 + (runs - 1) / 1000))
    shutil.rmtree(folder / "baselines", ignore_errors=True)
    shutil.rmtree(folder / ".pytest_cache", ignore_errors=True)
    command = commands(slots, runs)["pytest"]
    run([*command, "--opp-update-baselines=all"], folder)
    shutil.rmtree(folder / ".pytest_cache")
    print(f"{runs} runs of half a second and 3 of eight seconds, which stand last, on {slots} slots:")
    print(f"  nothing known of them: {share(command, folder)}% of the slots' time")
    print(f"  the second time:       {share(command, folder)}%")


if __name__ == "__main__":
    main()
