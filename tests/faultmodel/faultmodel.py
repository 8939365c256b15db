"""A simulation that goes wrong on request, for the tests: by real signals, limits and broken files.

It runs on the embedded engine of the examples. The parameter `fault` names what happens, and a function of that name
(with underscores) in this file does it; the stage at which it does is told by the list that the function is in.
omnetpp.ini has a config for each.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "example_sims"))  # where the engine lies

from typing import TYPE_CHECKING

from engine import CompoundModule, Message, Parameter, SimpleModule, SimulationError, from_seconds, main
from engine.errors import Termination

if TYPE_CHECKING:
    from collections.abc import Callable

END = "<!> Simulation time limit reached -- at t=3s, event #31"
VERIFIED = "<!> Fingerprint successfully verified: {}"


class Probe(SimpleModule):
    """Ticks, until the fault's time comes."""

    parameters = (
        Parameter("fault", "string", default='"none"'),
        Parameter("delay", "double", unit="s", volatile=True),
        #: Where the ini file does not say, OMNeT++ asks for it.
        Parameter("asked", "int"),
    )

    def initialize(self) -> None:
        """Begin to tick; faults of a destructor wait for the end of the run."""
        self.ticks = 0
        self.hoard: list[bytearray] = []
        self.strike(AT_START)
        close_results = self.simulation.close

        def destroy() -> None:
            close_results()
            self.strike(AT_DESTRUCTION)

        self.simulation.close = destroy  # type: ignore[method-assign]  # to fail there is its task
        self.tick = Message("tick")
        self.schedule_after(from_seconds(self.par("delay")), self.tick)

    def handle_message(self, message: Message) -> None:
        """Count, and go on unless the fault comes in between."""
        self.ticks += 1
        if self.simulation.seconds(self.now) > 1:
            self.strike(AT_EVENT)
        if message.scheduled is None and self.par("fault") != "no-more-events":
            self.schedule_after(from_seconds(self.par("delay")), message)

    def finish(self) -> None:
        """Record a few values, among them those that are hard to read back."""
        self.record_scalar("ticks", self.ticks)
        self.strike(AT_FINISH)
        self.record_scalar("a third", 1 / 3)
        self.record_scalar("not a number", float("nan"))
        self.record_scalar("infinite", float("inf"))
        self.record_scalar('quote " backslash \\ tab \t end', 1e-300)

    def strike(self, faults: dict[str, Callable[[Probe], None]]) -> None:
        """Do what the parameter asks for, if this is its time."""
        fault = faults.get(self.par("fault"))
        if fault is not None:
            fault(self)

    @property
    def result_file(self) -> Path:
        """The file that the results go to."""
        return self.simulation.configuration.scalar_file()


class FaultNet(CompoundModule):
    """One probe."""

    def build(self) -> None:
        """Add it."""
        self.add("probe", Probe)


AT_START: dict[str, Callable[[Probe], None]] = {}
AT_EVENT: dict[str, Callable[[Probe], None]] = {}
AT_FINISH: dict[str, Callable[[Probe], None]] = {}
AT_DESTRUCTION: dict[str, Callable[[Probe], None]] = {}


def fault(*stages: dict[str, Callable[[Probe], None]]) -> Callable[[Callable[[Probe], None]], Callable[[Probe], None]]:
    """Put a function into the lists of the stages at which it is to be called."""

    def register(function: Callable[[Probe], None]) -> Callable[[Probe], None]:
        for stage in stages:
            stage[function.__name__.replace("_", "-")] = function
        return function

    return register


def leave(code: int) -> None:
    """End the process as C's exit() does: files are flushed, nothing else happens."""
    sys.stdout.flush()
    os._exit(code)


# -- errors ------------------------------------------------------------------------------------------------------


@fault(AT_EVENT)
def error(_probe: Probe) -> None:
    raise SimulationError("wrong in handle_message(),\nsecond line of the message")


@fault(AT_EVENT)
def exception(_probe: Probe) -> None:
    raise ValueError("not an error of the simulation's own")


