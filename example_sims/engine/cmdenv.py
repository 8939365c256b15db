"""The program around a model: it reads the command line, runs the simulations, and tells about it as Cmdenv does.

Exit codes: 0 for runs that came to their end, 1 after an error, 2 after SIGINT or SIGTERM. Errors go to standard
error, everything else to standard output. Rules: OMNeT++ 6.1, src/cmdenv/cmdenv.cc, src/envir/startup.cc, envirbase.cc.
"""

from __future__ import annotations

import io
import sys
import time
import typing
from pathlib import Path

from pytest_oppcloud.errors import IniError

from .arguments import Arguments
from .configuration import RunConfiguration
from .errors import SimulationError, Termination
from .kernel import Simulation
from .messages import Message
from .simtime import text
from .watch import Interruption, Speedometer, Stopwatch, duration_text, end_at_signals

if typing.TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_oppcloud.inifile import IniContents
    from pytest_oppcloud.runs import Run

    from .components import CompoundModule

_BANNER = """\
Embedded discrete event simulation engine of pytest-oppcloud, on SimPy
Version: follows OMNeT++ 6.1 (text result files, Cmdenv), without NED and without C++
"""
_HELP = """\
Command line options:
  -f <inifile>      ini file to read instead of omnetpp.ini
  -c <configname>   configuration to run, [General] by default
  -r <runfilter>    runs of the configuration: 0,2..3 or an expression over iteration variables
  -u Cmdenv         the only user interface there is
  -s                less output
  -m                report errors on standard output
  -a                print all configurations and how many runs they have
  -q <what>         print numruns, runnumbers or runs of the configuration
  -n, -x, -i        accepted, and without effect: there are no NED files and no images
  --<option>=<value>, --<parameter>=<value>   put before the entries of the ini file
"""


def main(*networks: type[CompoundModule], arguments: Sequence[str] | None = None) -> int:
    """Run a model's program and return its exit code; `networks` are those that an ini file may ask for."""
    end_at_signals()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        parsed = Arguments.parse(sys.argv[1:] if arguments is None else arguments)
    except SimulationError as error:
        print(f"\n<!> Error: {error}")
        return 1
    program = Program(parsed, networks)
    code = program.run()
    sys.stdout.flush()
    return code


