"""The examples' C++ models under a real OMNeT++ against their Python programs on the embedded engine.

Everything that a run leaves behind must be the same: the scalar file but for the lines that tell when and where it was
made, the fingerprints, the end lines, the errors, the exit code.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

pytestmark = [
    pytest.mark.omnetpp,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("opp_run") is None, reason="no OMNeT++ here (opp_run on the PATH)"),
]

EXAMPLES = Path(__file__).parents[2] / "example_sims"
MODELS = ("mm1", "aloha", "ring")

#: All ingredients that the engine serves, in several orders.
FINGERPRINTS = "0/tplx,0/sz,0/enckima,0/r,0/txlp0tp,0/yf"
#: Lines of a scalar file that tell when, where and by which process it was made.
_VOLATILE = re.compile(r"run |attr (?:datetimef?|processid|resultdir) |config result-dir ")
#: Parts of the console output that differ from run to run, or from program to program.
_NOISE = re.compile(r"^(?:     |\*\* Event).*\n", re.MULTILINE)
#: OMNeT++ tells where a parameter's value was set, the engine does not.
_PLACE = re.compile(r" -- at <commandline>")


@dataclass(frozen=True, slots=True)
class Left:
    """What a call of a simulation program left behind."""

    code: int
    stdout: str
    stderr: str
    #: The lines that are no noise, by file name.
    files: dict[str, list[str]]


def call(program: Sequence[str], folder: Path, results: Path, options: Sequence[str]) -> Left:
    """Run a simulation program into a folder of its own."""
    shutil.rmtree(results, ignore_errors=True)
    done = subprocess.run(
        [*program, "-u", "Cmdenv", "-s", f"--result-dir={results}", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    files = {
        path.name: [line for line in path.read_text().splitlines() if not _VOLATILE.match(line)]
        for path in sorted(results.glob("*.sca"))
    }
    return Left(done.returncode, _NOISE.sub("", done.stdout), _PLACE.sub("", done.stderr), files)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build the C++ models outside of the project; return their programs."""
    top = tmp_path_factory.mktemp("built")
    programs = {}
    for model in MODELS:
        folder = top / model
        folder.mkdir()
        for path in (EXAMPLES / model).iterdir():
            if path.suffix in {".cc", ".ned", ".ini"}:
                shutil.copy(path, folder)
        for command in ("opp_makemake -f --deep", "make MODE=release"):
            subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
        programs[model] = folder / model
    return programs


@pytest.fixture
def compare(built: dict[str, Path], tmp_path: Path) -> Callable[..., int]:
    """Return a function that runs both programs and returns how many result files were compared."""

    def run(model: str, *options: str) -> int:
        folder = built[model].parent
        by_omnetpp = call([str(built[model])], folder, tmp_path / "results", options)
        script = str(EXAMPLES / model / f"{model}.py")
        by_engine = call([sys.executable, script], folder, tmp_path / "results", options)
        assert by_engine == by_omnetpp, f"{model} {' '.join(options)}"
        return len(by_omnetpp.files)

    return run


def configs() -> list[tuple[str, str]]:
    """Return all configurations of all examples."""
    found = []
    for model in MODELS:
        names = ["General"]
        for path in (EXAMPLES / model).glob("*.ini"):
            names += re.findall(r"^\[Config (\w+)\]", path.read_text(), re.MULTILINE)
        found += [(model, name) for name in names]
    return found


@pytest.mark.parametrize(("model", "config"), configs())
def test_all_runs_are_the_same(compare: Callable[..., int], model: str, config: str) -> None:
    assert compare(model, "-c", config, f"--fingerprint={FINGERPRINTS}")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "options",
    [
        ("--sim-time-limit=0s",),
        ("--seed-set=12345", "--num-rngs=3"),
        ("--seed-0-mt=4711",),
        ("--warmup-period=0.7s", "--**.result-recording-modes=all"),
        ("--**.result-recording-modes=count,sum,min,max,last,mean,avg,timeavg,stats,histogram,totalCount",),
        ("--**.result-recording-modes=timeWeightedHistogram", "--sim-time-limit=5s"),
        ("--output-scalar-precision=17",),
        ("--output-scalar-precision=3", "--**.bin-recording=false"),
        ("--**.param-recording=false", "--**.statistic-recording=false"),
        ("--**.scalar-recording=false",),
        ("--fingerprint=0,1", "--fingerprint-ingredients=t,sz"),
    ],
    ids=" ".join,
)
def test_options_act_the_same(compare: Callable[..., int], model: str, options: Sequence[str]) -> None:
    assert compare(model, *options) == 1


