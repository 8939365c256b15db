"""What networks are made of: modules, gates, channels.

A simple module is a subclass of `SimpleModule` and reads much like a `cSimpleModule`: it overrides `initialize`,
`handle_message` and `finish`, and calls `send`, `schedule_after`, `par`, `emit`, `record_scalar`. A network or another
compound module is a subclass of `CompoundModule` and overrides `build`. Times are integers, in picoseconds.

Depends on parameters, recording and the kernel's types. Rules: OMNeT++ 6.1, src/sim/ccomponent.cc, cmodule.cc,
csimplemodule.cc, cdelaychannel.cc.
"""

from __future__ import annotations

import typing
from typing import ClassVar

from .errors import SimulationError, Termination
from .parameters import Parameter, ParameterValue
from .recording import Recorder, Statistic, make_recorder
from .simtime import from_seconds, text

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .kernel import Simulation
    from .messages import Message
    from .rng import MersenneTwister
    from .statistics import StdDev

_M = typing.TypeVar("_M", bound="Module")


class Component:
    """A module or channel: something with a path, parameters and statistics."""

    #: As the NED file declares them.
    parameters: ClassVar[Sequence[Parameter]] = ()
    statistics: ClassVar[Sequence[Statistic]] = ()
    #: "module" or "channel", for error messages.
    kind: ClassVar[str] = "module"
    #: The C++ class; the name of the Python class where it is empty.
    cpp_class: ClassVar[str] = ""
    #: The NED type, likewise.
    ned_type: ClassVar[str] = ""

    def __init__(self, simulation: Simulation, name: str, parent: Module | None, path: str) -> None:
        self.simulation = simulation
        self.name = name
        self.parent = parent
        #: The index within a vector of modules.
        self.index: int | None = None
        self.full_path: str = path
        self.id: int = simulation.new_component_id()
        self._parameters = {declared.name: ParameterValue(self, declared) for declared in self.parameters}
        #: Recorders by the number of the signal that they look at.
        self._recorders: dict[int, list[Recorder]] = {}
        self._rngs: dict[int, MersenneTwister] = {}
        for number in range(len(simulation.rngs)):
            self.rng(number)

    @property
    def type_name(self) -> str:
        """The NED type."""
        return self.ned_type or type(self).__name__

    @property
    def class_name(self) -> str:
        """The C++ class."""
        return self.cpp_class or type(self).__name__

    # -- parameters ----------------------------------------------------------------------------------------------

    def parameter(self, name: str) -> ParameterValue:
        """Return a parameter, for an expression; raise `SimulationError` if there is none of that name."""
        if name not in self._parameters:
            raise SimulationError(f"({self.type_name}){self.full_path} has no parameter named '{name}'")
        return self._parameters[name]

    def par(self, name: str) -> typing.Any:
        """Return the value of a parameter, in its unit; that of a volatile one is computed anew."""
        if name not in self._parameters:
            raise SimulationError(f"Unknown parameter '{name}'")
        return self._parameters[name].read()

    def vector_index(self) -> int:
        """Return the index within the vector of modules; raise `SimulationError` outside of one."""
        if self.index is None:
            raise SimulationError("'index': getIndex(): Module is not member of a submodule vector")
        return self.index

    def parent_component(self) -> Component:
        """Return the module that it is in; raise `SimulationError` for the network."""
        if self.parent is None:
            raise SimulationError("Expression cannot be interpreted on network level")
        return self.parent

    def finalize_parameters(self, assigned: Mapping[str, str]) -> None:
        """Give all parameters their values: `assigned` by the enclosing module, configured, or by default."""
        with self.simulation.in_context(self):
            for name, value in self._parameters.items():
                value.assign(assigned[name] if name in assigned else self._configured(value.declaration))
            for value in self._parameters.values():
                value.finalize()

    def _configured(self, declared: Parameter) -> str:
        path = f"{self.full_path}.{declared.name}"
        value = self.simulation.configuration.parameter(path, has_default=declared.default is not None)
        if value in {None, "default"} and declared.default is not None:
            return declared.default
        if value is None or value == "ask":
            prompt = declared.prompt or f"Enter parameter '{path}' ({value or 'unassigned'}):"
            raise SimulationError(
                "The simulation attempted to prompt for user input, set cmdenv-interactive=true to allow it: "
                f'"{prompt}"'
            )
        return value

    # -- random numbers ------------------------------------------------------------------------------------------

    def rng(self, number: int = 0) -> MersenneTwister:
        """Return the random number generator that the component knows by that number (`rng-0 = 1`)."""
        if number not in self._rngs:
            mapped = self.simulation.configuration.object_option(self.full_path, f"rng-{number}")
            if mapped is not None and int(mapped) >= len(self.simulation.rngs):
                raise SimulationError(
                    f"RNG index {mapped} out of range (num-rngs={len(self.simulation.rngs)}) "
                    f"in configuration entry *.rng-{number} = {mapped} for module/channel {self.full_path}"
                )
            self._rngs[number] = self.simulation.rng(number if mapped is None else int(mapped))
        return self._rngs[number]

    # -- results -------------------------------------------------------------------------------------------------

    def add_recorders(self) -> None:
        """Set up the recorders of the declared statistics."""
        configuration = self.simulation.configuration
        for statistic in self.statistics:
            path = f"{self.full_path}.{statistic.name}"
            if not configuration.object_flag(path, "statistic-recording"):
                continue
            modes = statistic.modes(configuration.object_option(path, "result-recording-modes") or "default")
            if not modes:
                continue
            recorders = self._recorders.setdefault(self.simulation.signal(statistic.signal), [])
            for mode in modes:
                recorder = make_recorder(self, statistic, mode)
                if recorder is not None:
                    recorders.append(recorder)

    def emit(self, signal: str, value: float, *, time: int | None = None) -> None:
        """Hand a value to whoever looks at the signal, here and in the enclosing modules; times in seconds."""
        when = self.simulation.now if time is None else time
        number = self.simulation.signal(signal)
        component: Component | None = self
        while component is not None:
            for recorder in component._recorders.get(number, ()):  # noqa: SLF001  # another component like this one
                recorder.take(when, float(value))
            component = component.parent

    def record_scalar(self, name: str, value: float, unit: str = "") -> None:
        """Record a scalar; meant for `finish()`."""
        self.simulation.record_scalar(self, name, float(value), {"unit": unit} if unit else {})

    def record_statistic(self, statistic: StdDev, unit: str = "", *, name: str = "") -> None:
        """Record a statistic or histogram; meant for `finish()`."""
        self.simulation.record_statistic(self, name or statistic.name, statistic, {"unit": unit} if unit else {})

    def add_fingerprint_data(self, data: str) -> None:
        """Make data a part of fingerprints with the ingredient "x"."""
        self.simulation.add_fingerprint_data(data)

    def take_initial_values(self) -> None:
        """Let the recorders have what is there before the first value is emitted."""
        for recorders in self._recorders.values():
            for recorder in recorders:
                recorder.take_initial_value()

    # -- the life of a component ---------------------------------------------------------------------------------

    def initialize(self) -> None:
        """Prepare for the first event."""

    def finish(self) -> None:
        """Record what there is to record; called at the regular end of the simulation only."""

    def call_finish(self) -> None:
        """Record the parameters, then let the component and its recorders finish."""
        with self.simulation.in_context(self):
            self.simulation.record_parameters(self, self._parameters.values())
            self.finish()
            # OMNeT++ keeps the signals of a component in the reverse order of their numbers.
            for number in sorted(self._recorders, reverse=True):
                for recorder in self._recorders[number]:
                    recorder.finish()


