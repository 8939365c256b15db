"""From a result file to a baseline: no line of what a run recorded can be lost or changed unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from oppcloud_worker.messages import Cause, RecordedValue, RunOutcome
from oppcloud_worker.results import ResultError, read_results

from pytest_oppcloud.baselines import BaselineFile
from pytest_oppcloud.comparison import Update, compare, record_to_write
from pytest_oppcloud.records import Inputs, Recording, RunKey, make_record

HEAD = """version 3
run Queue-0-20260102-03:04:05-678
attr configname Queue
attr datetime 20260102-03:04:05
attr datetimef 20260102-030405
attr experiment Queue
attr inifile omnetpp.ini
attr iterationvars ""
attr iterationvarsd ""
attr iterationvarsf ""
attr measurement ""
attr network Queue
attr processid 678
attr repetition 0
attr replication #0
attr resultdir results
attr runnumber 0
attr seedset 0
config network Queue
config sim-time-limit 10s
"""
ITEMS = [
    'par Queue.source jobName "\\"a job\\""\n',
    "par Queue.source interval exponential(2s)\n",
    "attr unit s\n",
    "scalar Queue.sink lifeTime:max 0.71474073912704\n",
    "attr recordingmode max\n",
    "attr unit s\n",
    "scalar Queue.sink twice 1\n",
    "scalar Queue.sink twice 1\n",
    "scalar Queue.sink nothing nan\n",
    "statistic Queue.queue length:histogram\n",
    "field count 4\n",
    "field mean 1.5\n",
    "field stddev 1.2909944487358\n",
    "field min 0\n",
    "field max 3\n",
    "field sum 6\n",
    "field sqrsum 14\n",
    'attr title "queue length, histogram"\n',
    "bin\t-inf\t0\n",
    "bin\t0\t2\n",
    "bin\t2\t2\n",
    "bin\t4\t0\n",
]
FORMS = {
    "default": Recording(),
    "values": Recording(parameters=Inputs.VALUES, attributes=Inputs.VALUES),
}


def outcome(items: list[str], folder: Path) -> RunOutcome:
    file = folder / "Queue-#0.sca"
    file.write_text(f"{HEAD}\n{''.join(items)}\n", encoding="utf-8")
    (run,) = read_results(file)
    fingerprint = RecordedValue(kind="fingerprint", module="", name="tplx", value="0617-2d8e")
    return RunOutcome(cause=Cause.COMPLETED, values=(fingerprint, *run.values), attributes=run.attributes)


def is_red(items: list[str], folder: Path, recording: Recording) -> bool:
    recorded = record_to_write(Update.NEW, make_record(outcome(ITEMS, folder), {}, recording), recording)
    key = RunKey.of("Queue", {}, 0)
    stored = BaselineFile(Path("omnetpp.ini.txt")).updated({key: recorded}).record(key)
    assert stored is not None
    try:
        obtained = make_record(outcome(items, folder), {}, recording)
    except ResultError:
        return True
    return not compare(stored, obtained, recording).passed


@pytest.mark.parametrize("recording", FORMS.values(), ids=FORMS)
def test_the_run_itself_passes(tmp_path: Path, recording: Recording) -> None:
    assert not is_red(ITEMS, tmp_path, recording)


@pytest.mark.parametrize("recording", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("number", range(len(ITEMS)))
def test_a_lost_line_is_noticed(tmp_path: Path, number: int, recording: Recording) -> None:
    assert is_red(ITEMS[:number] + ITEMS[number + 1 :], tmp_path, recording)


@pytest.mark.parametrize("recording", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("number", range(len(ITEMS)))
def test_a_doubled_line_is_noticed(tmp_path: Path, number: int, recording: Recording) -> None:
    assert is_red(ITEMS[: number + 1] + ITEMS[number:], tmp_path, recording)


@pytest.mark.parametrize("recording", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("number", range(len(ITEMS)))
def test_a_changed_value_is_noticed(tmp_path: Path, number: int, recording: Recording) -> None:
    line = ITEMS[number]
    changed = line[:-2] + ("1" if line[-2] == "0" else "0") + "\n" if line[-2] != '"' else line[:-2] + 'x"\n'
    assert is_red([*ITEMS[:number], changed, *ITEMS[number + 1 :]], tmp_path, recording)
