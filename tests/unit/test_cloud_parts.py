"""The parts of the cloud that need no queue."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st
from oppcloud_worker import __main__ as command
from oppcloud_worker import settings
from oppcloud_worker.address import redacted
from oppcloud_worker.messages import PROTOCOL, Cause, RunRequest
from oppcloud_worker.remote.connection import connect
from oppcloud_worker.remote.events import FINISHED, REQUEUED, STARTED, Event
from oppcloud_worker.ticket import Ticket, VersionMismatchError
from oppcloud_worker.wire import MessageError

from pytest_oppcloud.cli import main
from pytest_oppcloud.cloud.statistics import Statistics

DOCUMENTATION = (Path(__file__).parents[2] / "docs" / "reference" / "cloud.md").read_text(encoding="utf-8")
REQUEST = RunRequest(name="n", program=("p",), arguments=("a",), directory="/", config="C", run_number=0, repetition=0)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://:secret@host/0", "redis://:***@host/0"),
        ("rediss://user:secret@host:1/2", "rediss://user:***@host:1/2"),
        ("redis://user:se:cret@host", "redis://user:***@host"),
        ("unix:///tmp/s?password=secret&db=1", "unix:///tmp/s"),
        ("unix:///tmp/a@b", "unix:///tmp/a@b"),
        ("garbage", "(not a URL of a Redis server)"),
        # Passwords with characters that a URL holds only as %2F, %23, %3F: they end the host.
        ("redis://:sec/ret@host/0", "redis://***@host/0"),
        ("redis://user:12/sec@ret@host:1/0", "redis://***@host:1/0"),
        ("redis://:sec#ret@host", "redis://***@host"),
        ("redis://:sec?ret@host", "redis://***@host"),
        ("redis://:se[cret@host", "redis://***@host"),
        ("unix://:sec/ret@/tmp/s", "unix://***@/tmp/s"),
        ("user:secret@host", "(not a URL of a Redis server)"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown


@given(st.text(st.characters(exclude_characters="/?#@[]:%"), min_size=1))
@trials(deadline=None)
def test_no_password_is_ever_shown(password: str) -> None:
    assert redacted(f"redis://user:{password}@host/0") == "redis://user:***@host/0"


@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret/x@host/0",
        "redis://:12/secret@host/0",
        "redis://:secret#x@host/0",
        "redis://:se[cret@host/0",
        "redis://:x@host:secret/0",
        "secret",
    ],
)
def test_a_url_that_cannot_be_understood_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ValueError, match="redis://, rediss:// or unix:// was expected") as refusal:
        connect(url)

    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("slots", ["0", "-1", "two"])
def test_how_many_slots_a_worker_cannot_have(slots: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command.parser().parse_args([f"--slots={slots}"])

    assert end.value.code == 2
    assert f"a whole number of at least 1 was expected, found '{slots}'" in capsys.readouterr().err


@pytest.mark.parametrize("instances", ["-1", "two"])
def test_how_many_instances_nobody_can_have(instances: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["scale", "--", instances])

    assert f"a whole number of at least 0 was expected, found '{instances}'" in capsys.readouterr().err


def test_a_ticket_survives_the_way() -> None:
    ticket = Ticket(
        session="s1", run="r_1", queue="q", request=REQUEST, attempt=3, causes=("WORKER_LOST", "WORKER_BROKEN")
    )

    assert Ticket.from_json(json.loads(json.dumps(ticket.to_json()))) == ticket
    assert ticket.job_id == "s1-r_1-3"


def test_the_next_attempt_counts_what_counts() -> None:
    ticket = Ticket(session="s", run="r", queue="q", request=REQUEST)

    assert (ticket.again(counted="WORKER_LOST").attempt, ticket.again(counted="WORKER_LOST").losses) == (2, 1)
    assert (ticket.again().attempt, ticket.again().losses) == (2, 0)


def test_each_cause_counts_against_its_own_retries() -> None:
    ticket = Ticket(session="s", run="r", queue="q", request=REQUEST, causes=("WORKER_LOST", "RESULT_DAMAGED"))

    assert ticket.may_be_repeated(Cause.WORKER_LOST)
    assert not ticket.may_be_repeated(Cause.RESULT_DAMAGED)
    assert not ticket.may_be_repeated(Cause.MODEL_ERROR)


@pytest.mark.parametrize("changes", [{"protocol": PROTOCOL + 1}, {"version": "0"}, {"protocol": None}])
def test_another_version_is_told_before_anything_else_is_read(changes: dict[str, Any]) -> None:
    data = {"protocol": PROTOCOL, "version": "?", "of another form": 1} | changes

    with pytest.raises(VersionMismatchError, match="the client is"):
        Ticket.from_json(data)


@pytest.mark.parametrize("data", [None, [], "text", 1])
def test_what_is_no_ticket_is_refused(data: object) -> None:
    with pytest.raises(MessageError):
        Ticket.from_json(data)


@pytest.mark.parametrize("name", ["", "a-b", "a:b", "ä", "a b", "*"])
def test_names_that_could_reach_other_keys_are_refused(name: str) -> None:
    with pytest.raises(MessageError):
        Ticket(session=name, run="r", queue="q", request=REQUEST)
    with pytest.raises(MessageError):
        Ticket(session="s", run=name, queue="q", request=REQUEST)


def event(kind: str, run: str, **values: Any) -> Event:
    return Event(**{"kind": kind, "run": run, "attempt": 1, "slot": "host-1-abc-1", **values})


def test_the_statistics_count_each_run_once() -> None:
    statistics = Statistics()
    for item in (
        event(STARTED, "a", time=10.0),
        event(REQUEUED, "a", cause="WORKER_LOST"),
        event(STARTED, "a", attempt=2, slot="host-1-abc-2"),
        event(FINISHED, "a", attempt=2, wall_time=1.0, busy_time=1.5, time=12.0),
        event(FINISHED, "a", attempt=1, wall_time=9.0, busy_time=9.0),
    ):
        statistics.note(item)

    assert (statistics.finished, statistics.wall_time) == (1, 1.0)
    first, second, third = statistics.lines()
    assert first.startswith("1 run on 2 slots of 1 worker; simulated for 1.0 s")
    assert "500.0 ms per run beside it" in first
    assert second == "1 attempt came to nothing and was repeated: 1 x worker lost"
    assert third == "1 result came late, from workers that had not been heard of, and was left unused"


def test_nothing_done_is_nothing_said() -> None:
    assert Statistics().lines() == []


@pytest.mark.parametrize(("text", "cores"), [("max 100000", 0), ("250000 100000", 2), ("50000 100000", 1), ("junk", 0)])
def test_the_quota_of_a_container_bounds_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, cores: int
) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(text)
    monkeypatch.setattr(settings, "_CGROUP_V2", file)

    assert settings._quota() == cores
    assert settings.available_cores() >= 1


def test_all_options_are_documented(pytester: pytest.Pytester) -> None:
    options = set(re.findall(r"--oppcloud[a-z-]*", pytester.runpytest_inprocess("--help").stdout.str()))

    assert len(options) == 15
    for option in options:
        assert f"`{option}" in DOCUMENTATION


def test_all_options_of_the_worker_are_documented() -> None:
    for option in re.findall(r"--[a-z-]+", command.parser().format_help()):
        if option not in {"--help", "--version"}:
            assert option in DOCUMENTATION, option
