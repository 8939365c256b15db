"""What the ini file says about one run, with every option read as the type that it has.

Depends on the ini reader. Rules: OMNeT++ 6.1, src/sim/cconfiguration.cc and src/envir/resultfileutils.cc.
"""

from __future__ import annotations

import typing
from functools import lru_cache

from pytest_oppcloud.inifile.characters import QuoteError, parse_quoted
from pytest_oppcloud.inifile.expressions.units import convert
from pytest_oppcloud.inifile.expressions.values import ExpressionError, Value, as_bool, as_double, as_int
from pytest_oppcloud.inifile.options import OptionTable
from pytest_oppcloud.inifile.versions import DEFAULT_VERSION

from .errors import SimulationError
from .expressions import compile_expression

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_oppcloud.runs import Run

_T = typing.TypeVar("_T")

#: Options whose default is all that the engine can do.
_UNSERVED = (
    "configuration-class",
    "eventlogmanager-class",
    "fingerprint-events",
    "fingerprint-modules",
    "fingerprint-results",
    "fingerprintcalculator-class",
    "fname-append-host",
    "futureeventset-class",
    "load-libs",
    "outputscalarmanager-class",
    "parallel-simulation",
    "record-eventlog",
    "rng-class",
    "scheduler-class",
    "simtime-resolution",
)


class RunConfiguration:
    """The configuration of one run."""

    def __init__(self, run: Run, directory: Path) -> None:
        """Look at `run`; `directory` is what the names of result files are relative to."""
        self._run = run
        self._directory = directory
        for name in _UNSERVED:
            option = _options().find(name)
            default = (option and option.default) or ""
            value = _unquoted(run.option(name) or "")
            if value not in {default, "", "false"}:
                raise SimulationError(f"The embedded engine cannot do what {name}={value} asks for")

    @property
    def run_id(self) -> str:
        """What tells the run from all others: "Load-3-20261121-21:02:28-18579"."""
        return self._run.variables["runid"]

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of the run in result files."""
        return {name: value for name, value in self._run.variables.items() if name != "runid"}

    @property
    def itervars(self) -> dict[str, str]:
        """The iteration variables that have a name, without the repetition: those of which results tell."""
        return {name: value for name, value in self._run.itervars.items() if not name[0].isdecimal()}

    @property
    def entries(self) -> list[tuple[str, str]]:
        """All entries that apply to the run, as result files show them."""
        return [(key, _without_optional_quotes(key, value)) for key, value in self._run.entries]

    def parameter(self, path: str, *, has_default: bool) -> str | None:
        """Return the configured value of a parameter, "default" or "ask" if that is asked for, None for no entry."""
        return self._run.parameter(path, has_default=has_default)

    def text(self, name: str) -> str:
        """Return an option that is a string, "" if it is not set."""
        return _unquoted(self._run.option(name) or "")

    def flag(self, name: str) -> bool:
        """Return an option that is true or false."""
        return self._read(name, self._run.option(name) or "false", as_bool)

    def integer(self, name: str) -> int | None:
        """Return an option that is an integer, None if it is not set."""
        value = self._run.option(name)
        return None if value is None else self._read(name, value, as_int)

    def duration(self, name: str) -> float | None:
        """Return an option that is a time, in seconds; None if it is not set."""
        value = self._run.option(name)
        return None if value is None else self._read(name, value, _as_seconds)

    def object_option(self, path: str, name: str) -> str | None:
        """Return an option of the object of that path, None if it is not set."""
        value = self._run.object_option(path, name)
        return None if value is None else _unquoted(value)

    def object_flag(self, path: str, name: str) -> bool:
        """Return an option of an object that is true or false."""
        return self._read(name, self._run.object_option(path, name) or "false", as_bool)

    def scalar_file(self) -> Path:
        """Return where scalars are recorded."""
        return self._directory / self.text("output-scalar-file")

    @staticmethod
    def _read(name: str, text: str, convert_value: Callable[[Value], _T]) -> _T:
        try:
            return convert_value(compile_expression(text).evaluate(None))
        except ExpressionError as error:
            raise SimulationError(f"Could not read option {name}= from the configuration: {error}") from error


def _as_seconds(value: Value) -> float:
    number, unit = as_double(value)
    return convert(number, unit, "s")


def _unquoted(value: str) -> str:
    """Return the text of an option that may stand in quotes."""
    if not value.startswith('"'):
        return value
    try:
        return parse_quoted(value)
    except QuoteError:
        return value


@lru_cache(maxsize=1)
def _options() -> OptionTable:
    return OptionTable(DEFAULT_VERSION)


def _without_optional_quotes(key: str, value: str) -> str:
    """Return a value as result files show it: quotes that need not be there are left out."""
    if not value.startswith('"'):
        return value
    option = _options().find(key.rpartition(".")[2])
    return _unquoted(value) if option is not None and option.type in {"string", "filename", "filenames"} else value