class DelayChannel(Component):
    """A connection that takes time (`ned.DelayChannel`)."""

    kind = "channel"
    cpp_class = "omnetpp::cDelayChannel"
    ned_type = "ned.DelayChannel"
    parameters = (
        Parameter("disabled", "bool", default="false", mutable=True),
        Parameter("delay", "double", unit="s", default="0s", mutable=True),
    )
    statistics = (
        Statistic("messages", ["count?"], source="constant1(messageSent)", interpolationmode="none"),
        Statistic("messagesDiscarded", ["count?"], source="constant1(messageDiscarded)", interpolationmode="none"),
    )

    def __init__(self, simulation: Simulation, gate: Gate) -> None:
        super().__init__(simulation, "channel", gate.owner.parent, f"{gate.full_path}.channel")
        self.delay = 0
        self.disabled = False

    def initialize(self) -> None:
        """Read the parameters; raise `SimulationError` for a negative delay."""
        self.delay = from_seconds(self.par("delay"))
        self.disabled = self.par("disabled")
        if self.delay < 0:
            raise SimulationError(f"Negative delay {text(self.delay)}")


class Gate:
    """Where messages leave or enter a module."""

    def __init__(self, owner: Module, name: str, index: int | None) -> None:
        self.owner = owner
        self.name = name
        self.index = index
        self.next: Gate | None = None
        self.channel: DelayChannel | None = None

    @property
    def full_name(self) -> str:
        """Its name, with the index within a vector of gates."""
        return self.name if self.index is None else f"{self.name}[{self.index}]"

    @property
    def full_path(self) -> str:
        """Its name with the path of the module."""
        return f"{self.owner.full_path}.{self.full_name}"

    def path(self) -> Iterator[tuple[Gate, DelayChannel | None]]:
        """Yield the gates that a message passes from here on, each with the channel that leads to it."""
        gate = self
        while gate.next is not None:
            yield gate.next, gate.channel
            gate = gate.next

    def connect_to(self, target: Gate) -> None:
        """Let what leaves here enter there; raise `SimulationError` if it goes elsewhere already."""
        if self.next is not None:
            raise SimulationError(f"Gate {self.full_path} is already connected to {self.next.full_path}")
        self.next = target


