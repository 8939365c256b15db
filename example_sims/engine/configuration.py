"""What the ini file says about one run, with every option read as the type that it has.

Depends on the ini reader. Rules: OMNeT++ 6.1, src/sim/cconfiguration.cc and src/envir/resultfileutils.cc.
"""

from __future__ import annotations

import os
import time
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

#: Options that would have OMNeT++ do something that the engine cannot do, and the values that ask for nothing.
_UNSERVED = {
    "configuration-class": "",
    "eventlogmanager-class": "omnetpp::envir::EventlogFileManager",
    "fingerprint-events": "*",
    "fingerprint-modules": "*",
    "fingerprint-results": "*",
    "fingerprintcalculator-class": "omnetpp::cSingleFingerprintCalculator",
    "fname-append-host": "false",
    "futureeventset-class": "omnetpp::cEventHeap",
    "load-libs": "",
    "outputscalarmanager-class": "omnetpp::envir::OmnetppOutputScalarManager",
    "parallel-simulation": "false",
    "record-eventlog": "false",
    "rng-class": "omnetpp::cMersenneTwister",
    "scheduler-class": "omnetpp::cSequentialScheduler",
    "simtime-resolution": "ps",
}


class RunConfiguration:
    """The configuration of one run."""

    def __init__(self, run: Run, ini_file: Path) -> None:
        self._run = run
        self._directory = ini_file.parent
        now = time.localtime()
        stamp = time.strftime("%Y%m%d-%H:%M:%S", now)
        self._volatile = {
            "datetime": stamp,
            "datetimef": stamp.replace(":", ""),
            "processid": str(os.getpid()),
        }
        #: "Load-3-20261121-21:02:28-18579".
        self.run_id = f"{run.config}-{run.number}-{stamp}-{os.getpid()}"
        for name, harmless in _UNSERVED.items():
            value = run.option(name)
            if value is not None and _unquoted(value) not in {harmless, ""}:
                raise SimulationError(f"The embedded engine cannot do what {name}={value} asks for")

    @property
    def run_number(self) -> int:
        """The number of the run, which seeds the random numbers unless `seed-set` does."""
        return self._run.number

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of the run in result files."""
        attributes = {**self._run.variables, **self._volatile}
        attributes.pop("runid", None)
        return attributes

    @property
    def itervars(self) -> dict[str, str]:
        """The iteration variables, without the repetition."""
        return dict(self._run.itervars)

    @property
    def entries(self) -> list[tuple[str, str]]:
        """All entries that apply to the run, as result files show them."""
        return [(key, _without_optional_quotes(key, value)) for key, value in self._run.entries]

    def parameter(self, path: str, *, has_default: bool) -> str | None:
        """Return the configured value of a parameter, "default" or "ask" if that is asked for, None for no entry."""
        value = self._run.parameter(path)
        return None if value == "default" and not has_default else value

    def text(self, name: str, default: str = "") -> str:
        """Return an option that is a string."""
        value = self._run.option(name)
        return default if value is None else _unquoted(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return an option that is true or false."""
        value = self._run.option(name)
        return default if value is None else self._read(name, value, as_bool)

    def integer(self, name: str, default: int) -> int:
        """Return an option that is an integer."""
        value = self._run.option(name)
        return default if value is None else self._read(name, value, as_int)

    def duration(self, name: str) -> float | None:
        """Return an option that is a time, in seconds; None if it is not set."""
        value = self._run.option(name)
        return None if value is None else self._read(name, value, _as_seconds)

    def object_option(self, path: str, name: str) -> str | None:
        """Return an option of the object of that path, None if it is not set."""
        value = self._run.object_option(path, name)
        return None if value is None else _unquoted(value)

    def object_flag(self, path: str, name: str, *, default: bool) -> bool:
        """Return an option of an object that is true or false."""
        value = self._run.object_option(path, name)
        return default if value is None else self._read(name, value, as_bool)

    def scalar_file(self) -> Path:
        """Return where scalars are recorded."""
        value = self._run.option("output-scalar-file")
        if value is None:
            variables = self._run.variables
            stem = f"{variables['configname']}-{variables['iterationvarsf']}#{variables['repetition']}"
            value = f"{variables['resultdir']}/{stem}.sca"
        return self._directory / _unquoted(value)

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
