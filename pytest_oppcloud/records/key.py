"""The identity of a run, and the order in which people expect names."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Bounded, as int() refuses thousands of digits, and a name may have them.
_DIGITS = re.compile(r"([0-9]{1,18})")


@functools.lru_cache(maxsize=65536)
def natural(text: str) -> tuple[tuple[str | int, ...], str]:
    """Return a sort key that puts `host[2]` before `host[10]`; different texts have different keys."""
    parts = _DIGITS.split(text)
    # Text and digits alternate, beginning with text: like is always compared with like.
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts)), text


@dataclass(frozen=True, slots=True, kw_only=True)
class RunKey:
    """What identifies a run in the baselines of an ini file: never its number, which moves with every new run.

    Build it with `RunKey.of`.
    """

    config: str
    #: Iteration variables and their values, by name: a changed nesting order is still the same run.
    itervars: tuple[tuple[str, str], ...]
    repetition: int
    #: 1, or 2, 3, ... for further runs of the config with the same variables and repetition, in run order.
    occurrence: int

    @classmethod
    def of(cls, config: str, itervars: Mapping[str, str], repetition: int, occurrence: int = 1) -> RunKey:
        """Return the key of a run."""
        ordered = tuple(sorted(itervars.items(), key=lambda item: natural(item[0])))
        return cls(config=config, itervars=ordered, repetition=repetition, occurrence=occurrence)

    @property
    def words(self) -> tuple[str, ...]:
        """The key as the words of a heading: config, variables as `name=value`, `#repetition`, `~occurrence`."""
        words = (self.config, *(f"{name}={value}" for name, value in self.itervars), f"#{self.repetition}")
        return words if self.occurrence == 1 else (*words, f"~{self.occurrence}")

    @property
    def order(self) -> tuple[object, ...]:
        """Sort key: numbers by size, so that numHosts=2 comes before numHosts=10."""
        variables = tuple((natural(name), natural(value)) for name, value in self.itervars)
        return (natural(self.config), variables, self.repetition, self.occurrence)

    def __str__(self) -> str:
        return " ".join(self.words)
