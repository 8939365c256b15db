"""Scalar files in OMNeT++'s text format, version 3.

Depends on the statistics and on the ini reader's way to quote. Rules: OMNeT++ 6.1,
src/common/omnetppscalarfilewriter.cc and src/common/stringutil.cc.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, TextIO

from pytest_oppcloud.inifile.characters import quote

from .errors import SimulationError
from .histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from .statistics import StdDev

#: Digits that are tried where the configured precision makes neighbouring bins look the same.
_MOST_DIGITS = 16


def word(text: str) -> str:
    """Return `text` as one word of a result file: quoted where it would not be one, or could be misread."""
    plain = bool(text) and not any(char in ' "\\' or _is_control(char) for char in text)
    return text if plain else quote(text)


def _is_control(char: str) -> bool:
    return char < " " or char == "\x7f"


def number(value: float, digits: int) -> str:
    """Write a number with so many significant digits, as C's "%.*g" does; a nan keeps its sign."""
    if math.isnan(value):
        return "-nan" if math.copysign(1.0, value) < 0 else "nan"
    return f"{value:.{digits}g}"


class ScalarFile:
    """One run's results on their way into a file; the file is made when the first of them comes."""

    def __init__(self, path: Path, digits: int, *, append: bool) -> None:
        self.path = path
        self._digits = digits
        self._file: TextIO | None = None
        if not append:
            path.unlink(missing_ok=True)

    @property
    def is_open(self) -> bool:
        """Tell whether something is being recorded."""
        return self._file is not None

    def begin(
        self,
        run_id: str,
        attributes: Mapping[str, str],
        itervars: Mapping[str, str],
        config: Iterable[tuple[str, str]],
    ) -> None:
        """Open the file and write the head of the run; raise `SimulationError` where that is impossible."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SimulationError(
                f"omnetpp::common::opp_runtime_error: Cannot create directory '{self.path.parent}/': {error.strerror}"
            ) from error
        try:
            self._file = self.path.open("a", encoding="utf-8", errors="surrogateescape", newline="\n")
        except OSError as error:
            raise SimulationError(f"Cannot open output scalar file '{self.path}'") from error
        if self._file.tell() == 0:
            self._line("version 3")
        self._line(f"run {word(run_id)}")
        self._attributes(attributes)
        for name in sorted(itervars):
            self._line(f"itervar {word(name)} {word(itervars[name])}")
        for key, value in config:
            self._line(f"config {word(key)} {word(value)}")
        self._line("")

    def parameter(self, module: str, name: str, value: str, attributes: Mapping[str, str]) -> None:
        """Write a parameter; `value` is NED text."""
        self._line(f"par {word(module)} {word(name)} {word(value)}")
        self._attributes(attributes)

    def scalar(self, module: str, name: str, value: float, attributes: Mapping[str, str]) -> None:
        """Write a scalar."""
        self._line(f"scalar {word(module)} {word(name)} {number(value, self._digits)}")
        self._attributes(attributes)

    def statistic(
        self, module: str, name: str, statistic: StdDev, attributes: Mapping[str, str], *, bins: bool
    ) -> None:
        """Write a statistic, with its bins if it has some and `bins` says so."""
        self._line(f"statistic {word(module)} {word(name)}")
        self._line(f"field count {statistic.count}")
        for field in ("mean", "stddev", "min", "max"):
            self._field(field, getattr(statistic, field))
        if statistic.weighted:
            self._field("weights", statistic.sum_weights)
            self._field("weightedSum", statistic.sum)
            self._field("sqrSumWeights", statistic.sum_squared_weights)
            self._field("weightedSqrSum", statistic.sum_squares)
        else:
            self._field("sum", statistic.sum)
            self._field("sqrsum", statistic.sum_squares)
        self._attributes(attributes)
        if bins and isinstance(statistic, Histogram):
            self._bins(statistic)

    def close(self) -> None:
        """End the run's part of the file."""
        if self._file is not None:
            self._line("")
            self._file.close()

    def _line(self, text: str) -> None:
        if self._file is None:
            raise SimulationError("Results can be recorded once the run has begun")
        self._file.write(f"{text}\n")

    def _field(self, name: str, value: float) -> None:
        self._line(f"field {name} {number(value, self._digits)}")

    def _attributes(self, attributes: Mapping[str, str]) -> None:
        for key in sorted(attributes):
            self._line(f"attr {word(key)} {word(attributes[key])}")

    def _bins(self, histogram: Histogram) -> None:
        digits = self._digits
        edges = [number(edge, digits) for edge in histogram.edges]
        if any(edge == following for edge, following in itertools.pairwise(edges)):
            digits = _MOST_DIGITS
            edges = [number(edge, digits) for edge in histogram.edges]
        values = [histogram.underflows, *histogram.bins, histogram.overflows]
        for edge, value in zip(["-inf", *edges], values, strict=True):
            self._line(f"bin\t{edge}\t{number(value, digits)}")