class Program:
    """One call of a simulation program."""

    def __init__(self, arguments: Arguments, networks: Sequence[type[CompoundModule]]) -> None:
        self._arguments = arguments
        self._networks = {network.ned_type or network.__name__: network for network in networks}
        self._verbose = not arguments.has("s")
        self._errors = sys.stdout if arguments.has("m") else sys.stderr
        self._interruption = Interruption()
        #: Which run it is, of how many.
        self._run_index = 0
        self._run_count = 1

    def run(self) -> int:
        """Do what the command line asks for; return the exit code."""
        if self._verbose:
            print(_BANNER)
        try:
            directory, ini = self._read_ini()
            self._choose_interface()
        except (SimulationError, IniError) as error:
            self._report(error)
            code = 1
        else:
            code = self._answer(ini, directory)
        if self._verbose:
            print("\nEnd.")
        return code

    def _say(self, line: str) -> None:
        if self._verbose:
            print(line)

    def _report(self, error: SimulationError | IniError) -> None:
        message = error.message if isinstance(error, IniError) else str(error)
        # The order of the two streams is lost when they are captured apart, but not on a terminal.
        sys.stdout.flush()
        print(f"\n<!> {message}" if message.startswith("Error") else f"\n<!> Error: {message}", file=self._errors)
        self._errors.flush()

    def _read_ini(self) -> tuple[Path, IniContents]:
        from pytest_oppcloud.inifile import read_ini  # noqa: PLC0415  # not before the banner is out

        arguments = self._arguments
        files = [*arguments.all("f"), *arguments.words]
        if not files and not Path("omnetpp.ini").exists():
            raise SimulationError(
                "Missing configuration: No ini files specified and no 'omnetpp.ini' in the current working directory "
                "(specify at least --network=<name> to suppress this message)"
            )
        for library in arguments.all("l"):
            raise SimulationError(f"Cannot load library '{library}': the embedded engine loads no libraries")
        path, *more = files or ["omnetpp.ini"]
        ini = read_ini(path, overrides=list(arguments.long.items()), more=more)
        # Only an explicit name on the command line is relative to the working directory.
        return Path() if "output-scalar-file" in arguments.long else Path(path).parent, ini

    def _choose_interface(self) -> None:
        interface = self._arguments.last("u") or "Cmdenv"
        if interface != "Cmdenv":
            self._say(f"User interface '{interface}' not found (not linked in or loaded dynamically).\n")
            self._say("Available ones are:\n  Cmdenv : command-line user interface")
            raise SimulationError(f"Could not start user interface '{interface}'")
        self._say("Setting up Cmdenv...\n")

    # -- questions and runs --------------------------------------------------------------------------------------

    def _answer(self, ini: IniContents, directory: Path) -> int:
        from pytest_oppcloud.runs import expand  # noqa: PLC0415  # likewise

        arguments = self._arguments
        if arguments.has("h") or arguments.has("v"):
            print(_HELP if arguments.has("h") else _BANNER, end="")
            return 0
        config = arguments.last("c") or "General"
        try:
            if arguments.has("a"):
                for name in ini.config_names:
                    print(f"Config {name}: {len(expand(ini, name))}")
                return 0
            runs = expand(ini, config, arguments.last("r") or "")
        except IniError as error:
            self._report(error)
            return 1
        if (question := arguments.last("q")) is not None:
            return self._tell(question, runs)
        return self._run_all(runs, directory)

    def _tell(self, question: str, runs: Sequence[Run]) -> int:
        if question == "numruns":
            print(len(runs))
        elif question == "runnumbers":
            print("".join(f" {run.number}" for run in runs))
        elif question == "runs":
            for run in runs:
                print(f"Run {run.number}: {run.summary}")
        else:
            known = question in {"rundetails", "runconfig", "sectioninheritance"}
            reason = "The embedded engine does not answer -q" if known else "Unrecognized -q argument"
            self._report(SimulationError(f"{reason} '{question}'"))
            return 1
        return 0

    def _run_all(self, runs: Sequence[Run], directory: Path) -> int:
        self._run_count = len(runs)
        failures = 0
        for self._run_index, run in enumerate(runs):
            failed = not self._run_one(run, directory)
            failures += failed
            stop = failed and run.option("cmdenv-stop-batch-on-error") != "false"
            if self._interruption.received or stop:
                break
        if len(runs) > 1 and self._verbose:
            tried = self._run_index + 1
            counts = {"successful": tried - failures, "errors": failures, "skipped": len(runs) - tried}
            told = "".join(f", {name} {count}" for name, count in counts.items() if count)
            print(f"\nRun statistics: total {len(runs)}{told}")
        if failures:
            return 1
        return 2 if self._interruption.received else 0

    def _run_one(self, run: Run, directory: Path) -> bool:
        """Run one simulation; tell whether it came to its end."""
        self._say(f"\nPreparing for running configuration {run.config}, run #{run.number}...")
        simulation = None
        try:
            configuration = RunConfiguration(run, directory)
            simulation = Simulation(configuration)
            self._announce(run, configuration)
            self._simulate(simulation, run)
        except (SimulationError, IniError) as error:
            self._report(error)
            return False
        finally:
            if simulation is not None:
                simulation.close()
        return True

    def _announce(self, run: Run, configuration: RunConfiguration) -> None:
        itervars = run.variables["iterationvars"]
        scenario = f"{itervars}, $repetition={run.repetition}"
        if not self._verbose:
            print(f"{run.config} run {run.number}: {scenario}")
            return
        if itervars:
            print(f"Scenario: {scenario}")
        print(f"Assigned runID={configuration.run_id}")

    def _simulate(self, simulation: Simulation, run: Run) -> None:
        name = simulation.configuration.text("network")
        if not name:
            raise SimulationError("No network specified (missing or empty network= configuration option)")
        if name not in self._networks:
            raise SimulationError(f"Network '{name}' not found, check .ini and .ned files")
        self._say(f'Setting up network "{name}"...')
        simulation.set_up(self._networks[name])
        self._say("Initializing...")
        simulation.initialize()
        self._say("\nRunning simulation...")
        self._execute_events(simulation)
        self._say(f"\nCalling finish() at end of Run #{run.number}...")
        simulation.finish()
        if verdict := simulation.verdict():
            print(f"\n<!> {verdict}\n")

    # -- events --------------------------------------------------------------------------------------------------

    def _execute_events(self, simulation: Simulation) -> None:
        """Execute events until one of them, a limit or a signal ends the simulation."""
        configuration = simulation.configuration
        watch = Stopwatch(configuration.duration("cpu-time-limit"), configuration.duration("real-time-limit"))
        frequency = configuration.duration("cmdenv-status-frequency") or 2.0
        status = _Status(simulation, watch, self._run_index, self._run_count)
        self._interruption.watch()
        try:
            status.tell()
            told = time.monotonic()
            while True:
                simulation.step()
                # As in OMNeT++'s express mode, clocks are looked at from time to time only.
                if not simulation.event_number & 0xFF and time.monotonic() - told > frequency:
                    told = time.monotonic()
                    status.tell()
                if watch.has_limits and not simulation.event_number & 0x3FF and (why := watch.reason_to_stop()):
                    raise simulation.terminated(why)
                if self._interruption.received:
                    raise simulation.terminated("SIGINT or SIGTERM received, exiting")
        except Termination as end:
            status.tell()
            print(f"\n<!> {end}")
        except SimulationError:
            status.tell()
            raise
        finally:
            end_at_signals()


class _Status:
    """The status lines."""

    def __init__(self, simulation: Simulation, watch: Stopwatch, index: int, count: int) -> None:
        self._simulation = simulation
        self._watch = watch
        self._index = index
        self._count = count
        self._speed = Speedometer()
        self._performance = simulation.configuration.flag("cmdenv-performance-display")

    def tell(self) -> None:
        """Print where the simulation is."""
        simulation = self._simulation
        event, now = simulation.event_number, simulation.now
        per_second, ratio, per_simulated = self._speed.read(event, now)
        elapsed = duration_text(self._watch.elapsed)
        head = f"** Event #{event}   t={text(now)}   Elapsed: {elapsed}{self._progress()}"
        if self._performance:
            print(head)
            print(f"     Speed:     ev/sec={per_second:g}   simsec/sec={ratio:g}   ev/simsec={per_simulated:g}")
            print(
                f"     Messages:  created: {Message.total_count}   present: {Message.live_count}"
                f"   in FES: {simulation.waiting}"
            )
        else:
            print(f"{head}   ev/sec={per_second:g}")
        sys.stdout.flush()

    def _progress(self) -> str:
        limit = self._simulation.sim_time_limit
        ratios = [self._watch.progress()]
        if limit:
            ratios.append(self._simulation.now / limit)
        ratio = min(max(ratios), 1.0)
        if ratio < 0:
            return ""
        total = (ratio + self._index) / self._count
        return f"  {int(100 * ratio)}% completed  ({int(100 * total)}% total)"
