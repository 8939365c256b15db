"""Events: their order, their ends, their errors."""

from __future__ import annotations

import typing

import pytest
from engine import CompoundModule, Message, Parameter, SimpleModule, SimulationError, Statistic, from_seconds
from engine.simtime import seconds, text

if typing.TYPE_CHECKING:
    from collections.abc import Sequence

    from .conftest import Simulate


TWICE = "(omnetpp::cMessage)twice"


class Schedule(SimpleModule):
    """Schedules messages as the test says, and notes what comes."""

    plan: typing.ClassVar[Sequence[tuple[str, float, int]]] = ()

    def initialize(self) -> None:
        self.seen: list[tuple[str, int]] = []
        for name, time, priority in self.plan:
            message = Message(name)
            message.priority = priority
            self.schedule_at(from_seconds(time), message)

    def handle_message(self, message: Message) -> None:
        self.seen.append((message.name, self.now))
        if message.name == "now":
            self.schedule_after(0, Message("later"))
        if message.name == "past":
            self.schedule_at(self.now - 1, message)
        if message.name == "twice":
            self.schedule_after(1, message)
            self.schedule_after(2, message)
        if message.name == "end":
            self.end_simulation()
        if message.name == "mistake":
            raise ValueError("not a number")
        if message.name == "cancel" and len(self.seen) == 1:
            self.schedule_after(from_seconds(1), message)
            self.cancel_event(message)
            self.cancel_event(message)

    def finish(self) -> None:
        self.record_scalar("seen", len(self.seen))


class Net(CompoundModule):
    def build(self) -> None:
        self.add("module", Schedule)


def names(simulate: Simulate, plan: Sequence[tuple[str, float, int]], *options: str) -> tuple[list[str], str, int]:
    """Return what came, why it ended, and how many events there were."""
    Schedule.plan = plan
    finished = simulate(Net, *options)
    assert finished.simulation.network is not None
    module = finished.simulation.network.submodules[0]
    assert isinstance(module, Schedule)
    return [name for name, _ in module.seen], finished.end, finished.simulation.event_number


def test_order_is_time_then_priority_then_insertion(simulate: Simulate) -> None:
    plan = [("d", 2, 0), ("b", 1, 0), ("c", 1, 0), ("e", 2, 1), ("a", 1, -1)]
    assert names(simulate, plan)[0] == ["a", "b", "c", "d", "e"]


def test_a_message_without_delay_comes_after_what_waits_for_that_time(simulate: Simulate) -> None:
    assert names(simulate, [("now", 1, 0), ("waiting", 1, 0)])[0] == ["now", "waiting", "later"]


def test_the_time_limit_comes_last_and_counts_as_an_event(simulate: Simulate) -> None:
    seen, end, events = names(simulate, [("at", 2, 32766), ("after", 2.000000000001, 0)], "sim-time-limit=2s")
    assert (seen, end, events) == (["at"], "Simulation time limit reached -- at t=2s, event #2", 2)


def test_without_events_the_simulation_is_over(simulate: Simulate) -> None:
    _, end, _ = names(simulate, [("a", 1.5, 0)])
    assert end == "No more events, simulation completed -- at t=1.5s, event #1"


def test_a_cancelled_message_never_comes(simulate: Simulate) -> None:
    seen, end, _ = names(simulate, [("cancel", 1, 0)])
    assert seen == ["cancel"]
    assert end == "No more events, simulation completed -- at t=1s, event #1"


def test_a_module_can_end_it(simulate: Simulate) -> None:
    seen, end, _ = names(simulate, [("end", 1, 0), ("late", 2, 0)])
    assert seen == ["end"]
    # In the words of OMNeT++ 6.1, `endSimulation()`.
    assert end == "Simulation stopped with endSimulation() -- in module (Schedule) Net.module (id=2), at t=1s, event #1"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("past", "Cannot schedule message (omnetpp::cMessage)past to the past, t=1"),
        ("twice", f"scheduleAt(): Message {TWICE} is currently scheduled, use cancelEvent() before rescheduling"),
        ("mistake", "ValueError: not a number"),
    ],
)
def test_errors_tell_where_and_when(simulate: Simulate, name: str, message: str) -> None:
    with pytest.raises(SimulationError) as caught:
        names(simulate, [(name, 1, 0)])
    assert str(caught.value) == f"{message} -- in module (Schedule) Net.module (id=2), at t=1s, event #1"