class Module(Component):
    """Something in a network that has gates and may hold other modules."""

    #: The class of the object that describes the module's type: the ingredient "a" of fingerprints.
    type_class_name: ClassVar[str] = "omnetpp::cDynamicModuleType"

    def __init__(self, simulation: Simulation, name: str, parent: Module | None, index: int | None = None) -> None:
        self.full_name: str = name if index is None else f"{name}[{index}]"
        super().__init__(simulation, name, parent, f"{parent.full_path}.{self.full_name}" if parent else self.full_name)
        self.index = index
        self.submodules: list[Module] = []
        self.channels: list[DelayChannel] = []
        self._gates: dict[tuple[str, int | None], Gate] = {}

    def gate(self, name: str, index: int | None = None) -> Gate:
        """Return a gate; gates come into being when they are first asked for."""
        key = (name, index)
        if key not in self._gates:
            self._gates[key] = Gate(self, name, index)
        return self._gates[key]

    def build_inside(self) -> None:
        """Build what is inside, then set up the recorders."""
        with self.simulation.in_context(self):
            self.build()
            for submodule in self.submodules:
                submodule.build_inside()
            self.add_recorders()

    def build(self) -> None:
        """Create submodules and connect them."""

    def call_initialize(self) -> None:
        """Initialize all channels, then the module, then the modules in it."""
        self._initialize_channels()
        self._initialize_modules()

    def _initialize_channels(self) -> None:
        for channel in self.channels:
            with self.simulation.in_context(channel):
                channel.take_initial_values()
                channel.initialize()
        for submodule in self.submodules:
            submodule._initialize_channels()  # noqa: SLF001  # another module like this one

    def _initialize_modules(self) -> None:
        with self.simulation.in_context(self):
            self.take_initial_values()
            self.initialize()
        for submodule in self.submodules:
            submodule._initialize_modules()  # noqa: SLF001  # another module like this one

    def call_finish(self) -> None:
        """Finish the channels and modules inside, then the module itself."""
        for channel in self.channels:
            channel.call_finish()
        for submodule in self.submodules:
            submodule.call_finish()
        super().call_finish()


