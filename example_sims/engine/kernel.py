"""The simulation: components, future events, results. SimPy carries the events.

SimPy's environment keeps events in a heap by time, priority and order of insertion, which is OMNeT++'s order, too;
its time is an integer here, in picoseconds. Everything else is what a `cSimulation` does.

Depends on the other modules of the engine but not on the command line. Rules: OMNeT++ 6.1, src/sim/csimulation.cc.
"""

from __future__ import annotations

import typing
from contextlib import contextmanager
from typing import Final

from pytest_oppcloud.inifile.characters import quote

from . import simtime
from .errors import SimulationError, Termination
from .fingerprint import Fingerprints
from .histogram import Histogram
from .messages import Message
from .resultfile import ScalarFile
from .rng import MersenneTwister
from .simpy_core import EmptySchedule, Environment, Event

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .components import Component, CompoundModule
    from .configuration import RunConfiguration
    from .parameters import ParameterValue
    from .statistics import StdDev

#: Comes after everything else of its time.
_LAST_PRIORITY: Final = 32767

_Failure = typing.TypeVar("_Failure", bound="SimulationError | Termination")


def wrapped(error: Exception) -> SimulationError:
    """Return what a model raised by mistake as an error of the simulation, in the words of C++ where they differ."""
    if isinstance(error, MemoryError):
        return SimulationError("std::bad_alloc: std::bad_alloc")
    return SimulationError(f"{type(error).__name__}: {error}")


class Arrival(Event):  # type: ignore[misc]  # SimPy has no types
    """A message on its way, as an event of SimPy."""

    def __init__(self, simulation: Simulation, message: Message) -> None:
        super().__init__(simulation.environment)
        self._ok = True
        self._value = message
        self.callbacks.append(simulation.receive)


