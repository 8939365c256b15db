"""What can be told of detached sessions without a queue."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from oppcloud_worker.messages import Limits, RunRequest
from oppcloud_worker.remote.keys import SESSION_DATA, kept
from oppcloud_worker.remote.sessions import digest_of
from oppcloud_worker.signing import ClusterKey, ForgedError, seal, unseal

from pytest_oppcloud.cloud.attaching import attach_command

REQUEST = RunRequest(
    name="n", program=("p",), arguments=("a",), directory="m", config="C", run_number=0, repetition=0, content="0" * 64
)


@pytest.mark.parametrize(
    "changes",
    [
        {"program": ("q",)},
        {"arguments": ("a", "--x=1")},
        {"content": "1" * 64},
        {"limits": Limits(timeout=1.0)},
        {"environment": {"A": "1"}},
        {"fingerprint": "1234-5678/tplx"},
    ],
)
def test_whatever_decides_a_run_changes_its_digest(changes: dict[str, Any]) -> None:
    assert digest_of(replace(REQUEST, **changes)) != digest_of(REQUEST)


def test_expected_fingerprints_do_not_change_the_digest_and_ingredients_do() -> None:
    asked, recorded = (
        replace(REQUEST, fingerprint=text) for text in ("0000-0000/tplx", "1234-5678/tplx 9999-0000/tplx")
    )

    assert digest_of(asked) == digest_of(recorded)
    assert digest_of(replace(REQUEST, fingerprint="0000-0000/tlx")) != digest_of(asked)


def test_a_record_is_not_taken_for_an_outcome() -> None:
    key = ClusterKey.generate()
    record = seal(b"{}", key, session="s", run="", purpose="record")

    assert unseal(record, key, session="s", run="", purpose="record") == b"{}"
    with pytest.raises(ForgedError):
        unseal(record, key, session="s", run="")
    with pytest.raises(ForgedError):
        unseal(record, key, session="t", run="", purpose="record")


def test_results_are_kept_a_day_longer_than_a_session_is_served() -> None:
    assert kept(0.0) == SESSION_DATA
    assert kept(4_000_000_000.0) > 2 * SESSION_DATA


@pytest.mark.parametrize(
    ("given", "command"),
    [
        (["--oppcloud-detach"], "pytest --oppcloud-attach ID"),
        (["--oppcloud-deadline", "3d", "-k", "a b", "--oppcloud-detach"], "pytest --oppcloud-attach ID -k 'a b'"),
        (["--oppcloud-attach=ID", "--oppcloud-deadline=3d", "m"], "pytest --oppcloud-attach ID m"),
    ],
)
def test_the_command_that_attaches(given: list[str], command: str) -> None:
    assert attach_command(given, "ID") == command


def test_the_command_that_attaches_names_the_cluster() -> None:
    assert attach_command(["m"], "ID", "s") == "pytest --oppcloud-attach ID --oppcloud-stack s m"
    for given in (["--oppcloud-stack", "s", "m"], ["--oppcloud-stack=s"]):
        assert attach_command(["--oppcloud-detach", *given], "ID", "s").count("--oppcloud-stack") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--oppcloud-detach"], "*--oppcloud-detach needs a queue that is there without pytest*"),
        (["--oppcloud-attach=x"], "*--oppcloud-attach needs a queue that is there without pytest*"),
        (["--oppcloud-attach=x", "--oppcloud-detach"], "*exclude each other*"),
        (["--oppcloud-attach="], "*--oppcloud-attach: the id of a session was expected, found ''"),
        (["--oppcloud-deadline=soon"], "*--oppcloud-deadline: *found 'soon'*"),
    ],
)
def test_options_that_cannot_be(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.delenv("OPPCLOUD_REDIS_URL", raising=False)
    pytester.runpytest_inprocess(*options).stderr.fnmatch_lines([message])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-n", "2"], "*runs nothing here that -n could distribute*"),
        (["--oppcloud-deadline=8d"], "*from 1min to 7 days were expected, found 8d*"),
    ],
)
def test_detaching_that_cannot_be(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", "unix:///nowhere")
    pytester.runpytest_inprocess("--oppcloud-detach", *options).stderr.fnmatch_lines([message])