@fault(AT_START)
def error_at_start(_probe: Probe) -> None:
    raise SimulationError("wrong in initialize(), code 7")


@fault(AT_FINISH)
def error_in_finish(_probe: Probe) -> None:
    raise SimulationError("wrong in finish()")


@fault(AT_EVENT)
def end_simulation(_probe: Probe) -> None:
    raise Termination("Simulation stopped with endSimulation()")


@fault(AT_EVENT)
def own_end(_probe: Probe) -> None:
    raise Termination("the battery is empty")


# -- signals and exits -------------------------------------------------------------------------------------------


@fault(AT_EVENT)
def segv(_probe: Probe) -> None:
    ctypes.string_at(0)


@fault(AT_FINISH)
def segv_in_finish(_probe: Probe) -> None:
    ctypes.string_at(0)


@fault(AT_EVENT)
def abort(_probe: Probe) -> None:
    os.abort()


@fault(AT_EVENT)
def killed(_probe: Probe) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@fault(AT_EVENT)
def hung_up(_probe: Probe) -> None:
    os.kill(os.getpid(), signal.SIGHUP)


@fault(AT_EVENT)
def terminated(_probe: Probe) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@fault(AT_EVENT)
def exit_0(_probe: Probe) -> None:
    leave(0)


@fault(AT_EVENT)
def exit_3(_probe: Probe) -> None:
    leave(3)


@fault(AT_EVENT)
def exit_139(_probe: Probe) -> None:
    leave(139)


@fault(AT_FINISH)
def exit_0_in_finish(probe: Probe) -> None:
    flush_results(probe)
    leave(0)


# -- time, memory, space -----------------------------------------------------------------------------------------


@fault(AT_EVENT)
def hang(_probe: Probe) -> None:
    while True:
        pass


@fault(AT_EVENT)
def hang_deaf(_probe: Probe) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU):
        signal.signal(number, signal.SIG_IGN)
    while True:
        pass


@fault(AT_EVENT)
def sleep(_probe: Probe) -> None:
    while True:
        time.sleep(60)


@fault(AT_EVENT)
def zero_time(probe: Probe) -> None:
    probe.schedule_after(0, probe.tick)


@fault(AT_EVENT)
def hoard(probe: Probe) -> None:
    while True:
        probe.hoard.append(bytearray(16 * 1024 * 1024))


@fault(AT_EVENT)
def fill_file(probe: Probe) -> None:
    with (probe.result_file.parent / "large.bin").open("wb") as file:
        while True:
            file.write(bytes(1024 * 1024))


@fault(AT_EVENT)
def fill_file_by_signal(probe: Probe) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    fill_file(probe)


# -- descendants -------------------------------------------------------------------------------------------------


def start_descendant() -> None:
    """Start a process that leaves our session, is nobody's child and ignores SIGTERM; it tells its id."""
    sys.stdout.flush()
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if os.fork():
            os._exit(0)
        os.write(1, f"descendant {os.getpid()}\n".encode())
        os.close(writer)
        while True:
            signal.pause()
    os.close(writer)
    os.wait()
    os.read(reader, 1)
    os.close(reader)


@fault(AT_START)
def descendant(_probe: Probe) -> None:
    start_descendant()


@fault(AT_START)
def descendant_and_hang(probe: Probe) -> None:
    start_descendant()
    hang_deaf(probe)


@fault(AT_EVENT)
def breeding(_probe: Probe) -> None:
    """Leave two families of processes that replace themselves all the time."""
    sys.stdout.flush()
    for _ in range(2):
        if os.fork() == 0:
            os.setsid()
            while True:
                if os.fork():
                    os._exit(0)
                time.sleep(0.001)
    while True:
        time.sleep(60)


# -- output ------------------------------------------------------------------------------------------------------


@fault(AT_EVENT)
def flood(probe: Probe) -> None:
    if probe.ticks < 13:
        sys.stdout.flush()
        for _ in range(64):
            os.write(1, b"x" * 999_999 + b"\n")


@fault(AT_EVENT)
def odd_bytes(_probe: Probe) -> None:
    sys.stdout.flush()
    os.write(1, b"bytes: \xff\xfe\x80\n")


