"""Reader of SQLite result files, whose schema is in `src/common/sqliteresultfileschema.cc`.

Standard library only. Values are doubles there, so they come with all the digits that tell them apart; NaN is stored
as NULL.
"""

from __future__ import annotations

import sqlite3
import urllib.parse
from typing import TYPE_CHECKING

from oppcloud_worker.messages import RecordedValue

from .record import COMMON_FIELDS, UNWEIGHTED_FIELDS, WEIGHTED_FIELDS, ResultError, RunRecord, head_trouble

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC = b"SQLite format 3\0"
#: Steps of SQLite's machine that a query may take; a file made up to keep us busy is given up.
_MAX_STEPS = 2_000_000_000
_STEPS_PER_CHECK = 1_000_000
_TABLES = (
    "run",
    "runAttr",
    "runItervar",
    "runConfig",
    "scalar",
    "scalarAttr",
    "parameter",
    "paramAttr",
    "statistic",
    "statisticAttr",
    "histogramBin",
)
#: Columns of the statistic table in the order of the fields of text files.
_COLUMNS = {
    "count": "statCount",
    "mean": "statMean",
    "stddev": "statStddev",
    "min": "statMin",
    "max": "statMax",
    "sum": "statSum",
    "sqrsum": "statSqrsum",
    "weights": "statWeights",
    "weightedSum": "statWeightedSum",
    "sqrSumWeights": "statSqrSumWeights",
    "weightedSqrSum": "statWeightedSqrSum",
}


def read(path: Path) -> tuple[RunRecord, ...]:
    """Return the runs of a SQLite file; raise `ResultError` where it is not as OMNeT++ writes it."""
    # Immutable: no lock, no journal, no file beside it is looked at or made.
    address = f"file:{urllib.parse.quote(str(path.absolute()))}?mode=ro&immutable=1"
    steps = 0

    def give_up() -> bool:
        nonlocal steps
        steps += _STEPS_PER_CHECK
        return steps > _MAX_STEPS

    try:
        connection = sqlite3.connect(address, uri=True)
        try:
            connection.set_progress_handler(give_up, _STEPS_PER_CHECK)
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
            return tuple(_Reader(path, connection).runs())
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise ResultError(f"SQLite: {error}", path) from error


class _Reader:
    """Goes through the tables of one file."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    def runs(self) -> Iterator[RunRecord]:
        # Views and virtual tables of the same names could hide anything.
        tables = {name for (name,) in self._rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if missing := [name for name in _TABLES if name not in tables]:
            raise ResultError(f"there is no table {missing[0]!r}", self._path)
        problems = [text for (text,) in self._rows("PRAGMA quick_check(1)") if text != "ok"]
        if problems:
            raise ResultError(f"SQLite: {problems[0]}", self._path)
        runs = list(self._rows("SELECT runId, runName FROM run ORDER BY runId"))
        if not runs:
            raise ResultError("there is no run", self._path)
        for number, name in runs:
            record = RunRecord(
                run_id=self._text(name),
                attributes=self._pairs("SELECT attrName, attrValue FROM runAttr WHERE runId = ?", number),
                itervars=self._pairs("SELECT itervarName, itervarValue FROM runItervar WHERE runId = ?", number),
                config=tuple(
                    (self._text(key), self._text(value))
                    for key, value in self._rows(
                        "SELECT configKey, configValue FROM runConfig WHERE runId = ? ORDER BY configOrder", number
                    )
                ),
                values=(*self._parameters(number), *self._scalars(number), *self._statistics(number)),
            )
            if trouble := head_trouble(record):
                raise ResultError(trouble, self._path)
            yield record

    def _rows(self, query: str, *values: object) -> Iterator[tuple[object, ...]]:
        yield from self._connection.execute(query, values)

    def _text(self, value: object) -> str:
        if not isinstance(value, str):
            raise ResultError(f"text was expected, found {value!r:.60}", self._path)
        return value

    def _number(self, value: object) -> str:
        """Return a number as the text file would have it with all its digits."""
        if value is None:
            return "nan"
        if not isinstance(value, (int, float)):
            raise ResultError(f"a number was expected, found {value!r:.60}", self._path)
        return repr(value).removesuffix(".0")

    def _pairs(self, query: str, number: object) -> dict[str, str]:
        return {self._text(key): self._text(value) for key, value in self._rows(query, number)}

    def _attributes(self, table: str, key: str, number: object, module: str, name: str) -> Iterator[RecordedValue]:
        query = f"SELECT attrName, attrValue FROM {table} WHERE {key} = ? ORDER BY rowid"  # noqa: S608  # names of ours
        for field, value in self._rows(query, number):
            yield RecordedValue(kind="attr", module=module, name=name, field=self._text(field), value=self._text(value))

    def _parameters(self, run: object) -> Iterator[RecordedValue]:
        query = "SELECT paramId, moduleName, paramName, paramValue FROM parameter WHERE runId = ? ORDER BY paramId"
        for number, module, name, value in self._rows(query, run):
            place = (self._text(module), self._text(name))
            yield RecordedValue(kind="par", module=place[0], name=place[1], value=self._text(value))
            yield from self._attributes("paramAttr", "paramId", number, *place)

    def _scalars(self, run: object) -> Iterator[RecordedValue]:
        query = "SELECT scalarId, moduleName, scalarName, scalarValue FROM scalar WHERE runId = ? ORDER BY scalarId"
        for number, module, name, value in self._rows(query, run):
            place = (self._text(module), self._text(name))
            yield RecordedValue(kind="scalar", module=place[0], name=place[1], value=self._number(value))
            yield from self._attributes("scalarAttr", "scalarId", number, *place)

    def _statistics(self, run: object) -> Iterator[RecordedValue]:
        columns = ", ".join(_COLUMNS.values())
        query = (
            f"SELECT statId, moduleName, statName, isHistogram, isWeighted, {columns} "  # noqa: S608  # names of ours
            "FROM statistic WHERE runId = ? ORDER BY statId"
        )
        for number, module, name, is_histogram, is_weighted, *numbers in self._rows(query, run):
            place = (self._text(module), self._text(name))
            fields = dict(zip(_COLUMNS, numbers, strict=True))
            for field in (*COMMON_FIELDS, *(WEIGHTED_FIELDS if is_weighted else UNWEIGHTED_FIELDS)):
                value = self._number(fields[field])
                yield RecordedValue(kind="statistic", module=place[0], name=place[1], field=field, value=value)
            yield from self._attributes("statisticAttr", "statId", number, *place)
            if is_histogram:
                yield from self._bins(number, *place)

    def _bins(self, number: object, module: str, name: str) -> Iterator[RecordedValue]:
        query = "SELECT lowerEdge, binValue FROM histogramBin WHERE statId = ? ORDER BY lowerEdge, rowid"
        for edge, value in self._rows(query, number):
            lower = self._number(edge)
            yield RecordedValue(kind="bin", module=module, name=name, field=lower, value=self._number(value))
