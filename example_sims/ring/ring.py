"""The ring example for the embedded engine; `ring.cc` and `Ring.ned` hold the same model for OMNeT++."""

from __future__ import annotations

import enum
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
    SimulationError,
    Statistic,
    check_and_cast,
    from_seconds,
    main,
    seconds,
)
from engine.distributions import intuniform


class Kind(enum.IntEnum):
    """What a packet is."""

    REQUEST = 1
    REPLY = 2


class RingPacket(Packet):
    """A packet with an address, on its way around the ring."""

    class_name = "RingPacket"

    def __init__(self, name: str, kind: Kind, *, source: int, destination: int, byte_length: int) -> None:
        super().__init__(name, kind, bit_length=8 * byte_length)
        self.source = source
        self.destination = destination
        self.hops = 0


class App(SimpleModule):
    """Sends packets to other nodes, receives those for its own, and answers them where it is told to."""

    parameters = (
        Parameter("address", "int"),
        Parameter("numNodes", "int"),
        Parameter("sendInterval", "double", unit="s", volatile=True, default="exponential(100ms)"),
        Parameter("packetLength", "int", unit="B", volatile=True, default="500B"),
        Parameter("traffic", "string", default='"uniform"'),
        Parameter("reply", "bool", default="false"),
    )
    statistics = (
        Statistic("received", ["count", "sum"], title="received packets", unit="b"),
        Statistic("delay", ["mean", "max", "histogram?"], title="end-to-end delay", unit="s", numBins="10"),
        Statistic("hops", ["mean", "max", "histogram?"], title="hops"),
    )

    def initialize(self) -> None:
        """Wait for the first packet."""
        self.sent = 0
        self.address = self.par("address")
        self.num_nodes = self.par("numNodes")
        self.next_packet = Message("nextPacket")
        self.schedule_after(from_seconds(self.par("sendInterval")), self.next_packet)

    def choose_destination(self) -> int:
        """Return the address of the next packet."""
        traffic = self.par("traffic")
        if traffic == "neighbour":
            distance = 1
        elif traffic == "opposite":
            distance = self.num_nodes // 2
        elif traffic == "uniform":
            distance = 1 + self.draw(intuniform, 0, self.num_nodes - 2)
        else:
            raise SimulationError(f"Unknown traffic '{traffic}'")
        return int((self.address + distance) % self.num_nodes)

    def send_to(self, destination: int, name: str, kind: Kind, byte_length: int) -> None:
        """Send a packet to another node."""
        packet = RingPacket(name, kind, source=self.address, destination=destination, byte_length=byte_length)
        self.sent += 1
        self.send(packet, "out")

    def handle_message(self, message: Message) -> None:
        """Send a packet, or receive one."""
        if message is self.next_packet:
            self.send_to(self.choose_destination(), "request", Kind.REQUEST, self.par("packetLength"))
            self.schedule_after(from_seconds(self.par("sendInterval")), message)
            return
        packet = check_and_cast(RingPacket, message)
        self.emit("received", packet.bit_length)
        self.emit("delay", seconds(self.now - packet.creation_time))
        self.emit("hops", packet.hops)
        if packet.kind == Kind.REQUEST and self.par("reply"):
            self.send_to(packet.source, "reply", Kind.REPLY, 64)

    def finish(self) -> None:
        """Record how much was sent."""
        self.record_scalar("sent", self.sent)


class Router(SimpleModule):
    """Hands a packet to the application or on to the next node."""

    parameters = (Parameter("address", "int"),)
    statistics = (Statistic("forwarded", ["count"], title="forwarded packets"),)

    def initialize(self) -> None:
        """Remember who we are."""
        self.address = self.par("address")

    def handle_message(self, message: Message) -> None:
        """Hand a packet on."""
        packet = check_and_cast(RingPacket, message)
        if packet.destination == self.address:
            self.send(packet, "toApp")
            return
        if packet.arrived_on("fromRing"):
            self.emit("forwarded", 1)
        packet.hops += 1
        self.send(packet, "toRing")


class Transmitter(SimpleModule):
    """Puts packets on the line, one at a time."""

    parameters = (Parameter("datarate", "double", unit="bps"),)
    statistics = (
        Statistic("queueLength", ["max", "timeavg"], title="queue length", interpolationmode="sample-hold"),
        Statistic("transmitting", ["timeavg"], title="line utilization", interpolationmode="sample-hold"),
    )

    def initialize(self) -> None:
        """Begin idle."""
        self.queue: deque[Packet] = deque()
        self.on_line: Packet | None = None
        self.datarate = self.par("datarate")
        self.end_of_transmission = Message("endOfTransmission")
        self.emit("queueLength", 0)
        self.emit("transmitting", False)

    def handle_message(self, message: Message) -> None:
        """Transmit a packet, or let the one on the line go."""
        if message is self.end_of_transmission:
            self.end_transmission(check_and_cast(Packet, self.on_line))
        elif self.on_line is not None:
            self.queue.append(check_and_cast(Packet, message))
            self.emit("queueLength", len(self.queue))
        else:
            self.emit("transmitting", True)
            self.transmit(check_and_cast(Packet, message))

    def end_transmission(self, packet: Packet) -> None:
        """Let the packet go, and begin with the next one."""
        self.send(packet, "out")
        self.on_line = None
        if self.queue:
            self.transmit(self.queue.popleft())
            self.emit("queueLength", len(self.queue))
        else:
            self.emit("transmitting", False)

    def transmit(self, packet: Packet) -> None:
        """Put a packet on the line."""
        self.on_line = packet
        self.schedule_after(from_seconds(packet.bit_length / self.datarate), self.end_of_transmission)


class Node(CompoundModule):
    """An application, a router, and the line to the next node."""

    parameters = (Parameter("address", "int", default="index"), Parameter("numNodes", "int"))

    def build(self) -> None:
        """Connect the three with each other and with the ring."""
        app = self.add("app", App, address="parent.address", numNodes="parent.numNodes")
        router = self.add("router", Router, address="parent.address")
        transmitter = self.add("transmitter", Transmitter)
        self.connect(app.gate("out"), router.gate("fromApp"))
        self.connect(router.gate("toApp"), app.gate("in"))
        self.connect(self.gate("ringIn"), router.gate("fromRing"))
        self.connect(router.gate("toRing"), transmitter.gate("in"))
        self.connect(transmitter.gate("out"), self.gate("ringOut"))


class Ring(CompoundModule):
    """Nodes in a ring that hand packets on in one direction."""

    parameters = (Parameter("numNodes", "int"), Parameter("linkDelay", "double", unit="s", default="1ms"))

    def build(self) -> None:
        """Close the ring."""
        nodes = self.add_vector("node", Node, self.par("numNodes"), numNodes="parent.numNodes")
        for index, node in enumerate(nodes):
            target = nodes[(index + 1) % len(nodes)]
            self.connect(node.gate("ringOut"), target.gate("ringIn"), delay="parent.linkDelay")


if __name__ == "__main__":
    raise SystemExit(main(Ring))
