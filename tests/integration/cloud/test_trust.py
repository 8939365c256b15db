"""Who writes to Redis, and nothing more, has nothing run and nothing believed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from oppcloud_worker.messages import Cause, RunOutcome, RunRequest
from oppcloud_worker.remote import keys, runs
from oppcloud_worker.signing import PROOF, ClusterKey, seal, sign_ticket
from oppcloud_worker.ticket import Kind, Ticket

from .conftest import slip_in

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Client, Server, Workers

Script = Callable[..., RunRequest]
WaitFor = Callable[[Callable[[], object], float, str], None]


def payload(client: Client, request: RunRequest, run: str = "forged") -> dict[str, object]:
    """Return the ticket of a run of the client's session."""
    return Ticket(session=client.session, run=run, queue="oppcloud", request=request).to_json()


def enqueue(server: Server, ticket: dict[str, object]) -> None:
    slip_in(server, runs.JOB_FUNCTION, ticket)


def outcome(client: Client, server: Server, wait_for: WaitFor, run: str = "forged") -> RunOutcome:
    wait_for(
        lambda: runs.outcomes(server.connection, client.session, [run], key=client.key), 60, f"an answer for {run}"
    )
    return runs.outcomes(server.connection, client.session, [run], key=client.key)[run]


def unsigned(ticket: dict[str, object], _key: ClusterKey) -> dict[str, object]:
    return ticket


def signed_by_a_stranger(ticket: dict[str, object], _key: ClusterKey) -> dict[str, object]:
    return sign_ticket(ticket, ClusterKey.generate())


def taken_from_another(ticket: dict[str, object], key: ClusterKey) -> dict[str, object]:
    other = sign_ticket({**ticket, "request": {}}, key)
    return {**ticket, PROOF: other[PROOF]}


def expired(ticket: dict[str, object], key: ClusterKey) -> dict[str, object]:
    return sign_ticket(ticket, key, now=1_000_000_000.0)


def made_a_build(ticket: dict[str, object], key: ClusterKey) -> dict[str, object]:
    return {**sign_ticket(ticket, key), "kind": Kind.BUILD.name}


@pytest.mark.parametrize("forge", [unsigned, signed_by_a_stranger, taken_from_another, expired, made_a_build])
def test_a_forged_request_is_answered_and_not_run(
    client: Client,
    workers: Workers,
    server: Server,
    script: Script,
    tmp_path: Path,
    wait_for: WaitFor,
    forge: Callable[[dict[str, object], ClusterKey | None], dict[str, object]],
) -> None:
    wait_for(lambda: server.connection.exists(keys.lease(client.session)), 30, "the session's lease")
    enqueue(server, forge(payload(client, script(f"touch {tmp_path}/ran")), client.key))
    worker = workers.start()

    answer = outcome(client, server, wait_for)
    assert answer.cause is Cause.REQUEST_DAMAGED
    assert "the worker refused the request" in answer.message
    assert not (tmp_path / "ran").exists()
    worker.terminate()
    assert b"refused to run" in worker.communicate(timeout=60)[1]


def test_a_request_that_is_put_into_the_queue_again_is_not_run_again(
    client: Client, workers: Workers, server: Server, script: Script, tmp_path: Path, wait_for: WaitFor
) -> None:
    wait_for(lambda: server.connection.exists(keys.lease(client.session)), 30, "the session's lease")
    ticket = sign_ticket(payload(client, script(f"echo ran >> {tmp_path}/log")), client.key)
    worker = workers.start()
    enqueue(server, ticket)
    assert outcome(client, server, wait_for).cause is not Cause.REQUEST_DAMAGED

    # Whoever replays it can remove the outcome as well, so that it seems to be wanted.
    server.connection.delete(keys.outcome(client.session, "forged"))
    enqueue(server, ticket)
    assert client.run(script("echo next")).stdout == "next\n"
    assert (tmp_path / "log").read_text() == "ran\n"
    # Nor is it answered: an answer would be a verdict on a run that may be going well.
    assert not server.connection.exists(keys.outcome(client.session, "forged"))
    worker.terminate()
    assert b"served before" in worker.communicate(timeout=60)[1]


def forged_outcome() -> bytes:
    text = json.dumps(RunOutcome(cause=Cause.COMPLETED, message="all is well").to_json()).encode()
    return zlib.compress(text)


def unsigned_outcome(_client: Client) -> bytes:
    return forged_outcome()


def outcome_of_a_stranger(client: Client) -> bytes:
    return seal(forged_outcome(), ClusterKey.generate(), session=client.session, run="any")


def outcome_of_another_run(client: Client) -> bytes:
    return seal(forged_outcome(), client.key, session=client.session, run="another")


