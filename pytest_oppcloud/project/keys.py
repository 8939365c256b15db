"""The keys of `oppcloud.toml`: their types and what they mean, in one table.

The table is the only place that knows a key; the reader, the error messages and the test of the reference page
(docs/reference/oppcloud-toml.md) go by it. Pure: no pytest, no file is opened here.

A check takes the value as TOML gave it and returns it in the form of `settings.RunSettings`; what does not fit is a
`ValueError` that says what was expected.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from oppcloud_worker.ticket import Needs

from pytest_oppcloud.inifile import DEFAULT_VERSION, VERSIONS
from pytest_oppcloud.inifile.options import OptionTable, Scope
from pytest_oppcloud.inifile.patterns import Pattern, PatternError
from pytest_oppcloud.records import ItemPattern

if TYPE_CHECKING:
    from collections.abc import Callable

#: Where the simulations' time limits and tolerances may be given in words.
_SECONDS = MappingProxyType({"": 1.0, "ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0})
_BYTES = MappingProxyType(
    {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
)
#: What may stand in the words of `program`, to be replaced.
PLACEHOLDERS = ("folder", "name", "python")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
#: More than the system can count, or wait for.
_MOST_SECONDS = 1e9
_MOST_BYTES = 2.0**62
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)\s*")

#: What every run gets from us, so that its results and its end are found.
_GIVEN = frozenset({"cmdenv-redirect-output", "result-dir"})
_OPTIONS = OptionTable(DEFAULT_VERSION)

#: A simulation time limit of this value means: these runs end by themselves.
UNLIMITED = "unlimited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A program that may stand for the model."""

    #: What `--opp-program` calls it.
    name: str
    #: First words of the command line, placeholders not yet replaced.
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToleranceRule:
    """How far a value may be from its baseline; the first rule that fits a value decides."""

    #: Pattern of the module's full path, as in ini files (`**` crosses dots).
    module: str
    #: Pattern of the scalar's, statistic's or parameter's name.
    name: str
    #: Pattern of a statistic's field ("mean").
    field: str
    #: |difference| <= absolute + relative * |baseline| is accepted.
    absolute: float
    relative: float


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a string was expected")  # noqa: TRY004  # checks raise this one error
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false was expected")  # noqa: TRY004  # checks raise this one error
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError('a list of strings was expected, as in ["a", "b"]')
    return tuple(value)


def override(text: str) -> tuple[str, str]:
    """Read KEY=VALUE, leading dashes as on OMNeT++'s command line allowed; raise `ValueError` for anything else.

    As OMNeT++ takes it, a per-object option without a path is meant for all objects.
    """
    key, equals, value = text.removeprefix("--").partition("=")
    key = key.strip()
    if not (equals and key and value):
        raise ValueError('KEY=VALUE was expected, as "**.queue.capacity=10"')
    if key in _GIVEN:
        raise ValueError(f"{key} is given to each run and cannot be overridden")
    option = _OPTIONS.find(key)
    return f"**.{key}" if option is not None and option.scope is Scope.OBJECT else key, value


def arguments(value: object) -> tuple[str, ...]:
    """Return words for OMNeT++; raise `ValueError` for those that would contradict the run or hide a mistake."""
    words = _texts(value)
    for word in words:
        if word.startswith("--"):
            # In one word: OMNeT++ would take the next one for the value, whatever that is.
            override(word)
        elif re.match(r"-[fcru]", word):
            raise ValueError("ini file, config, run and user interface were expected to be left out: they are given")
    return words


