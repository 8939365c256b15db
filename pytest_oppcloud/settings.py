"""Options, environment and ini settings of the session: one table, and one function that says which one holds.

A value comes from the command line, else from the environment, else from pytest's ini file; where none of these says
anything, `oppcloud.toml` may (`pytest_oppcloud.project`), and then the default holds. Knows nothing of what the values
are used for.
"""

from __future__ import annotations

import argparse
import difflib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pytest

from .errors import IniError
from .project import override, seconds, simulated_time
from .runs import check_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Beginning of the names of all environment variables that mean anything to us.
PREFIX = "OPPCLOUD_"
#: How many runs a plain `pytest` starts without being asked for more.
DEFAULT_MAX_RUNS = 200
#: Wall-clock seconds of one simulation, where nothing else is said.
DEFAULT_TIMEOUT = 600.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Value(Generic[_T]):
    """A setting together with where it comes from."""

    value: _T
    #: "option --opp-mode", "environment OPPCLOUD_MODE", "ini option opp_mode", "oppcloud.toml:3" or "default".
    source: str

    @property
    def given(self) -> bool:
        """Whether somebody said so."""
        return self.source != "default"


def _not_negative(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError("a whole number that is not negative was expected")
    return number


def _yes_or_no(text: str) -> bool:
    if text.lower() not in {"true", "false", "yes", "no", "on", "off", "1", "0"}:
        raise ValueError("true or false was expected")
    return text.lower() in {"true", "yes", "on", "1"}


def _run_filter(text: str) -> str:
    try:
        check_filter(text)
    except IniError as error:
        raise ValueError(error.message) from error
    return text


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)} was expected")
        return text

    return parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One thing that can be set, and all the ways to set it."""

    #: Name of the field in `Settings`.
    name: str
    #: Reads the text of any source or raises `ValueError`; for repeatable options it reads one of the texts.
    parse: Callable[[str], Any]
    default: Any
    #: "" where there is no such way.
    option: str = ""
    environment: str = ""
    ini: str = ""
    metavar: str | None = None
    #: "store", "append" or "store_true".
    action: str = "store"
    help: str = ""
    #: Whether a single run comes out differently with it, so that it belongs in the command that repeats the run.
    decides_the_run: bool = False

    @property
    def destination(self) -> str:
        """The option's name for `config.getoption`."""
        return self.option.removeprefix("--").replace("-", "_")


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="configs",
        parse=str,
        default=(),
        option="--opp-config",
        action="append",
        metavar="PATTERN",
        help="Run only configs whose name matches PATTERN, as 'Pure*'\nMay be given several times",
    ),
    Setting(
        name="runs",
        parse=_run_filter,
        default="",
        option="--opp-runs",
        metavar="FILTER",
        help="Run only these runs: numbers as 0,2..5, or a condition as '$numHosts>10 && $repetition==0'\n"
        "The same as -r of OMNeT++",
    ),
    Setting(
        name="overrides",
        decides_the_run=True,
        parse=override,
        default=(),
        option="--opp-set",
        action="append",
        metavar="KEY=VALUE",
        help="Override an entry of the ini file, as --KEY=VALUE of OMNeT++ does\nMay be given several times",
    ),
    Setting(
        name="mode",
        decides_the_run=True,
        parse=_one_of("release", "debug"),
        default="",
        option="--opp-mode",
        environment="OPPCLOUD_MODE",
        ini="opp_mode",
        metavar="release|debug",
        help="Which build of the program is run\nDefault: release, else debug",
    ),
    Setting(
        name="program",
        decides_the_run=True,
        parse=str,
        default="",
        option="--opp-program",
        environment="OPPCLOUD_PROGRAM",
        ini="opp_program",
        metavar="NAME",
        help="Which of the programs in oppcloud.toml is run\nDefault: the first that exists",
    ),
    Setting(
        name="timeout",
        decides_the_run=True,
        parse=seconds,
        default=DEFAULT_TIMEOUT,
        option="--opp-timeout",
        environment="OPPCLOUD_TIMEOUT",
        ini="opp_timeout",
        metavar="TIME",
        help="End a simulation that takes longer than TIME, as 90s or 1.5min\n0 for no limit",
    ),
    Setting(
        name="sim_time_limit",
        decides_the_run=True,
        parse=simulated_time,
        default="",
        option="--opp-sim-time-limit",
        environment="OPPCLOUD_SIM_TIME_LIMIT",
        ini="opp_sim_time_limit",
        metavar="TIME",
        help="End each run after this simulated TIME, as 100s",
    ),
    Setting(
        name="update",
        parse=_one_of("new", "changed", "all"),
        default="",
        option="--opp-update-baselines",
        metavar="new|changed|all",
        help="Write baselines: of runs that have none (new), of runs that differ from theirs (changed),\n"
        "or of all that ran, dropping those of runs that are no more (all)",
    ),
    Setting(
        name="all",
        parse=_yes_or_no,
        default=False,
        option="--opp-all",
        action="store_true",
        help="Run all runs, however many they are",
    ),
    Setting(
        name="max_runs",
        parse=_not_negative,
        default=DEFAULT_MAX_RUNS,
        environment="OPPCLOUD_MAX_RUNS",
        ini="opp_max_runs",
        help="How many runs a session starts without --opp-all or a selection",
    ),
    Setting(
        name="collect",
        parse=_yes_or_no,
        default=True,
        environment="OPPCLOUD_COLLECT",
        ini="opp_collect",
        help="Whether ini files are collected at all",
    ),
    Setting(
        name="ini_files",
        parse=str.split,
        default=("omnetpp.ini",),
        ini="opp_ini_files",
        help="Patterns of the names of ini files that are collected (default: omnetpp.ini)",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds in this session, as far as option, environment and ini file say."""

    configs: Value[tuple[str, ...]]
    runs: Value[str]
    overrides: Value[tuple[tuple[str, str], ...]]
    mode: Value[str]
    program: Value[str]
    #: Seconds.
    timeout: Value[float]
    #: "" if not given.
    sim_time_limit: Value[str]
    #: "", "new", "changed" or "all".
    update: Value[str]
    all: Value[bool]
    max_runs: Value[int]
    collect: Value[bool]
    ini_files: Value[tuple[str, ...]]


def add_settings(parser: pytest.Parser, group: pytest.OptionGroup) -> None:
    """Register the options in `group`, and the ini options."""
    for setting in SETTINGS:
        if setting.option:
            details = (
                {} if setting.action == "store_true" else {"metavar": setting.metavar, "type": checked(setting.parse)}
            )
            group.addoption(
                setting.option,
                action=setting.action,
                default=None,
                dest=setting.destination,
                help=setting.help,
                **details,
            )
        if setting.ini:
            parser.addini(setting.ini, setting.help.replace("\n", "; "), default=None)


def checked(parse: Callable[[str], Any]) -> Callable[[str], str]:
    """Return a check of an option's text that leaves it as it is: option values must survive xdist as builtins."""

    def check(text: str) -> str:
        try:
            parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}, found {text!r}") from error
        return text

    return check


