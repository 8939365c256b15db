"""The ALOHA example for the embedded engine; `aloha.cc` and `Aloha.ned` hold the same model for OMNeT++."""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the engine lies beside the examples

from engine import (
    CompoundModule,
    Histogram,
    Message,
    Packet,
    Parameter,
    SimpleModule,
    Statistic,
    check_and_cast,
    divide,
    from_seconds,
    main,
    seconds,
)


class Outcome(enum.IntEnum):
    """What the medium tells a station about its frame."""

    RECEIVED = 1
    COLLIDED = 2


class Station(SimpleModule):
    """Thinks, sends a frame, and sends it again after a random time when it collided."""

    parameters = (
        Parameter("thinkTime", "double", unit="s", volatile=True),
        Parameter("backoff", "double", unit="s", volatile=True),
        Parameter("frameLength", "int", unit="b", volatile=True, default="1000b"),
        Parameter("slotTime", "double", unit="s", default="0s"),
        Parameter("maxAttempts", "int", default="8"),
    )
    statistics = (
        Statistic("attempts", ["count", "mean", "max"], title="attempts until a frame got through"),
        Statistic("givenUp", ["count"], title="frames given up"),
    )

    def initialize(self) -> None:
        """Begin to think."""
        self.offered = 0
        self.attempt = Message("attempt")
        self.new_frame()

    def new_frame(self) -> None:
        """Think, then send a frame."""
        self.attempts = 0
        self.frame = Packet("frame", bit_length=self.par("frameLength"))
        self.try_after(self.par("thinkTime"))

    def try_after(self, delay: float) -> None:
        """Plan the next attempt, at the beginning of a slot where there are slots."""
        time = self.now + from_seconds(delay)
        slot = from_seconds(self.par("slotTime"))
        if slot > 0:
            time = (time + slot - 1) // slot * slot
        self.schedule_at(time, self.attempt)

    def handle_message(self, message: Message) -> None:
        """Send the frame, or hear how it fared."""
        if message is self.attempt:
            self.attempts += 1
            self.offered += 1
            self.send(self.frame.dup(), "out")
            return
        received = message.kind == Outcome.RECEIVED
        if not received and self.attempts < self.par("maxAttempts"):
            self.try_after(self.par("backoff"))
            return
        if received:
            self.emit("attempts", self.attempts)
        else:
            self.emit("givenUp", self.frame.bit_length)
        self.new_frame()

    def finish(self) -> None:
        """Record how many frames were sent, repetitions included."""
        self.record_scalar("offered", self.offered)


@dataclass(slots=True)
class Transmission:
    """A frame on the air."""

    frame: Packet
    station: int
    collided: bool


class Medium(SimpleModule):
    """Carries frames; what overlaps is lost. It tells the station how its frame fared."""

    parameters = (Parameter("datarate", "double", unit="bps", default="9600bps"),)
    statistics = (
        Statistic("onAir", ["timeavg", "max"], title="frames on the air", interpolationmode="sample-hold"),
        Statistic(
            "busy",
            ["histogram?"],
            source="onAir",
            title="frames on the air",
            timeWeighted="true",
            interpolationmode="sample-hold",
        ),
        Statistic("collision", ["count", "mean", "sum", "histogram?"], title="length of a collision", unit="s"),
        Statistic("received", ["count", "sum", "last"], title="received frames", unit="b"),
    )

    def initialize(self) -> None:
        """Begin silent."""
        self.datarate = self.par("datarate")
        self.on_air: dict[Message, Transmission] = {}
        self.busy_since = 0
        self.busy_time = 0
        self.idle_since = 0
        self.received_bits = 0
        self.sent = 0
        self.gaps = Histogram("gaps")
        self.emit("onAir", 0)

    def handle_message(self, message: Message) -> None:
        """Let a frame begin or end."""
        if message.is_self_message:
            self.frame_ends(message)
        else:
            self.frame_begins(check_and_cast(Packet, message))

    def frame_begins(self, frame: Packet) -> None:
        """Note a frame, and what it collides with."""
        self.sent += 1
        collided = bool(self.on_air)
        if collided:
            for transmission in self.on_air.values():
                transmission.collided = True
        else:
            self.busy_since = self.now
            self.gaps.collect(seconds(self.now - self.idle_since))
        end = Message("end")
        end.priority = -1  # a frame that begins when another one ends does not collide with it
        self.on_air[end] = Transmission(frame, frame.arrival_index, collided)
        self.emit("onAir", len(self.on_air))
        self.schedule_after(from_seconds(frame.bit_length / self.datarate), end)

    def frame_ends(self, end: Message) -> None:
        """Tell the station how its frame fared."""
        ended = self.on_air.pop(end)
        if not ended.collided:
            self.received_bits += ended.frame.bit_length
            self.emit("received", ended.frame.bit_length)
        outcome = Message("collided", Outcome.COLLIDED) if ended.collided else Message("received", Outcome.RECEIVED)
        self.send(outcome, "out", ended.station)
        self.emit("onAir", len(self.on_air))
        if not self.on_air:
            self.busy_time += self.now - self.busy_since
            self.idle_since = self.now
            if ended.collided:
                self.emit("collision", seconds(self.now - self.busy_since))

    def finish(self) -> None:
        """Record how well the medium was used."""
        capacity = seconds(self.now) * self.datarate
        self.record_scalar("sent", self.sent)
        self.record_scalar("utilization", divide(self.busy_time, self.now))
        self.record_scalar("throughput", divide(self.received_bits, capacity))
        self.record_statistic(self.gaps, "s")


class Aloha(CompoundModule):
    """Stations around one medium."""

    parameters = (Parameter("numStations", "int"),)

    def build(self) -> None:
        """Connect every station with the medium, both ways."""
        medium = self.add("medium", Medium)
        stations = self.add_vector("station", Station, self.par("numStations"))
        for index, station in enumerate(stations):
            self.connect(station.gate("out"), medium.gate("in", index))
            self.connect(medium.gate("out", index), station.gate("in"))


if __name__ == "__main__":
    raise SystemExit(main(Aloha))
