"""OMNeT++'s random number generator: the Mersenne Twister MT19937, seeded by a plain integer.

Standard library only. Rules: OMNeT++ 6.1, src/sim/cmersennetwister.cc and the generator it wraps. Python's `random`
holds the same generator but seeds it in another way, so its state is set from here.
"""

from __future__ import annotations

from random import Random

_STATE_WORDS = 624
_UNIT = 1.0 / 2**32


def initial_state(seed: int) -> tuple[int, ...]:
    """Return the generator's state for a 32-bit integer seed (`init_genrand` of the reference implementation)."""
    word = seed & 0xFFFFFFFF
    words = [word]
    for index in range(1, _STATE_WORDS):
        word = (1812433253 * (word ^ (word >> 30)) + index) & 0xFFFFFFFF
        words.append(word)
    return tuple(words)


class MersenneTwister:
    """One stream of random numbers (`cMersenneTwister`)."""

    def __init__(self, seed: int) -> None:
        generator = Random()  # noqa: S311  # simulations want to be repeatable
        generator.setstate((3, (*initial_state(seed), _STATE_WORDS), None))
        self._bits = generator.getrandbits
        #: How many numbers were drawn: the ingredient "r" of fingerprints.
        self.numbers_drawn = 0

    def double(self) -> float:
        """Draw a number from [0, 1)."""
        self.numbers_drawn += 1
        return self._bits(32) * _UNIT

    def integer(self, count: int) -> int:
        """Draw an integer from 0 to `count` - 1; what lies above is thrown away, which counts as one draw."""
        self.numbers_drawn += 1
        last = count - 1
        mask = (1 << last.bit_length()) - 1
        while True:
            # The generator always yields 32 bits, and the low ones are used.
            number = self._bits(32) & mask
            if number <= last:
                return number
