"""Messages and packets: what modules send to each other and to themselves.

Depends on nothing but the kernel's types. They are named and counted as OMNeT++'s `cMessage` and `cPacket` are.
"""

from __future__ import annotations

import copy
import typing
from typing import ClassVar

from .errors import SimulationError

if typing.TYPE_CHECKING:
    from .components import Gate, Module
    from .kernel import Arrival


_Message = typing.TypeVar("_Message", bound="Message")


class Message:
    """A message; a subclass that has fields of its own names its C++ class in `class_name`."""

    #: What OMNeT++ calls the class in fingerprints and error texts.
    class_name: ClassVar[str] = "omnetpp::cMessage"

    #: Picoseconds of the current event, set by the kernel: new messages note it.
    now: ClassVar[int] = 0
    #: How many messages were made, and how many of them are still there; for the status lines.
    total_count: ClassVar[int] = 0
    live_count: ClassVar[int] = 0

    def __init__(self, name: str = "", kind: int = 0) -> None:
        self.name = name
        self.kind = kind
        #: The lower, the earlier among messages of the same time.
        self.priority = 0
        self.creation_time = Message.now
        self.timestamp = 0
        #: Where it was received last; a self-message came through no gate.
        self.arrival_module: Module | None = None
        self.arrival_gate: Gate | None = None
        #: Its place among the future events while it is there.
        self.scheduled: Arrival | None = None
        Message.total_count += 1
        Message.live_count += 1

    def __del__(self) -> None:
        Message.live_count -= 1

    @classmethod
    def reset(cls) -> None:
        """Begin to count anew, for a new run."""
        Message.now = 0
        Message.total_count = 0
        Message.live_count = 0

    def __str__(self) -> str:
        return f"({self.class_name}){self.name}"

    @property
    def is_scheduled(self) -> bool:
        """Tell whether it lies among the future events."""
        return self.scheduled is not None

    @property
    def is_self_message(self) -> bool:
        """Tell whether the module that received it had scheduled it."""
        return self.arrival_gate is None

    @property
    def arrival_index(self) -> int:
        """The index of the gate that it came in through, in its vector of gates; 0 outside of one."""
        return (self.arrival_gate.index or 0) if self.arrival_gate else 0

    def arrived_on(self, gate: str) -> bool:
        """Tell whether it came in through the gate of that name."""
        return self.arrival_gate is not None and self.arrival_gate.name == gate

    def dup(self: _Message) -> _Message:  # noqa: PYI019  # typing.Self came with Python 3.11
        """Return a copy that is not scheduled; it is as old as the original."""
        duplicate = copy.copy(self)
        duplicate.scheduled = None
        Message.total_count += 1
        Message.live_count += 1
        return duplicate


class Packet(Message):
    """A message with a length."""

    class_name = "omnetpp::cPacket"

    def __init__(self, name: str = "", kind: int = 0, bit_length: int = 0) -> None:
        super().__init__(name, kind)
        #: The ingredient "l" of fingerprints.
        self.bit_length = bit_length


def check_and_cast(kind: type[_Message], message: Message | None) -> _Message:
    """Return the message as one of that kind; raise `SimulationError` if it is another."""
    if not isinstance(message, kind):
        raise SimulationError(f"check_and_cast(): Cannot cast {message} to type '{kind.class_name}'")
    return message
