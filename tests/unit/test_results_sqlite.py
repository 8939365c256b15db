"""SQLite result files: the same values as from text, and damage noticed."""

from __future__ import annotations

import math
import sqlite3
from typing import TYPE_CHECKING

import pytest
from oppcloud_worker.messages import RecordedValue
from oppcloud_worker.results import ResultError, read_results

if TYPE_CHECKING:
    from pathlib import Path

#: The tables of OMNeT++ 6 as far as they are read, written from the description of their columns.
SCHEMA = """
CREATE TABLE run (runId INTEGER PRIMARY KEY, runName TEXT, simtimeExp INTEGER);
CREATE TABLE runAttr (runId INTEGER, attrName TEXT, attrValue TEXT);
CREATE TABLE runItervar (runId INTEGER, itervarName TEXT, itervarValue TEXT);
CREATE TABLE runConfig (runId INTEGER, configKey TEXT, configValue TEXT, configOrder INTEGER);
CREATE TABLE scalar (scalarId INTEGER PRIMARY KEY, runId INTEGER, moduleName TEXT, scalarName TEXT, scalarValue REAL);
CREATE TABLE scalarAttr (scalarId INTEGER, attrName TEXT, attrValue TEXT);
CREATE TABLE parameter (paramId INTEGER PRIMARY KEY, runId INTEGER, moduleName TEXT, paramName TEXT, paramValue TEXT);
CREATE TABLE paramAttr (paramId INTEGER, attrName TEXT, attrValue TEXT);
CREATE TABLE statistic (statId INTEGER PRIMARY KEY, runId INTEGER, moduleName TEXT, statName TEXT, isHistogram INTEGER,
  isWeighted INTEGER, statCount INTEGER, statMean REAL, statStddev REAL, statSum REAL, statSqrsum REAL, statMin REAL,
  statMax REAL, statWeights REAL, statWeightedSum REAL, statSqrSumWeights REAL, statWeightedSqrSum REAL);
CREATE TABLE statisticAttr (statId INTEGER, attrName TEXT, attrValue TEXT);
CREATE TABLE histogramBin (statId INTEGER, lowerEdge REAL, binValue REAL);
"""
ATTRIBUTES = {
    "configname": "Load", "datetime": "20260102-03:04:05", "datetimef": "20260102-030405", "experiment": "Load",
    "inifile": "omnetpp.ini", "iterationvars": "$rho=0.5", "iterationvarsd": "rho=0.5", "iterationvarsf": "rho=0.5-",
    "measurement": "$rho=0.5", "network": "Queue", "processid": "77", "repetition": "1", "replication": "#1",
    "resultdir": "/runs", "runnumber": "3", "seedset": "3",
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "run.sca"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    run = connection.execute
    run("INSERT INTO run VALUES (1, 'Load-3-20260102-03:04:05-77', -12)")
    for name, value in ATTRIBUTES.items():
        run("INSERT INTO runAttr VALUES (1, ?, ?)", (name, value))
    run("INSERT INTO runItervar VALUES (1, 'rho', '0.5')")
    run("INSERT INTO runConfig VALUES (1, 'network', 'Queue', 1), (1, 'sim-time-limit', '10s', 0)")
    run("INSERT INTO parameter VALUES (1, 1, 'Queue.q', 'text', '\"ok\"')")
    run("INSERT INTO paramAttr VALUES (1, 'unit', 's')")
    run("INSERT INTO scalar VALUES (1, 1, 'Queue.q', 'n', 2.0), (2, 1, 'Queue.q', 'bad', NULL)")
    run("INSERT INTO scalar VALUES (3, 1, 'Queue.q', 'huge', ?)", (math.inf,))
    run("INSERT INTO scalar VALUES (4, 1, 'Queue.q', 'digits', 0.1)")
    run("INSERT INTO scalarAttr VALUES (1, 'unit', 's')")
    run("INSERT INTO statistic VALUES (1,1,'Queue.q','h',1,0, 2,1.5,0.5,3,5,1,2, NULL,NULL,NULL,NULL)")
    run("INSERT INTO statistic VALUES (2,1,'Queue.q','w',0,1, 2,1.5,0.5,NULL,NULL,1,2, 4,5,6,7)")
    run("INSERT INTO statisticAttr VALUES (1, 'title', 'delay')")
    run("INSERT INTO histogramBin VALUES (1, ?, 0), (1, 1.5, 1), (1, 1, 1)", (-math.inf,))
    connection.commit()
    connection.close()
    return path


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_everything_of_a_run_is_read(path: Path) -> None:
    (record,) = read_results(path)
    assert record.attributes == ATTRIBUTES
    assert record.itervars == {"rho": "0.5"}
    assert record.config == (("sim-time-limit", "10s"), ("network", "Queue"))
    fields = dict(zip(("count", "mean", "stddev", "min", "max"), ("2", "1.5", "0.5", "1", "2"), strict=True))
    assert record.values == (
        RecordedValue(kind="par", module="Queue.q", name="text", value='"ok"'),
        RecordedValue(kind="attr", module="Queue.q", name="text", field="unit", value="s"),
        RecordedValue(kind="scalar", module="Queue.q", name="n", value="2"),
        RecordedValue(kind="attr", module="Queue.q", name="n", field="unit", value="s"),
        RecordedValue(kind="scalar", module="Queue.q", name="bad", value="nan"),
        RecordedValue(kind="scalar", module="Queue.q", name="huge", value="inf"),
        RecordedValue(kind="scalar", module="Queue.q", name="digits", value="0.1"),
        *(
            RecordedValue(kind="statistic", module="Queue.q", name="h", field=field, value=value)
            for field, value in {**fields, "sum": "3", "sqrsum": "5"}.items()
        ),
        RecordedValue(kind="attr", module="Queue.q", name="h", field="title", value="delay"),
        RecordedValue(kind="bin", module="Queue.q", name="h", field="-inf", value="0"),
        RecordedValue(kind="bin", module="Queue.q", name="h", field="1", value="1"),
        RecordedValue(kind="bin", module="Queue.q", name="h", field="1.5", value="1"),
        *(
            RecordedValue(kind="statistic", module="Queue.q", name="w", field=field, value=value)
            for field, value in {
                **fields, "weights": "4", "weightedSum": "5", "sqrSumWeights": "6", "weightedSqrSum": "7",
            }.items()
        ),
    )  # fmt: skip


def test_several_runs_in_one_file(path: Path) -> None:
    change(
        path,
        "INSERT INTO run VALUES (2, 'Load-3-20260102-03:04:05-77', -12)",
        "INSERT INTO runAttr SELECT 2, attrName, attrValue FROM runAttr",
        "INSERT INTO scalar VALUES (9, 2, 'Queue.q', 'only', 1)",
    )
    _, second = read_results(path)
    assert [value.name for value in second.values] == ["only"]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM run",
        *(f"DELETE FROM runAttr WHERE attrName = '{name}'" for name in ATTRIBUTES),  # noqa: S608  # names of ours
        "UPDATE run SET runName = 'Load-4'",
        "UPDATE run SET runName = NULL",
        "UPDATE scalar SET scalarValue = 'text' WHERE scalarId = 1",
        "UPDATE scalar SET scalarName = x'00' WHERE scalarId = 1",
        "DROP TABLE histogramBin",
        "ALTER TABLE scalar RENAME COLUMN scalarValue TO other",
    ],
)
def test_damage_is_noticed(path: Path, statement: str) -> None:
    change(path, statement)
    with pytest.raises(ResultError):
        read_results(path)


def test_a_view_in_place_of_a_table_is_refused(path: Path) -> None:
    change(path, "DROP TABLE scalar", "CREATE VIEW scalar AS SELECT 1 AS scalarId")
    with pytest.raises(ResultError, match="no table 'scalar'"):
        read_results(path)


def test_a_file_that_is_cut_off_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    for size in (16, 100, 4096, len(content) - 4096):
        path.write_bytes(content[:size])
        with pytest.raises(ResultError):
            read_results(path)


def test_nothing_is_written_beside_the_file(path: Path) -> None:
    path.chmod(0o444)
    before = path.read_bytes()
    read_results(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
