"""Collect the runs of an ini file, and as many empty items of a bare plugin, in turn.

Prints the ratio for 10,000 runs and how the cost grows with the number of runs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from measure import in_turn, median_ratio, median_wall

BARE_PLUGIN = """\
import pytest


class Empty(pytest.Item):
    def runtest(self):
        pass


class EmptyFile(pytest.File):
    def collect(self):
        for number in range(int(self.path.read_text())):
            yield Empty.from_parent(self, name=f"empty{number}")


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".empty":
        return EmptyFile.from_parent(parent, path=file_path)
"""

INI_FILE = """\
[General]
network = Net
sim-time-limit = 1s
repeat = 10
*.a = ${{a=1..{outer}}}
*.b = ${{b=1..10}}
constraint = $a > 0 || $b > 0
"""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="counted pairs per size (default: 5)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 3000, 10000, 30000], help="numbers of runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "bare_plugin.py").write_text(BARE_PLUGIN)
        print("median wall seconds of `pytest --co -q`")
        print(f"{'runs':>7} {'bare plugin':>12} {'pytest-oppcloud':>16} {'ratio':>7}")
        for size in options.sizes:
            (folder / "items.empty").write_text(str(size))
            (folder / "omnetpp.ini").write_text(INI_FILE.format(outer=size // 100))
            pytest = [sys.executable, "-m", "pytest", "--co", "-q", "-p", "no:cacheprovider"]
            samples = in_turn(
                {
                    "bare": [*pytest, "-p", "no:oppsim", "-p", "no:oppcloud", "-p", "bare_plugin", "items.empty"],
                    "ours": [*pytest, "--opp-all", "omnetpp.ini"],
                },
                folder,
                options.rounds,
            )
            bare, ours = samples["bare"], samples["ours"]
            ratio = median_ratio(ours, bare)
            print(f"{size:>7} {median_wall(bare):>12.2f} {median_wall(ours):>16.2f} {ratio:>7.2f}")


if __name__ == "__main__":
    main()
