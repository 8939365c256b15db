"""Running small models of the embedded engine within the test's own process."""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from engine.configuration import RunConfiguration
from engine.errors import Termination
from engine.kernel import Simulation

from pytest_oppcloud.inifile import read_ini
from pytest_oppcloud.runs import expand

if typing.TYPE_CHECKING:
    from pathlib import Path

    from engine import CompoundModule


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A simulation that has come to its end."""

    simulation: Simulation
    #: Why it ended, as the end line tells it.
    end: str
    #: What is said of its fingerprints.
    verdict: str
    #: The scalar file, line by line.
    lines: list[str]

    def values(self, word: str) -> list[str]:
        """Return the lines of a kind, without that word."""
        return [line.split(" ", 1)[1] for line in self.lines if line.split(" ", 1)[0] == word]


Simulate = Callable[..., Finished]


@pytest.fixture
def simulate(tmp_path: Path) -> Simulate:
    """Return a function that runs a network to its end; options are entries of its ini file."""

    def run(network: type[CompoundModule], *options: str, ini: Path | None = None, config: str = "General") -> Finished:
        overrides = [typing.cast("tuple[str, str]", tuple(option.split("=", 1))) for option in options]
        path = ini or tmp_path / "omnetpp.ini"
        if ini is None:
            path.write_text(f"[General]\nnetwork = {network.__name__}\n")
        overrides.append(("result-dir", str(tmp_path / "results")))
        run = expand(read_ini(path, overrides=overrides), config)[0]
        configuration = RunConfiguration(run, path.parent)
        simulation = Simulation(configuration)
        simulation.set_up(network)
        simulation.initialize()
        with pytest.raises(Termination) as end:  # noqa: PT012  # there is no other way out of the loop
            while True:
                simulation.step()
        simulation.finish()
        verdict = simulation.verdict()
        simulation.close()
        lines = configuration.scalar_file().read_text().splitlines()
        return Finished(simulation=simulation, end=str(end.value), verdict=verdict, lines=lines)

    return run