def resolve(setting: Setting, config: pytest.Config) -> Value[Any]:
    """Return what holds for `setting` and why: option over environment over ini file over default.

    Raise `pytest.UsageError` for a text that cannot be read.
    """
    if setting.option:
        chosen = config.getoption(setting.destination, None)
        if setting.action == "append" and chosen:
            return Value(value=tuple(setting.parse(text) for text in chosen), source=f"option {setting.option}")
        if setting.action == "store_true" and chosen:
            return Value(value=True, source=f"option {setting.option}")
        if setting.action == "store" and chosen is not None:
            return Value(value=setting.parse(chosen), source=f"option {setting.option}")
    for text, source in (
        (os.environ.get(setting.environment, "") if setting.environment else "", f"environment {setting.environment}"),
        (_ini_text(setting, config), f"ini option {setting.ini}"),
    ):
        if text:
            try:
                value = setting.parse(text)
            except ValueError as error:
                raise pytest.UsageError(f"{source}: {error}, found {text!r}") from error
            return Value(value=tuple(value) if isinstance(value, list) else value, source=source)
    return Value(value=setting.default, source="default")


def _ini_text(setting: Setting, config: pytest.Config) -> str:
    if not setting.ini:
        return ""
    value = config.getini(setting.ini)
    # The TOML forms of pytest's ini file may hold lists and numbers.
    return " ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value).strip()


def read_settings(config: pytest.Config) -> Settings:
    """Return the settings of the session; raise `pytest.UsageError` for one that cannot be read."""
    return Settings(**{setting.name: resolve(setting, config) for setting in SETTINGS})


def check_variables(environment: Iterable[str], others: Iterable[str]) -> None:
    """Raise `pytest.UsageError` for a variable that is nearly, but not quite, that of a setting or one of `others`.

    Without that, a misspelt `OPPCLOUD_REDIS_URL` would run a campaign at the desk without a word.
    """
    known = {name.removeprefix(PREFIX) for name in (*others, *(setting.environment for setting in SETTINGS)) if name}
    for name in environment:
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in known:
            meant = difflib.get_close_matches(name.removeprefix(PREFIX), known, n=1, cutoff=0.8)
            if meant:
                raise pytest.UsageError(f"environment {name}: there is no such setting; is {PREFIX}{meant[0]} meant?")


def names_simulations(config: pytest.Config, settings: Settings) -> bool:
    """Tell whether the session was asked for certain simulations: by our options, or by the name of an ini file."""
    return (
        settings.configs.given
        or settings.runs.given
        or any(argument.partition("::")[0].endswith(".ini") for argument in config.args)
    )


def has_selection(config: pytest.Config, settings: Settings) -> bool:
    """Tell whether the session was asked for certain tests rather than for all that there is."""
    option = config.option
    return bool(
        names_simulations(config, settings) or option.keyword or option.markexpr or getattr(option, "lf", False)
    )


SETTINGS_KEY = pytest.StashKey[Settings]()