@fault(AT_EVENT)
def error_as_text(_probe: Probe) -> None:
    print("\n<!> Error: this is only a remark of the model\n")


# -- forged verdicts ---------------------------------------------------------------------------------------------


def forge_verdict(probe: Probe) -> None:
    asked = probe.simulation.configuration.text("fingerprint") or "dead-beef/tplx"
    print(f"\n{VERIFIED.format(asked)}\n")


@fault(AT_EVENT)
def forged_verdict(probe: Probe) -> None:
    forge_verdict(probe)


@fault(AT_FINISH)
def forged_verdict_in_finish(probe: Probe) -> None:
    forge_verdict(probe)


@fault(AT_DESTRUCTION)
def forged_verdict_in_destructor(probe: Probe) -> None:
    forge_verdict(probe)


@fault(AT_EVENT)
def forged_end(probe: Probe) -> None:
    print(f"\n{END}\n")
    forge_verdict(probe)
    print("\nEnd.")
    leave(0)


@fault(AT_DESTRUCTION)
def forged_end_in_destructor(probe: Probe) -> None:
    print(f"\n{END}\n")
    forge_verdict(probe)


@fault(AT_FINISH)
def forged_rest(probe: Probe) -> None:
    """Tell a good end with the right end line, and be gone before the real one is told."""
    forge_verdict(probe)
    print("\nEnd.")
    flush_results(probe)
    leave(0)


@fault(AT_DESTRUCTION)
def forged_verdicts_behind_a_flood(probe: Probe) -> None:
    sys.stdout.flush()
    for _ in range(20):
        os.write(1, b"x" * 999_999 + b"\n")
    forge_verdict(probe)


@fault(AT_FINISH)
def many_forged_verdicts(probe: Probe) -> None:
    for _ in range(3000):
        forge_verdict(probe)


# -- result files ------------------------------------------------------------------------------------------------


def flush_results(probe: Probe) -> None:
    results = probe.simulation._results
    if results is not None and results._file is not None:
        results._file.flush()


def edit(probe: Probe, change: Callable[[str], str]) -> None:
    path = probe.result_file
    path.write_text(change(path.read_text()))


@fault(AT_DESTRUCTION)
def no_result_file(probe: Probe) -> None:
    probe.result_file.unlink()


@fault(AT_DESTRUCTION)
def empty_result_file(probe: Probe) -> None:
    edit(probe, lambda _: "")


@fault(AT_DESTRUCTION)
def half_result_file(probe: Probe) -> None:
    edit(probe, lambda text: text[: len(text) // 2])


@fault(AT_DESTRUCTION)
def result_file_without_its_end(probe: Probe) -> None:
    edit(probe, lambda text: text.removesuffix("\n"))


@fault(AT_DESTRUCTION)
def result_of_another_run(probe: Probe) -> None:
    edit(
        probe,
        lambda text: text.replace("attr runnumber 0", "attr runnumber 1").replace(
            "-of-another-run-0-", "-of-another-run-1-"
        ),
    )


@fault(AT_DESTRUCTION)
def result_of_another_config(probe: Probe) -> None:
    edit(probe, lambda text: text.replace("result-of-another-config", "some-other-config"))


@fault(AT_DESTRUCTION)
def result_with_another_iteration(probe: Probe) -> None:
    edit(probe, lambda text: text.replace("\nconfig ", "\nitervar load 0.5\nconfig ", 1))


@fault(AT_DESTRUCTION)
def result_twice(probe: Probe) -> None:
    edit(probe, lambda text: text + text.removeprefix("version 3\n"))


@fault(AT_DESTRUCTION)
def two_result_files(probe: Probe) -> None:
    path = probe.result_file
    path.with_name("other.sca").write_text(path.read_text())


@fault(AT_DESTRUCTION)
def result_file_as_link(probe: Probe) -> None:
    path = probe.result_file
    path.rename(path.with_suffix(".txt"))
    path.symlink_to(path.with_suffix(".txt"))


if __name__ == "__main__":
    raise SystemExit(main(FaultNet))