@pytest.mark.parametrize(
    "options",
    [
        ("-c", "Nope"),
        ("-r", "99"),
        ("--network=Nope",),
        ("--network=",),
        ("--nosuch=1",),
        ("--sim-time-limit=10",),
        ("--sim-time-limit=1e9s",),
        ("--fingerprint=0/q",),
        ("--fingerprint=xyz/t",),
        ("--fingerprint=1/t 2/p",),
        ("--**.queue.serviceTime=-1s",),
        ("--**.queue.serviceTime=bar",),
        ("--**.queue.serviceTime=exponential(1s, 7)",),
        ("--**.capacity=1.5",),
        ("--**.capacity=ask",),
        ("-u", "Qtenv"),
        ("-f", "nosuch.ini"),
    ],
    ids=" ".join,
)
def test_errors_are_the_same(compare: Callable[..., int], options: Sequence[str]) -> None:
    compare("mm1", *options)


# -- values that nobody has seen before --------------------------------------------------------------------------


def a_time(draw: random.Random, scale: float) -> str:
    """Return a random value of a parameter that is a time of about `scale` seconds."""
    mean = draw.uniform(0.5 * scale, 1.5 * scale)
    shapes = [
        f"{mean:.6g}s",
        f"exponential({mean * 1000:.6g}ms)",
        f"uniform({mean / 2:.5g}s, {mean * 1.5:.5g}s)",
        f"truncnormal({mean:.5g}s, {mean / 3:.5g}s)",
        f"erlang_k({draw.randint(1, 5)}, {mean:.5g}s)",
        f"gamma_d({draw.uniform(0.2, 3):.4g}, {mean:.5g}s)",
        f"triang({mean / 2:.5g}s, {mean:.5g}s, {mean * 2:.5g}s)",
        f"pareto_shifted({draw.uniform(1.5, 4):.4g}, {mean:.5g}s, {mean / 2:.5g}s)",
        f"{mean:.5g}s * (1 + poisson({draw.uniform(0.5, 50):.4g}) / 10)",
        f"bernoulli(0.3) == 1 ? {mean:.5g}s : exponential({mean:.5g}s)",
        f"max(exponential({mean:.5g}s), {mean / 3:.5g}s)",
    ]
    return draw.choice(shapes)


def some_options(draw: random.Random, model: str) -> list[str]:
    """Return random overrides for a model."""
    options = [f"--seed-set={draw.randint(0, 2**31 - 1)}", f"--fingerprint={FINGERPRINTS}"]
    if model == "mm1":
        return [
            *options,
            f"--sim-time-limit={draw.randint(1, 500)}s",
            f"--**.source.interArrivalTime={a_time(draw, 1.5)}",
            f"--**.queue.serviceTime={a_time(draw, 1)}",
            f"--**.queue.capacity={draw.randint(-1, 8)}",
            f"--warmup-period={draw.uniform(0, 50):.4g}s",
            "--**.result-recording-modes=all",
        ]
    if model == "aloha":
        return [
            *options,
            f"--sim-time-limit={draw.randint(1, 30)}s",
            f"--Aloha.numStations={draw.randint(1, 25)}",
            f"--Aloha.station[*].thinkTime={a_time(draw, 1.5)}",
            f"--Aloha.station[0..4].backoff={a_time(draw, 0.5)}",
            f"--Aloha.station[*].slotTime={draw.choice([0, draw.uniform(0.01, 0.3)]):.5g}s",
            f"--Aloha.station[*].frameLength=intuniform({draw.randint(100, 500)}b, 3000b)",
        ]
    return [
        *options,
        f"--sim-time-limit={draw.uniform(0.1, 2):.4g}s",
        f"--Ring.numNodes={draw.randint(2, 9)}",
        f"--**.app.sendInterval={a_time(draw, 0.1)}",
        f"--Ring.linkDelay={draw.uniform(0, 20):.5g}ms",
        f"--**.datarate={draw.uniform(2e5, 1e7):.6g}bps",
        f"--**.traffic={draw.choice(['uniform', 'neighbour', 'opposite'])!r}".replace("'", '"'),
        f"--**.reply={draw.choice(['true', 'false'])}",
    ]


@pytest.mark.parametrize("seed", range(int(os.environ.get("OPPCLOUD_EXAMPLE_TRIALS", "4"))))
@pytest.mark.parametrize("model", MODELS)
def test_values_never_seen_before_agree(compare: Callable[..., int], model: str, seed: int) -> None:
    draw = random.Random(f"{model} {seed}")  # noqa: S311  # repeatable values for a test
    assert compare(model, *some_options(draw, model)) == 1
