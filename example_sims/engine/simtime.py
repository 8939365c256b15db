"""Simulation time: a plain `int` that counts picoseconds, as OMNeT++'s `simtime_t` does inside.

Standard library only. Rules: OMNeT++ 6.1, include/omnetpp/simtime.h and src/sim/simtime.cc, scale exponent -12.
"""

from __future__ import annotations

import math

from .errors import SimulationError

#: Picoseconds in a second.
SCALE = 10**12
#: The last time that fits into 64 bits: about 107 days.
MAX_TIME = 2**63 - 1

_INVERSE = 1.0 / SCALE


def from_seconds(value: float) -> int:
    """Round `value` seconds to the nearest picosecond; raise `SimulationError` where it does not fit."""
    scaled = value * 1e12 + 0.5
    if not abs(scaled) <= MAX_TIME:
        limit = text(MAX_TIME)
        raise SimulationError(
            f"simtime_t: Cannot represent {value:g}, out of the range (-{limit},{limit}) "
            "allowed by the current scale exponent -12"
        )
    return math.floor(scaled)


def seconds(time: int) -> float:
    """Return `time` in seconds, the way `simtime_t::dbl()` computes it: a multiplication, not a division."""
    return time * _INVERSE


def text(time: int) -> str:
    """Write `time` in seconds with all the digits it has and not one more: "37675.497141014148"."""
    whole, fraction = divmod(abs(time), SCALE)
    digits = f"{fraction:012d}".rstrip("0")
    sign = "-" if time < 0 else ""
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"
