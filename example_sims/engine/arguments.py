"""The command line, read as OMNeT++ reads it.

Standard library only. Rules: OMNeT++ 6.1, src/envir/args.cc; the options are those of its simulations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import SimulationError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Options that take an argument, in the same word or the next one; that of "h" may be missing.
_WITH_ARGUMENT = frozenset("hfulcrnxipqe")
_FLAGS = frozenset("avwsm")


@dataclass(slots=True)
class Arguments:
    """A command line."""

    #: Values by letter; a flag that was given has an empty list.
    short: dict[str, list[str]] = field(default_factory=dict)
    #: `--key=value` by key.
    long: dict[str, str] = field(default_factory=dict)
    #: Everything else: ini files.
    words: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, words: Sequence[str]) -> Arguments:
        """Read a command line; raise `SimulationError` with OMNeT++'s words for an option that does not exist."""
        arguments = cls()
        remaining = list(words)
        while remaining:
            word = remaining.pop(0)
            if word == "--":
                arguments.words += remaining
                break
            if word.startswith("--"):
                key, equals, value = word[2:].partition("=")
                arguments.long[key] = value if equals else remaining.pop(0) if remaining else ""
            elif word.startswith("-"):
                arguments.short_option(word, remaining)
            else:
                arguments.words.append(word)
        return arguments

    def short_option(self, word: str, remaining: list[str]) -> None:
        """Read an option of one letter, with its argument from the front of `remaining` if it is not in the word."""
        letter, rest = word[1:2], word[2:]
        if letter in _FLAGS:
            if rest:
                raise SimulationError(f"command-line option -{letter} expects no argument")
            self.short[letter] = []
        elif letter in _WITH_ARGUMENT and letter:
            values = self.short.setdefault(letter, [])
            if rest or remaining:
                values.append(rest or remaining.pop(0))
            elif letter != "h":
                raise SimulationError(f"command-line option {word} is missing required argument")
        else:
            raise SimulationError(f"Invalid command-line option {word}, try -h for help")

    def has(self, letter: str) -> bool:
        """Tell whether an option was given."""
        return letter in self.short

    def last(self, letter: str) -> str | None:
        """Return the value of an option that counts once, None if it was not given."""
        values = self.short.get(letter)
        return values[-1] if values else None

    def all(self, letter: str) -> list[str]:
        """Return all values of an option that adds up."""
        return self.short.get(letter, [])
