"""The command line of `oppcloud runs`: our own options, and OMNeT++'s `--key=value`, any key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_oppcloud.inifile import DEFAULT_VERSION, VERSIONS, Version

from . import CommandLineError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class RunsArguments:
    """What was asked for."""

    files: list[str] = field(default_factory=list)
    #: None: all configurations.
    config: str | None = None
    run_filter: str = ""
    #: In the order given; the last of equal keys counts.
    overrides: list[tuple[str, str]] = field(default_factory=list)
    extra_options: tuple[str, ...] = ()
    version: Version = DEFAULT_VERSION
    json: bool = False
    help: bool = False


_WITH_VALUE: Final = {"-c": "config", "-f": "file", "-r": "filter", "--extra-options": "extra", "--omnetpp": "version"}


def parse_runs_arguments(given: Sequence[str]) -> RunsArguments:
    """Read the command line; raise `CommandLineError`."""
    arguments = RunsArguments()
    rest = list(reversed(given))
    while rest:
        word = rest.pop()
        if word == "--":
            arguments.files.extend(reversed(rest))
            break
        if word in {"-h", "--help"}:
            arguments.help = True
        elif word == "--json":
            arguments.json = True
        elif word.startswith("--"):
            key, equals, value = word.partition("=")
            if not equals:
                # As for OMNeT++, the value may be the next word; without one it is missing, which is reported later.
                value = _value(word, rest) if key in _WITH_VALUE else rest.pop() if rest else ""
            _set_long(arguments, key, value)
        elif word.startswith("-") and len(word) > 1:
            key = word[:2]
            if key not in _WITH_VALUE:
                raise CommandLineError(f"unknown option {word}")
            _set(arguments, _WITH_VALUE[key], word[2:] or _value(word, rest))
        else:
            arguments.files.append(word)
    if not arguments.files and not arguments.help:
        raise CommandLineError("an ini file is missing")
    return arguments


def _value(option: str, rest: list[str]) -> str:
    if not rest:
        raise CommandLineError(f"option {option} needs a value")
    return rest.pop()


def _set_long(arguments: RunsArguments, key: str, value: str) -> None:
    if key in _WITH_VALUE:
        _set(arguments, _WITH_VALUE[key], value)
    else:
        arguments.overrides.append((key[2:], value))


def _set(arguments: RunsArguments, what: str, value: str) -> None:
    if what == "config":
        arguments.config = value
    elif what == "file":
        arguments.files.append(value)
    elif what == "filter":
        arguments.run_filter = value
    elif what == "extra":
        arguments.extra_options += tuple(name for name in value.split(",") if name)
    elif value in VERSIONS:
        arguments.version = VERSIONS[value]
    else:
        raise CommandLineError(f"OMNeT++ {value} is not known, only {', '.join(VERSIONS)}")
