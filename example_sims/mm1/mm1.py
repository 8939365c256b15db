"""The M/M/1 example for the embedded engine; `mm1.cc` and `MM1.ned` hold the same model for OMNeT++."""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the engine lies beside the examples

from engine import (
    CompoundModule,
    Message,
    Packet,
    Parameter,
    SimpleModule,
    Statistic,
    StdDev,
    check_and_cast,
    divide,
    from_seconds,
    main,
    seconds,
)


class Source(SimpleModule):
    """Makes jobs, one after the other, with a random time between them."""

    parameters = (
        Parameter("interArrivalTime", "double", unit="s", volatile=True),
        Parameter("jobLength", "int", unit="b", volatile=True, default="1000b"),
    )

    def initialize(self) -> None:
        """Wait for the first job."""
        self.created = 0
        self.schedule_after(from_seconds(self.par("interArrivalTime")), Message("nextJob"))

    def handle_message(self, message: Message) -> None:
        """Send a job, and wait for the next one."""
        self.send(Packet("job", bit_length=self.par("jobLength")), "out")
        self.created += 1
        self.schedule_after(from_seconds(self.par("interArrivalTime")), message)

    def finish(self) -> None:
        """Record how many jobs there were."""
        self.record_scalar("created", self.created)


class Queue(SimpleModule):
    """Serves one job at a time, first come, first served; what finds the waiting room full is dropped."""

    parameters = (
        Parameter("serviceTime", "double", unit="s", volatile=True),
        Parameter("capacity", "int", default="-1"),
    )
    statistics = (
        Statistic("queueLength", ["timeavg", "max"], title="queue length", interpolationmode="sample-hold"),
        Statistic("busy", ["timeavg"], title="server utilization", interpolationmode="sample-hold"),
        Statistic("waitingTime", ["count", "mean", "max", "histogram?", "vector?"], title="waiting time", unit="s"),
        Statistic("dropped", ["count", "sum"], title="length of dropped jobs", unit="b"),
    )

    def initialize(self) -> None:
        """Begin idle."""
        self.waiting: deque[Packet] = deque()
        self.in_service: Packet | None = None
        self.end_of_service = Message("endOfService")
        self.service_times = StdDev("serviceTimes")
        self.emit("queueLength", 0)
        self.emit("busy", False)

    def handle_message(self, message: Message) -> None:
        """Take a job in, or let the one in service go."""
        if message is self.end_of_service:
            self.end_service(check_and_cast(Packet, self.in_service))
            return
        job = check_and_cast(Packet, message)
        job.timestamp = self.now
        capacity = self.par("capacity")
        if self.in_service is None:
            self.emit("busy", True)
            self.serve(job)
        elif 0 <= capacity <= len(self.waiting):
            self.emit("dropped", job.bit_length)
        else:
            self.waiting.append(job)
            self.emit("queueLength", len(self.waiting))

    def end_service(self, job: Packet) -> None:
        """Send the job on, and begin with the next one."""
        self.send(job, "out")
        self.in_service = None
        if self.waiting:
            following = self.waiting.popleft()
            self.emit("queueLength", len(self.waiting))
            self.serve(following)
        else:
            self.emit("busy", False)

    def serve(self, job: Packet) -> None:
        """Begin to serve a job."""
        self.in_service = job
        self.emit("waitingTime", seconds(self.now - job.timestamp))
        service_time = self.par("serviceTime")
        self.service_times.collect(service_time)
        self.schedule_after(from_seconds(service_time), self.end_of_service)

    def finish(self) -> None:
        """Record who still waits, and how long serving took."""
        self.record_scalar("leftOver", len(self.waiting))
        self.record_statistic(self.service_times, "s")


class Sink(SimpleModule):
    """Takes the jobs in and looks at how long they were on their way."""

    statistics = (Statistic("lifeTime", ["count", "mean", "stats", "histogram?"], title="life time", unit="s"),)

    def initialize(self) -> None:
        """Begin to count."""
        self.bits = 0

    def handle_message(self, message: Message) -> None:
        """Take a job in."""
        job = check_and_cast(Packet, message)
        self.emit("lifeTime", seconds(self.now - job.creation_time))
        self.bits += job.bit_length

    def finish(self) -> None:
        """Record how much came through."""
        self.record_scalar("throughput", divide(self.bits, seconds(self.now)), "bps")


class MM1(CompoundModule):
    """A source, a queue with its server, a sink."""

    def build(self) -> None:
        """Put the three in a row."""
        source = self.add("source", Source)
        queue = self.add("queue", Queue)
        sink = self.add("sink", Sink)
        self.connect(source.gate("out"), queue.gate("in"))
        self.connect(queue.gate("out"), sink.gate("in"))


if __name__ == "__main__":
    raise SystemExit(main(MM1))
