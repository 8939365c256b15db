"""Messages: what is sent comes back equal, and what does not fit is refused with its field named."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from oppcloud_worker.messages import (
    Cause,
    Limits,
    MessageError,
    RecordedValue,
    ResultFile,
    RunOutcome,
    RunRequest,
    Verdict,
)

REQUEST = RunRequest(
    name="omnetpp.ini::Load::rho=0.5-#1",
    program=("./model",),
    arguments=("-u", "Cmdenv", "--x=\udcff"),
    directory="sim",
    config="Load",
    run_number=3,
    repetition=1,
    itervars={"rho": "0.5", "0": "a b"},
    config_keys=("network", "network"),
    fingerprint="0000-0000/tplx",
    environment={"A": "1"},
    limits=Limits(timeout=1.5, cpu_time=2, memory=3, file_size=4, output=5),
    content="ab" * 32,
)
OUTCOME = RunOutcome(
    cause=Cause.TIMEOUT,
    message="no end within 1.5 s",
    exit_code=-9,
    end_line="x",
    events=0,
    sim_time="1s",
    fingerprint_verdict="mismatch",
    values=(RecordedValue(kind="statistic", module="N", name="s", field="mean", value="nan"),),
    attributes={"network": "N"},
    provenance={"omnetpp": "6.1"},
    wall_time=1.5,
    cpu_time=2.0,
    peak_memory=4096,
    stdout="\\xff",
    stderr="e",
    command=("./model",),
    host="h",
    files=(ResultFile(path="results/a.sca", size=1, digest="0"),),
    directory="/runs/x",
    attempt=2,
)
MINIMAL = {
    "name": "n",
    "program": [],
    "arguments": [],
    "directory": ".",
    "config": "C",
    "run_number": 0,
    "repetition": 0,
}


@pytest.mark.parametrize(
    "message", [REQUEST, OUTCOME, RunOutcome(cause=Cause.COMPLETED), RunRequest.from_json(MINIMAL)]
)
def test_messages_survive_json(message: RunRequest | RunOutcome) -> None:
    assert type(message).from_json(json.loads(json.dumps(message.to_json()))) == message


def test_defaults_do_not_travel() -> None:
    assert RunRequest.from_json(MINIMAL).to_json() == MINIMAL
    assert RunOutcome(cause=Cause.CRASH).to_json() == {"cause": "CRASH"}
    assert replace(OUTCOME, events=None).to_json().get("events", "absent") == "absent"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": 1}, r"RunRequest\.name"),
        ({"program": "ls"}, r"RunRequest\.program"),
        ({"program": [1]}, r"RunRequest\.program"),
        ({"run_number": "0"}, r"RunRequest\.run_number"),
        ({"run_number": True}, r"RunRequest\.run_number"),
        ({"run_number": 0.5}, r"RunRequest\.run_number"),
        ({"itervars": {"a": 1}}, r"RunRequest\.itervars\['a'\]"),
        ({"itervars": []}, r"RunRequest\.itervars"),
        ({"limits": {"timeout": "1"}}, r"Limits\.timeout"),
        ({"limits": {"nice": 1}}, "Limits: unknown field 'nice'"),
        ({"limits": None}, "Limits"),
        ({"config_keys": [None]}, r"RunRequest\.config_keys"),
        ({"content": 7}, r"RunRequest\.content"),
        ({"shell": "rm"}, "unknown field 'shell'"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], place: str) -> None:
    with pytest.raises(MessageError, match=place):
        RunRequest.from_json({**MINIMAL, **change})


@pytest.mark.parametrize("data", [None, [], "x", 1, {}, {"name": "n"}])
def test_what_is_no_message_is_refused(data: object) -> None:
    with pytest.raises(MessageError):
        RunRequest.from_json(data)


@pytest.mark.parametrize("cause", ["", "completed", "PASSED", 1, None])
def test_an_unknown_cause_is_refused(cause: object) -> None:
    with pytest.raises(MessageError, match="cause"):
        RunOutcome.from_json({"cause": cause})


def test_the_outcome_table() -> None:
    """A mistake of the simulation is never tried again, and only one cause is a pass."""
    assert [cause for cause in Cause if cause.verdict is Verdict.PASSED] == [Cause.COMPLETED]
    assert not any(cause.retries for cause in Cause if cause.verdict is not Verdict.ERROR)
    assert len({cause.text for cause in Cause}) == len(Cause)


def test_keys_of_values() -> None:
    value = OUTCOME.values[0]
    assert value.key == ("statistic", "N", "s", "mean")