@pytest.mark.parametrize("forge", [unsigned_outcome, outcome_of_a_stranger, outcome_of_another_run])
def test_a_forged_outcome_does_not_keep_the_right_one_away(
    client: Client,
    workers: Workers,
    server: Server,
    script: Script,
    wait_for: WaitFor,
    forge: Callable[[Client], bytes],
) -> None:
    request = script("echo right")
    client.submit(request)
    wait_for(lambda: runs.queued(server.connection, "oppcloud"), 30, "the run is queued")
    (job_id,) = runs.queued(server.connection, "oppcloud")
    run = job_id.split("-")[1]
    server.connection.set(keys.outcome(client.session, run), forge(client))
    # The worker that takes the first attempt finds an outcome, and says nothing; the forger has to.
    server.connection.xadd(
        keys.events(client.session), {"event": json.dumps({"kind": "finished", "run": run, "attempt": 1})}
    )
    # What the session makes of it has to wait as well: else the first attempt may find the way free.
    wait_for(lambda: client.executor.arrived(timeout=0) or client.notices, 30, "the session sees it")
    workers.start()

    answer = client.executor.result(request)
    assert (answer.stdout, answer.attempt) == ("right\n", 2)
    assert "cannot be trusted" in client.notices[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"directory": "/home/user"},
        {"wall_time": float("nan")},
        {"files": [{"path": "../../.bashrc", "size": 1, "digest": "a" * 64}]},
        {"files": "all of them"},
        {"cause": "EXCELLENT"},
    ],
)
def test_a_worker_with_the_key_cannot_send_whatever_it_likes(
    client: Client, server: Server, changes: dict[str, object]
) -> None:
    text = json.dumps({**RunOutcome(cause=Cause.COMPLETED).to_json(), **changes}).encode()
    sealed = seal(zlib.compress(text), client.key, session=client.session, run="r1")
    server.connection.set(keys.outcome(client.session, "r1"), sealed)

    answer = runs.outcomes(server.connection, client.session, ["r1"], key=client.key)["r1"]
    assert (answer.cause, answer.attempt) == (Cause.RESULT_DAMAGED, 0)


def test_what_would_unpack_to_more_than_memory_is_refused(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "OUTCOME_LIMIT", 10_000)
    sealed = seal(zlib.compress(b" " * 20_000), client.key, session=client.session, run="r1")
    server.connection.set(keys.outcome(client.session, "r1"), sealed)

    answer = runs.outcomes(server.connection, client.session, ["r1"], key=client.key)["r1"]
    assert "more than 10000 bytes" in answer.message


def test_a_client_without_the_key_is_told_so(
    make_client: Callable[..., Client], workers: Workers, script: Script, tmp_path: Path
) -> None:
    workers.start()
    answer = make_client(key=None).run(script(f"touch {tmp_path}/ran"))

    assert answer.cause is Cause.REQUEST_DAMAGED
    assert "OPPCLOUD_KEY_FILE" in answer.message
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["", ClusterKey(bytes(32)).to_text()], ids=["no key", "another key"])
def test_a_worker_without_the_key_runs_nothing_and_that_is_told(
    client: Client, workers: Workers, script: Script, tmp_path: Path, key: str
) -> None:
    workers.start(OPPCLOUD_KEY=key)
    answer = client.run(script(f"touch {tmp_path}/ran"))

    assert answer.cause is Cause.RESULT_DAMAGED
    assert "key" in answer.message
    assert not (tmp_path / "ran").exists()


def test_without_a_key_a_private_redis_works_and_people_are_told(
    make_client: Callable[..., Client], workers: Workers, script: Script
) -> None:
    worker = workers.start(OPPCLOUD_KEY="")

    assert make_client(key=None).run(script("echo ran")).stdout == "ran\n"
    worker.terminate()
    assert b"requests are not signed" in worker.communicate(timeout=60)[1]


@pytest.mark.parametrize(
    ("environment", "options", "words"),
    [
        ({"OPPCLOUD_REDIS_URL": "redis://u:hunter2@192.0.2.1/0"}, [], "not encrypted"),
        ({"OPPCLOUD_REDIS_URL": "rediss://u:hunter2@192.0.2.1/0"}, [], "not signed"),
        ({}, ["--url", "rediss://u:hunter2@192.0.2.1/0"], "can be read by everybody"),
        ({"OPPCLOUD_REDIS_URL": "unix:///s", "OPPCLOUD_KEY": "hunter2"}, [], "not a cluster key"),
        ({"OPPCLOUD_REDIS_URL": "unix:///s", "OPPCLOUD_KEY_FILE": "/nowhere/key"}, [], "/nowhere/key"),
    ],
)
def test_a_worker_does_not_start_where_others_could_have_programs_run(
    environment: dict[str, str], options: list[str], words: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "oppcloud_worker", *options],
        env={"PYTHONPATH": os.environ.get("PYTHONPATH", ""), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert words in ended.stderr
    assert "hunter2" not in ended.stderr
