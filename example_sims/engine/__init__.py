"""An embedded simulation engine that gives the results of OMNeT++ 6.1 to the last digit, for models in Python.

It is what the example simulations run on where there is no OMNeT++. SimPy carries the events; ini files are read by
`pytest_oppcloud.inifile` and `pytest_oppcloud.runs`; random numbers, parameters, statistics, result files and
fingerprints follow OMNeT++'s source. A model reads like this:

    class Source(SimpleModule):
        parameters = (Parameter("interval", "double", unit="s", volatile=True, default="exponential(1s)"),)
        statistics = (Statistic("made", ["count"], title="jobs"),)

        def initialize(self) -> None:
            self.schedule_after(from_seconds(self.par("interval")), Message("next"))

        def handle_message(self, message: Message) -> None:
            self.emit("made", 1)
            self.schedule_after(from_seconds(self.par("interval")), message)

    class Net(CompoundModule):
        def build(self) -> None:
            self.add("source", Source)

    if __name__ == "__main__":
        raise SystemExit(main(Net))

Times are integers in picoseconds (`now`, `schedule_at`, `delay`); `from_seconds` and `seconds` convert them, and what
is emitted or recorded is in seconds. README.md beside this file tells what the engine does not do.
"""

from __future__ import annotations

from .cmdenv import main
from .components import CompoundModule, SimpleModule
from .errors import SimulationError
from .histogram import Histogram
from .messages import Message, Packet, check_and_cast
from .parameters import Parameter
from .recording import Statistic
from .simtime import from_seconds, seconds
from .statistics import StdDev, divide

__all__ = [
    "CompoundModule",
    "Histogram",
    "Message",
    "Packet",
    "Parameter",
    "SimpleModule",
    "SimulationError",
    "Statistic",
    "StdDev",
    "check_and_cast",
    "divide",
    "from_seconds",
    "main",
    "seconds",
]