def test_times_have_all_their_digits() -> None:
    assert text(37675497141014148) == "37675.497141014148"
    assert text(-1500000000000) == "-1.5"
    assert text(0) == "0"
    assert from_seconds(0.1) == 100_000_000_000
    assert from_seconds(2.5e-12) == 3
    assert seconds(from_seconds(0.30000000000000004)) == 0.3
    with pytest.raises(SimulationError, match=r"^simtime_t: Cannot represent 1e\+10, out of the range"):
        from_seconds(1e10)


class Inner(SimpleModule):
    parameters = (
        Parameter("fixed", "double", unit="s", default="uniform(1s, 2s)"),
        Parameter("moving", "double", unit="s", volatile=True, default="uniform(1s, 2s)"),
        Parameter("sum", "double", unit="s", default="fixed + parent.base + index * 1s"),
        Parameter("asked", "int", default="1", prompt="How many?"),
    )
    statistics = (Statistic("value", ["count", "last"], title="$name in $mode"),)

    def initialize(self) -> None:
        assert self.par("fixed") == self.par("fixed")
        assert self.par("moving") != self.par("moving")
        self.emit("value", 3)
        self.emit("outer", 4)


class Outer(CompoundModule):
    parameters = (Parameter("base", "double", unit="s", default="100ms"),)
    statistics = (Statistic("outer", ["sum"]),)

    def build(self) -> None:
        self.add_vector("inner", Inner, 2, fixed="2s")


def test_parameters_refer_to_each_other(simulate: Simulate) -> None:
    lines = simulate(Outer).values("par")
    assert "Outer.inner[0] sum 2.1s" in lines
    assert "Outer.inner[1] sum 3.1s" in lines
    assert 'Outer.inner[1] moving "uniform(1s, 2s)"' in lines


def test_signals_reach_the_enclosing_modules(simulate: Simulate) -> None:
    finished = simulate(Outer)
    assert "Outer outer:sum 8" in finished.values("scalar")
    assert 'title "value in count"' in finished.values("attr")


def test_a_parameter_without_value_is_asked_for(simulate: Simulate) -> None:
    with pytest.raises(SimulationError) as caught:
        simulate(Outer, "**.asked=ask")
    # Recorded with OMNeT++ 6.1.
    assert str(caught.value) == (
        "The simulation attempted to prompt for user input, set cmdenv-interactive=true to allow it: "
        '"How many?" -- in module (Inner) Outer.inner[0] (id=2), during network setup'
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("sim-time-limit=10", "Could not read option sim-time-limit= from the configuration: "),
        ("record-eventlog=true", "The embedded engine cannot do what record-eventlog=true asks for"),
        ("rng-class=cLCG32", "The embedded engine cannot do what rng-class=cLCG32 asks for"),
    ],
)
def test_options_that_cannot_be_served_are_errors(simulate: Simulate, option: str, message: str) -> None:
    with pytest.raises(SimulationError) as caught:
        simulate(Outer, option)
    assert str(caught.value).startswith(message)


def test_recording_can_be_switched_off(simulate: Simulate) -> None:
    finished = simulate(Outer, "**.param-recording=false", "**.scalar-recording=false")
    assert not finished.values("par")
    assert not finished.values("scalar")
    assert finished.lines[0] == "version 3"


def test_the_head_of_a_file_tells_which_run_it_is(simulate: Simulate) -> None:
    finished = simulate(Outer, "**.param-recording=false", "**.scalar-recording=false")
    attributes = dict(line.split(" ", 1) for line in finished.values("attr"))
    # The names that OMNeT++ 6.1 records, in its order; the run's id is in the line above.
    names = """
        configname datetime datetimef experiment inifile iterationvars iterationvarsd iterationvarsf measurement
        network processid repetition replication resultdir runnumber seedset
    """
    assert list(attributes) == names.split()
    assert attributes["network"] == "Outer"
    assert finished.values("run")[0].startswith("General-0-")