def _table(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("a table of strings was expected")
    return dict(value)


def _choice(*choices: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(map(repr, choices))} was expected")
        return str(value)

    return check


def _words(value: object) -> tuple[str, ...]:
    """Return a command: an argument list as it is, a string split as a shell would."""
    try:
        words = tuple(shlex.split(value)) if isinstance(value, str) else _texts(value)
    except ValueError as error:
        raise ValueError(f"a command was expected: {error}") from error
    if not words:
        raise ValueError("a command was expected, found an empty one")
    for word in words:
        for name in _PLACEHOLDER.findall(word):
            if name not in PLACEHOLDERS:
                known = ", ".join(f"{{{known}}}" for known in PLACEHOLDERS)
                raise ValueError(f"unknown placeholder {{{name}}}: {known} were expected")
    return words


def _programs(value: object) -> tuple[Alternative, ...]:
    """Return the alternatives: one string, a list of commands, or a table of named commands."""
    if value and isinstance(value, dict):
        return tuple(Alternative(name=name, words=_words(item)) for name, item in value.items())
    commands = value if isinstance(value, list) else [value]
    if not value:
        raise ValueError("at least one program was expected")
    alternatives = []
    for item in commands:
        words = _words(item)
        named_by = words[1] if words[0] == "{python}" and len(words) > 1 else words[0]
        alternatives.append(Alternative(name=named_by.rsplit("/", 1)[-1], words=words))
    return tuple(alternatives)


def _measure(
    value: object, units: MappingProxyType[str, float] | MappingProxyType[str, int], most: float, example: str
) -> float:
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        amount = value
    elif match is None or match[2] not in units:
        raise ValueError(f"a number was expected, or a string as {example}")
    else:
        amount = float(match[1]) * units[match[2]]
    if amount > most:
        raise ValueError(f"at most {most:g} was expected")
    return float(amount)


def seconds(value: object) -> float:
    """Return a time in seconds: a number, or a string as "90s" or "1.5min"; raise `ValueError` for others."""
    return _measure(value, _SECONDS, _MOST_SECONDS, '"1.5min"')


def size(value: object) -> int:
    """Return a size in bytes: a number, or a string as "2GiB"; raise `ValueError` for others."""
    return int(_measure(value, _BYTES, _MOST_BYTES, '"2GiB"'))


def _whole_seconds(value: object) -> int:
    # RLIMIT_CPU knows whole seconds only; less than one would mean "no limit".
    return max(1, round(seconds(value))) if seconds(value) else 0


def simulated_time(value: object) -> str:
    """Return a simulation time limit as OMNeT++ takes it; raise `ValueError` where it would not."""
    if value == UNLIMITED:
        return UNLIMITED
    if not isinstance(value, str) or not re.fullmatch(
        r"\s*(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?\s*(?:[munpfa]?s|min|h|d)\s*)+", value
    ):
        raise ValueError(f'a time with a unit was expected, as "100s", or "{UNLIMITED}"')
    return value.strip()


def _image(value: object) -> str:
    return Needs(image=_text(value)).image


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ValueError("a number that is not negative was expected")
    return float(value)


def _pattern(value: object, read: Callable[[str], object] = Pattern) -> str:
    text = _text(value)
    try:
        read(text)
    except PatternError as error:
        raise ValueError(f"a pattern was expected, and {text!r} is none ({error})") from error
    return text


def _item_patterns(value: object) -> tuple[str, ...]:
    return tuple(_pattern(text, ItemPattern.read) for text in _texts(value))


def _tolerances(value: object) -> tuple[ToleranceRule, ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError("tables were expected, each under [[check.tolerances]]")
    known = {"module", "name", "field", "absolute", "relative"}
    rules = []
    for item in value:
        unknown = sorted(item.keys() - known)
        if unknown:
            raise ValueError(f"unknown key {unknown[0]!r} in a tolerance; known are {', '.join(sorted(known))}")
        if not item.keys() & {"absolute", "relative"}:
            raise ValueError("a tolerance was expected to say absolute, relative or both")
        rules.append(
            ToleranceRule(
                module=_pattern(item.get("module", "**")),
                name=_pattern(item.get("name", "**")),
                field=_pattern(item.get("field", "**")),
                absolute=_number(item.get("absolute", 0)),
                relative=_number(item.get("relative", 0)),
            )
        )
    return tuple(rules)


def _ingredients(value: object) -> tuple[str, ...]:
    texts = _texts(value)
    for text in texts:
        if not text or set(text) & set("/, "):
            raise ValueError(f'ingredients were expected, as "tplx"; {text!r} are none')
    return texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What is known of one key."""

    #: Turns the value into its final form or raises `ValueError`.
    check: Callable[[object], object]
    #: Whether it may stand in a `[config."PATTERN"]` table too, or only there.
    per_config: bool = True
    only_per_config: bool = False


_CHECKED_AS = _choice("values", "digest", "off")

#: All keys, tables written with a dot.
KEYS = MappingProxyType(
    {
        "program": Key(check=_programs),
        "arguments": Key(check=arguments),
        "ned_path": Key(check=_texts),
        "environment": Key(check=_table),
        "mode": Key(check=_choice("release", "debug")),
        "build": Key(check=_words, per_config=False),
        "build_timeout": Key(check=seconds, per_config=False),
        "extra_options": Key(check=_texts, per_config=False),
        "omnetpp": Key(check=_choice(*VERSIONS), per_config=False),
        "files.include": Key(check=_texts, per_config=False),
        "files.exclude": Key(check=_texts, per_config=False),
        "files.extra": Key(check=_texts, per_config=False),
        "limits.timeout": Key(check=seconds),
        "limits.sim_time_limit": Key(check=simulated_time),
        "limits.cpu_time": Key(check=_whole_seconds),
        "limits.memory": Key(check=size),
        "limits.file_size": Key(check=size),
        "limits.output": Key(check=size),
        "needs.memory": Key(check=size),
        "needs.image": Key(check=_image),
        "check.fingerprints": Key(check=_ingredients),
        "check.include": Key(check=_item_patterns),
        "check.exclude": Key(check=_item_patterns),
        "check.parameters": Key(check=_CHECKED_AS),
        "check.attributes": Key(check=_CHECKED_AS),
        "check.vectors": Key(check=_flag),
        "check.tolerances": Key(check=_tolerances),
        "skip": Key(check=_text, only_per_config=True),
        "xfail": Key(check=_text, only_per_config=True),
        "markers": Key(check=_texts, only_per_config=True),
    }
)

#: Names of the tables that hold keys.
TABLES = frozenset(name.split(".")[0] for name in KEYS if "." in name)
