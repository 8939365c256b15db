"""Fingerprints: a hash over all events and results of a run, computed and compared as OMNeT++ does it.

Depends on the kernel's types only. Rules: OMNeT++ 6.1, src/sim/cfingerprint.cc, include/omnetpp/chasher.h and
src/sim/chasher.cc.
"""

from __future__ import annotations

import math
import struct
import typing
from functools import lru_cache

from .errors import SimulationError
from .messages import Packet

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .components import Module
    from .kernel import Simulation
    from .messages import Message
    from .statistics import StdDev

#: All letters that OMNeT++ knows, and those among them that the engine cannot serve: message data, vector results.
_INGREDIENTS = frozenset("etncklodimparszvyfx0")
_UNSERVED = {"d": "message data", "v": "vector results"}
_MASK = 0xFFFFFFFF
_CANONICAL_NAN = 0x7FF8000000000000


class Hasher:
    """A 32-bit hash: adding a word rotates the value left by one bit and XORs the word."""

    def __init__(self) -> None:
        self.value = 0

    def add_word(self, word: int) -> None:
        """Add the low 32 bits of a word; negative numbers in two's complement."""
        value = self.value
        self.value = (((value << 1) & _MASK) | (value >> 31)) ^ (word & _MASK)

    def add_long(self, number: int) -> None:
        """Add a 64-bit integer, the low word first."""
        self.add_word(number)
        self.add_word(number >> 32)

    def add_double(self, number: float) -> None:
        """Add the bits of a double; all nans are one."""
        bits = _CANONICAL_NAN if math.isnan(number) else struct.unpack("<Q", struct.pack("<d", number))[0]
        self.add_long(bits)

    def add_text(self, text: str) -> None:
        """Add a string with the NUL at its end."""
        words, bits = _text_hash(text)
        # Adding is linear: n words at once are a rotation by n, and an XOR with what they give on their own.
        turn = words % 32
        value = self.value
        self.value = (((value << turn) & _MASK) | (value >> (32 - turn))) ^ bits

    def __str__(self) -> str:
        return f"{self.value >> 16:04x}-{self.value & 0xFFFF:04x}"


@lru_cache(maxsize=4096)
def _text_hash(text: str) -> tuple[int, int]:
    """Return the number of words of a string and the hash of them alone."""
    data = text.encode("utf-8", "surrogateescape") + b"\0"
    data += bytes(-len(data) % 4)
    words = struct.unpack(f"<{len(data) // 4}I", data)
    hasher = Hasher()
    for word in words:
        hasher.add_word(word)
    return len(words), hasher.value


def _add_length(hasher: Hasher, _simulation: Simulation, message: Message, _module: Module) -> None:
    if isinstance(message, Packet):
        hasher.add_long(message.bit_length)


def _add_random_numbers(hasher: Hasher, simulation: Simulation, _message: Message, _module: Module) -> None:
    for rng in simulation.rngs:
        hasher.add_long(rng.numbers_drawn)


def _reset(hasher: Hasher, _simulation: Simulation, _message: Message, _module: Module) -> None:
    hasher.value = 0


#: What the letters add at each event. The others add something elsewhere, or nothing: there is no control info ("o"),
#: and no user interface that draws ("y", "f").
_OF_EVENTS: Mapping[str, Callable[[Hasher, Simulation, Message, Module], None]] = {
    "e": lambda hasher, simulation, _message, _module: hasher.add_long(simulation.event_number),
    "t": lambda hasher, simulation, _message, _module: hasher.add_long(simulation.now),
    "n": lambda hasher, _simulation, message, _module: hasher.add_text(message.name),
    "c": lambda hasher, _simulation, message, _module: hasher.add_text(message.class_name),
    "k": lambda hasher, _simulation, message, _module: hasher.add_word(message.kind),
    "l": _add_length,
    "i": lambda hasher, _simulation, _message, module: hasher.add_word(module.id),
    "m": lambda hasher, _simulation, _message, module: hasher.add_text(module.full_name),
    "p": lambda hasher, _simulation, _message, module: hasher.add_text(module.full_path),
    "a": lambda hasher, _simulation, _message, module: hasher.add_text(module.type_class_name),
    "r": _add_random_numbers,
    "0": _reset,
}


class Fingerprint:
    """One fingerprint: what goes into it, and the values that are accepted for it."""

    def __init__(self, expected: str, default_ingredients: str) -> None:
        alternatives = [alternative.partition("/") for alternative in expected.split()]
        suffixes = list(dict.fromkeys(suffix for _, slash, suffix in alternatives if slash and suffix))
        if len(suffixes) > 1:
            raise SimulationError("Fingerprint option suffixes (parts after the '/') must agree")
        self.ingredients = suffixes[0] if suffixes else default_ingredients
        for letter in self.ingredients:
            if letter not in _INGREDIENTS:
                raise SimulationError(f"Unknown fingerprint ingredient character '{letter}'")
            if letter in _UNSERVED:
                raise SimulationError(
                    f"The embedded engine has no fingerprint ingredient '{letter}' ({_UNSERVED[letter]})"
                )
        self._accepted = [value for value, _, _ in alternatives]
        self._of_events = [_OF_EVENTS[letter] for letter in self.ingredients if letter in _OF_EVENTS]
        self._hasher = Hasher()

    def add_event(self, simulation: Simulation, message: Message, module: Module) -> None:
        """Add an event of `module` that is about to be executed; `simulation` is at its time already."""
        for add in self._of_events:
            add(self._hasher, simulation, message, module)

    def add_scalar(self, value: float) -> None:
        """Add a scalar that was recorded."""
        if "s" in self.ingredients:
            self._hasher.add_double(value)

    def add_statistic(self, statistic: StdDev) -> None:
        """Add a statistic or histogram that was recorded."""
        if "z" in self.ingredients:
            for value in statistic.hashed_values():
                self._hasher.add_double(value)

    def add_extra_data(self, data: str) -> None:
        """Add data that a module wants to be part of the fingerprint."""
        if "x" in self.ingredients:
            self._hasher.add_text(data)

    def matches(self) -> bool:
        """Tell whether one of the accepted values was reached; raise `SimulationError` where one is no value."""
        return any(_number(value) == self._hasher.value for value in self._accepted)

    def __str__(self) -> str:
        return f"{self._hasher}/{self.ingredients}"


def _number(text: str) -> int:
    """Read the text of a hash; dashes, colons and leading zeros do not matter."""
    digits = text.replace("-", "").replace(":", "")
    try:
        number = int(digits, 16)
    except ValueError:
        number = _MASK + 1
    if number > _MASK:
        raise SimulationError(f'Cannot verify hash: Invalid hash text "{text}"')
    return number


class Fingerprints:
    """All fingerprints of a run; every one of them must match."""

    def __init__(self, expected: str, default_ingredients: str) -> None:
        defaults = [part.strip() for part in default_ingredients.split(",")]
        parts = [part for part in expected.split(",") if part] if "," in expected else [expected]
        self.expected = expected
        self.items: Sequence[Fingerprint] = [
            Fingerprint(part, defaults[index] if index < len(defaults) else "") for index, part in enumerate(parts)
        ]

    def verdict(self) -> str:
        """Return OMNeT++'s line about it, without the `<!> `."""
        calculated = ", ".join(map(str, self.items))
        matches = [item.matches() for item in self.items]  # all of them: a wrong value is an error wherever it stands
        if all(matches):  # a wrong value is an error wherever it stands
            return f"Fingerprint successfully verified: {calculated}"
        return f"Fingerprint mismatch! calculated: {calculated}, expected: {self.expected}"