class Simulation:
    """One run of a network."""

    def __init__(self, configuration: RunConfiguration) -> None:
        self.configuration = configuration
        self.environment = Environment(initial_time=0)
        #: Picoseconds of the current event.
        self.now: int = 0
        self.event_number: int = 0
        #: How many events wait; the heap may also hold some that were cancelled.
        self.waiting = 0
        self.network: CompoundModule | None = None
        limit = configuration.duration("sim-time-limit")
        #: Picoseconds, None for no limit.
        self.sim_time_limit = None if limit is None or limit < 0 else simtime.from_seconds(limit)
        self.warmup_period = simtime.from_seconds(configuration.duration("warmup-period") or 0.0)
        expected = configuration.text("fingerprint")
        ingredients = configuration.text("fingerprint-ingredients")
        self.fingerprints = Fingerprints(expected, ingredients) if expected else None
        self.rngs = self._seeded_rngs()
        self._components = 0
        self._signals: dict[str, int] = {}
        self._context: Component | None = None
        #: What is going on, for error messages.
        self._stage = ""
        self._results: ScalarFile | None = None
        Message.reset()

    def _seeded_rngs(self) -> list[MersenneTwister]:
        count = self.configuration.integer("num-rngs") or 1
        first = (self.configuration.integer("seed-set") or 0) * count
        seeds = (self.configuration.integer(f"seed-{number}-mt") for number in range(count))
        return [MersenneTwister(first + number if seed is None else seed) for number, seed in enumerate(seeds)]

    @staticmethod
    def seconds(time: int) -> float:
        """Return a time in seconds."""
        return simtime.seconds(time)

    # -- what components ask for ---------------------------------------------------------------------------------

    def new_component_id(self) -> int:
        """Return the number of a new component, from 1."""
        self._components += 1
        return self._components

    def signal(self, name: str) -> int:
        """Return the number of a signal; signals are numbered as they are first asked for."""
        return self._signals.setdefault(name, len(self._signals))

    def rng(self, number: int) -> MersenneTwister:
        """Return a random number generator; raise `SimulationError` if there are not so many."""
        if not 0 <= number < len(self.rngs):
            raise SimulationError(
                f"RNG index {number} is out of range (num-rngs={len(self.rngs)}, check the configuration)",
            )
        return self.rngs[number]

    @contextmanager
    def in_context(self, component: Component) -> Iterator[None]:
        """Let `component` be the one that is to blame for errors."""
        previous, self._context = self._context, component
        try:
            yield
        except (SimulationError, Termination) as failure:
            self._blame(failure)
            raise
        except Exception as error:
            raise self._blame(wrapped(error)) from error
        finally:
            self._context = previous

    def _blame(self, failure: _Failure) -> _Failure:
        """Tell where and when a failure happened, if that is not known yet (cException::getFormattedMessage)."""
        if not failure.where:
            place = self._context
            where = f"in {place.kind} ({place.class_name}) {place.full_path} (id={place.id})" if place else ""
            failure.where = ", ".join(filter(None, [where, self._when()]))
        return failure

    def _when(self) -> str:
        return self._stage or f"at t={simtime.text(self.now)}s, event #{self.event_number}"

    # -- events --------------------------------------------------------------------------------------------------

    def schedule(self, message: Message, time: int) -> None:
        """Put a message among the future events."""
        arrival = Arrival(self, message)
        message.scheduled = arrival
        self.waiting += 1
        self.environment.schedule(arrival, message.priority, time - self.environment.now)

    def cancel(self, message: Message) -> None:
        """Take a message back; nothing happens when it is not scheduled."""
        if message.scheduled is not None:
            # SimPy cannot take an event out of its heap; without callbacks nothing happens when its time comes.
            message.scheduled.callbacks.clear()
            message.scheduled = None
            self.waiting -= 1

    def receive(self, arrival: Event) -> None:
        """Execute an event: hand the message to its module (cSimulation::executeEvent)."""
        message = arrival.value
        message.scheduled = None
        self.waiting -= 1
        self.event_number += 1
        self.now = self.environment.now
        Message.now = self.now
        if self.fingerprints is not None:
            for fingerprint in self.fingerprints.items:
                fingerprint.add_event(self, message, message.arrival_module)
        # What `in_context` does, written out: this is the innermost loop.
        module = self._context = message.arrival_module
        try:
            module.handle_message(message)
        except (SimulationError, Termination) as failure:
            self._blame(failure)
            raise
        except Exception as error:
            raise self._blame(wrapped(error)) from error
        finally:
            self._context = None

    def step(self) -> None:
        """Execute the next event; raise `Termination` where there is none, or where it ends the simulation."""
        number = self.event_number
        try:
            while self.event_number == number:
                self.environment.step()
        except EmptySchedule:
            raise self._blame(Termination("No more events, simulation completed")) from None

    def _time_is_up(self, _event: Event) -> None:
        self.waiting -= 1
        self.event_number += 1
        self.now = self.environment.now
        raise self.terminated("Simulation time limit reached")

    def terminated(self, reason: str) -> Termination:
        """Return the end of the simulation for a reason that no component is to blame for."""
        return self._blame(Termination(reason))

    # -- the stages of a run -------------------------------------------------------------------------------------

    def set_up(self, network: type[CompoundModule]) -> None:
        """Remove the results of an earlier run, then build the network."""
        digits = self.configuration.integer("output-scalar-precision") or 14
        append = self.configuration.flag("output-scalar-file-append")
        self._results = ScalarFile(self.configuration.scalar_file(), digits, append=append)
        with self._in_stage("during network setup"):
            self.network = network(self, network.ned_type or network.__name__, None)
            self.network.finalize_parameters({})
            self.network.build_inside()

    def _built(self) -> CompoundModule:
        if self.network is None:
            raise SimulationError("The network has not been set up")
        return self.network

    def initialize(self) -> None:
        """Schedule the end, then initialize the network."""
        if self.sim_time_limit is not None:
            end = Event(self.environment)
            # How SimPy's own Timeout makes itself ready.
            end._ok, end._value = True, None  # noqa: SLF001  # see above
            end.callbacks.append(self._time_is_up)
            self.waiting += 1
            self.environment.schedule(end, _LAST_PRIORITY, self.sim_time_limit)
        with self._in_stage("during network initialization"):
            self._built().call_initialize()

    def finish(self) -> None:
        """Let all components record what they have to record."""
        with self._in_stage("during finalization"):
            self._built().call_finish()

    def verdict(self) -> str:
        """Return what is to be said about the fingerprints, "" if none were asked for."""
        with self._in_stage("during finalization"):
            return self.fingerprints.verdict() if self.fingerprints else ""

    def close(self) -> None:
        """Close the result file."""
        if self._results is not None:
            self._results.close()

    @contextmanager
    def _in_stage(self, stage: str) -> Iterator[None]:
        self._stage = stage
        try:
            yield
        except SimulationError as error:
            self._blame(error)
            raise
        finally:
            self._stage = ""

    # -- results -------------------------------------------------------------------------------------------------

    def _opened_results(self) -> ScalarFile:
        results = self._results
        if results is None:
            raise SimulationError("The network has not been set up")
        if not results.is_open:
            configuration = self.configuration
            results.begin(configuration.run_id, configuration.attributes, configuration.itervars, configuration.entries)
        return results

    def record_scalar(self, component: Component, name: str, value: float, attributes: Mapping[str, str]) -> None:
        """Record a scalar, unless the configuration says otherwise."""
        results = self._opened_results()
        if not self.configuration.object_flag(f"{component.full_path}.{name}", "scalar-recording"):
            return
        results.scalar(component.full_path, name, value, attributes)
        if self.fingerprints is not None:
            for fingerprint in self.fingerprints.items:
                fingerprint.add_scalar(value)

    def record_statistic(
        self, component: Component, name: str, statistic: StdDev, attributes: Mapping[str, str]
    ) -> None:
        """Record a statistic, and the bins of a histogram, unless the configuration says otherwise."""
        results = self._opened_results()
        path = f"{component.full_path}.{name}"
        if not self.configuration.object_flag(path, "scalar-recording"):
            return
        bins = isinstance(statistic, Histogram) and self.configuration.object_flag(path, "bin-recording")
        if bins and isinstance(statistic, Histogram):
            statistic.set_up_bins()
        results.statistic(component.full_path, name, statistic, attributes, bins=bins)
        if self.fingerprints is not None:
            for fingerprint in self.fingerprints.items:
                fingerprint.add_statistic(statistic)

    def record_parameters(self, component: Component, parameters: Iterable[ParameterValue]) -> None:
        """Record the type and the parameters of a component, unless the configuration says otherwise."""
        results = self._opened_results()
        path = component.full_path
        if self.configuration.object_flag(f"{path}.typename", "param-recording"):
            results.parameter(path, "typename", quote(component.type_name), {})
        for value in parameters:
            declared = value.declaration
            if self.configuration.object_flag(f"{path}.{declared.name}", "param-recording"):
                results.parameter(path, declared.name, value.text(), declared.attributes)

    def add_fingerprint_data(self, data: str) -> None:
        """Add data of a module to the fingerprints that want some."""
        if self.fingerprints is not None:
            for fingerprint in self.fingerprints.items:
                fingerprint.add_extra_data(data)