class CompoundModule(Module):
    """A module that consists of others; a network is one that is in no other."""

    cpp_class = "omnetpp::cModule"

    def add(self, name: str, module: type[_M], index: int | None = None, **parameters: str | float | bool) -> _M:
        """Create a submodule, and give it the parameters that this module decides about."""
        submodule = module(self.simulation, name, self, index)
        self.submodules.append(submodule)
        submodule.finalize_parameters({key: _ned_text(value) for key, value in parameters.items()})
        return submodule

    def add_vector(self, name: str, module: type[_M], size: int, **parameters: str | float | bool) -> list[_M]:
        """Create a vector of submodules."""
        return [self.add(name, module, index, **parameters) for index in range(size)]

    def connect(self, source: Gate, target: Gate, *, delay: str | None = None) -> None:
        """Connect two gates, through a channel if there is a delay (NED text: "1ms")."""
        source.connect_to(target)
        if delay is not None:
            channel = DelayChannel(self.simulation, source)
            channel.parent = self
            channel.add_recorders()
            source.channel = channel
            self.channels.append(channel)
            channel.finalize_parameters({"delay": delay})


def _ned_text(value: str | float | bool) -> str:
    """Return a value as NED text; strings are NED text already."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


class SimpleModule(Module):
    """A module that does something."""

    def handle_message(self, message: Message) -> None:
        """Deal with a message that arrives, from elsewhere or from the module itself."""
        raise SimulationError(
            f"Redefine handleMessage() or specify non-zero stack size to use activity() ({message})",
        )

    @property
    def now(self) -> int:
        """The simulation time, in picoseconds."""
        return self.simulation.now

    def send(self, message: Message, gate: str, index: int | None = None, *, delay: int = 0) -> None:
        """Send a message through a gate, after `delay`; raise `SimulationError` where that is impossible."""
        place = self.gate(gate, index)
        if place.next is None:
            raise SimulationError(f"send()/sendDelayed(): Gate '{place.full_name}' not connected")
        if message.scheduled is not None:
            raise SimulationError(
                f"send()/sendDelayed(): Cannot send message {message}, it is currently in scheduled-events, "
                "being underway between two modules"
            )
        if delay < 0:
            raise SimulationError(f"send()/sendDelayed(): Negative delay {text(delay)}")
        arrival = self.now + delay
        for target, channel in place.path():
            if channel is not None:
                channel.emit("messageDiscarded" if channel.disabled else "messageSent", 1, time=arrival)
                if channel.disabled:
                    return
                arrival += channel.delay
            place = target
        self._deliver(message, place, arrival)

    def send_direct(self, message: Message, gate: Gate, *, delay: int = 0) -> None:
        """Send a message right to a gate of another module, without a connection."""
        for target, _ in gate.path():
            gate = target  # the last one is where the path ends
        self._deliver(message, gate, self.now + delay)

    def _deliver(self, message: Message, gate: Gate, arrival: int) -> None:
        message.arrival_gate = gate
        message.arrival_module = gate.owner
        self.simulation.schedule(message, arrival)

    def schedule_at(self, time: int, message: Message) -> None:
        """Let a message come back at `time`; raise `SimulationError` where that is impossible."""
        if time < self.now:
            raise SimulationError(
                f"Cannot schedule message {message} to the past, t={self.simulation.seconds(time):g}",
            )
        if message.scheduled is not None:
            raise SimulationError(
                f"scheduleAt(): Message {message} is currently scheduled, use cancelEvent() before rescheduling",
            )
        message.arrival_gate = None
        message.arrival_module = self
        self.simulation.schedule(message, time)

    def schedule_after(self, delay: int, message: Message) -> None:
        """Let a message come back after `delay`."""
        self.schedule_at(self.now + delay, message)

    def cancel_event(self, message: Message) -> None:
        """Take a message back that was to come later."""
        self.simulation.cancel(message)

    def end_simulation(self) -> typing.NoReturn:
        """End the simulation, regularly."""
        raise Termination("Simulation stopped with endSimulation()")

    def draw(self, distribution: Callable[..., typing.Any], *arguments: float, rng: int = 0) -> typing.Any:
        """Draw from a distribution: `self.draw(intuniform, 0, 9)`."""
        return distribution(self.rng(rng), *arguments)
