"""Runs through a real Redis and real workers: each comes back exactly once, whatever dies on the way.

The simulations here are shell scripts, which never end as OMNeT++ does: how that is judged is tested elsewhere, here
it only matters that the outcome is the one that the worker saw.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from oppcloud_worker.messages import PROTOCOL, Cause, Limits, RecordedValue, RunOutcome, RunRequest
from oppcloud_worker.remote import keys, runs
from oppcloud_worker.remote.pool import Pool, PoolSettings
from oppcloud_worker.signing import sign_ticket
from oppcloud_worker.ticket import Ticket
from rq import Callback

from pytest_oppcloud.cloud.campaign import QueueAddress
from pytest_oppcloud.cloud.dispatcher import Dispatcher
from pytest_oppcloud.cloud.executor import QueueExecutor

from .conftest import slip_in

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Client, Processes, Server, Workers

Script = Callable[..., RunRequest]
WaitFor = Callable[[Callable[[], object], float, str], None]


def ticket(client: Client, request: RunRequest, **changes: Any) -> Ticket:
    values: dict[str, Any] = {"session": client.session, "run": "r1", "queue": "oppcloud", "request": request}
    return Ticket(**{**values, **changes})


def test_outcomes_come_in_the_order_of_completion(
    client: Client, workers: Workers, script: Script, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    slow = script(f"while ! [ -e {go} ]; do sleep 0.05; done; echo slow", name="slow")
    fast = script("echo fast", name="fast")
    client.submit(slow, fast)
    workers.start(slots=2)

    assert client.executor.arrived() == ["fast"]
    assert client.executor.result(fast).stdout == "fast\n"
    go.touch()
    assert client.executor.arrived() == ["slow"]
    assert client.executor.result(slow).stdout == "slow\n"


def test_the_first_outcome_of_a_run_stays(client: Client, server: Server, script: Script) -> None:
    for attempt, text in ((2, "first"), (1, "late")):
        runs.settle(
            server.connection,
            ticket(client, script(""), attempt=attempt),
            RunOutcome(cause=Cause.CRASH, message=text),
            key=client.key,
        )

    outcome = runs.outcomes(server.connection, client.session, ["r1"], key=client.key)["r1"]
    assert (outcome.message, outcome.attempt) == ("first", 2)


def test_an_attempt_is_queued_again_once_whoever_notices_that_it_was_lost(
    client: Client, server: Server, script: Script, wait_for: WaitFor
) -> None:
    wait_for(lambda: server.connection.exists(keys.lease(client.session)), 30, "the session's lease")
    lost = RunOutcome(cause=Cause.WORKER_LOST)
    for slot in ("its supervisor", "a client"):
        runs.settle(server.connection, ticket(client, script("")), lost, key=client.key, slot=slot)

    # The list itself: the same job may stand in it twice.
    queue = runs.rq_queue(server.connection, "oppcloud")
    assert queue.get_job_ids() == [f"{client.session}-r1-2"]


def begin_survivor(client: Client, script: Script, log: Path, wait_for: WaitFor) -> RunRequest:
    """Have a run begin whose first attempt takes a minute, and the second one no time."""
    request = script(f"echo started >> {log}; test $(wc -l < {log}) -gt 1 || sleep 60; echo survived")
    client.submit(request)
    wait_for(log.exists, 60, "the simulation runs")
    return request


def test_a_killed_slot_loses_no_run(
    client: Client, workers: Workers, processes: Processes, script: Script, tmp_path: Path, wait_for: WaitFor
) -> None:
    workers.start()
    request = begin_survivor(client, script, tmp_path / "log", wait_for)
    (slot,) = processes.running("oppcloud_worker.remote.slot")
    os.kill(slot, signal.SIGKILL)

    outcome = client.executor.result(request)
    assert (outcome.stdout, outcome.attempt) == ("survived\n", 2)
    assert "SIGKILL" in client.notices[0]
    assert client.dispatcher.statistics.lost == {"WORKER_LOST": 1}
    # By its guardian, which nobody waits for; left alone, it would sleep for a minute.
    wait_for(lambda: not processes.running("sleep"), 30, "the lost simulation is ended")


def test_a_run_that_kills_every_worker_is_reported_as_such(client: Client, workers: Workers, script: Script) -> None:
    workers.start()
    # Its parent is the guardian, whose parent is the slot.
    outcome = client.run(script("kill -9 $(ps -o ppid= -p $PPID); sleep 60"))

    assert outcome.cause is Cause.WORKER_LOST
    assert outcome.attempt == Cause.WORKER_LOST.retries + 1
    assert "SIGKILL" in outcome.message


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_to_end_hands_its_run_back(
    client: Client,
    workers: Workers,
    processes: Processes,
    script: Script,
    tmp_path: Path,
    wait_for: WaitFor,
    number: signal.Signals,
) -> None:
    first = workers.start()
    request = begin_survivor(client, script, tmp_path / "log", wait_for)
    first.send_signal(number)
    first.wait(60)
    assert not processes.running("sleep")
    assert not processes.running("oppcloud_worker")

    workers.start()
    outcome = client.executor.result(request)
    assert (outcome.stdout, outcome.attempt) == ("survived\n", 2)
    # Being told to end is nobody's fault: it does not count against the retries.
    assert client.dispatcher.statistics.lost == {"STOPPED": 1}


def test_a_slot_that_lost_both_its_worker_and_its_queue_ends(
    client: Client,
    workers: Workers,
    server: Server,
    processes: Processes,
    script: Script,
    tmp_path: Path,
    wait_for: WaitFor,
) -> None:
    worker = workers.start()
    begin_survivor(client, script, tmp_path / "log", wait_for)
    server.stop(signal.SIGKILL)
    worker.kill()

    # It would wait for the queue for more than a minute.
    wait_for(lambda: not processes.running("oppcloud_worker"), 30, "it has ended")


@pytest.mark.slow
def test_a_host_that_is_gone_loses_no_run(
    client: Client, workers: Workers, processes: Processes, script: Script, tmp_path: Path, wait_for: WaitFor
) -> None:
    workers.start()
    request = begin_survivor(client, script, tmp_path / "log", wait_for)
    # A host that loses its power: nothing there can tell anybody.
    processes.kill("-m oppcloud_worker")
    workers.start()

    assert client.executor.result(request).attempt == 2
    assert "has not been heard of" in client.notices[0]


def test_no_worker_is_an_error_that_says_how_to_start_one(make_client: Callable[..., Client], script: Script) -> None:
    outcome = make_client(patience=1.0).run(script(""))

    assert outcome.cause is Cause.NO_WORKER
    assert "python -m oppcloud_worker" in outcome.message


def test_a_redis_that_dies_ends_the_runs(
    make_client: Callable[..., Client],
    workers: Workers,
    server: Server,
    script: Script,
    tmp_path: Path,
    wait_for: WaitFor,
) -> None:
    # It is there before anybody waits for it, who would not wait for long.
    workers.serve()
    client = make_client(patience=2.0)
    request = script(f"touch {tmp_path}/started; sleep 60")
    client.submit(request)
    wait_for((tmp_path / "started").exists, 60, "the simulation runs")
    server.stop(signal.SIGKILL)

    outcome = client.executor.result(request)
    assert outcome.cause is Cause.QUEUE_LOST
    assert "reconnecting" in client.notices[0]
    # And so does whatever is asked for later.
    assert client.run(script("", name="later")).cause is Cause.QUEUE_LOST


def test_a_slot_that_fails_at_its_start_is_started_again_with_pauses(
    client: Client, workers: Workers, processes: Processes, script: Script, tmp_path: Path, wait_for: WaitFor
) -> None:
    # Python runs this module at its start.
    broken, starts, elsewhere = tmp_path / "broken", tmp_path / "starts", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        f"if 'oppcloud_worker.remote.slot' in sys.orig_argv and os.path.exists({str(broken)!r}):\n"
        f"    with open({str(starts)!r}, 'a') as file:\n"
        "        print(time.monotonic(), file=file)\n"
        "    os._exit(1)\n"
    )
    workers.start(PYTHONPATH=str(elsewhere))
    assert client.run(script("echo one", name="one")).stdout == "one\n"
    broken.touch()
    (slot,) = processes.running("oppcloud_worker.remote.slot")
    os.kill(slot, signal.SIGKILL)
    wait_for(lambda: starts.exists() and len(starts.read_text().splitlines()) >= 4, 60, "slots fail")
    broken.unlink()
    assert client.run(script("echo two", name="two")).stdout == "two\n"

    times = list(map(float, starts.read_text().split()))
    # In place of one that had worked there is another at once, then after 0.5, 1 and 2 seconds.
    assert times[3] - times[0] >= 3.5


def test_a_worker_is_as_patient_after_hours_as_at_its_start(tmp_path: Path) -> None:
    settings = PoolSettings(
        url="unix:///none", key=None, queue="q", slots=1, cache=str(tmp_path), cache_limit=1, bounds=Limits(), memory=1
    )
    hours_ago = time.monotonic() - 10_000
    pool = Pool(settings=settings, _last_ready=hours_ago)
    pool._start(str(tmp_path))
    (slot,) = pool._slots
    slot.ready = True
    slot.process.terminate()
    pool._read(slot)

    # It counts from now for how long there is no slot that works.
    assert pool._last_ready > hours_ago + 9_000


def test_a_redis_that_is_full_for_a_while_loses_no_run(
    client: Client, workers: Workers, server: Server, script: Script, wait_for: WaitFor
) -> None:
    wait_for(lambda: server.connection.exists(keys.lease(client.session)), 30, "the session's lease")
    server.connection.config_set("maxmemory", "1")
    request = script("echo survived")
    client.submit(request)
    wait_for(lambda: "errorstat_OOM" in server.connection.info("errorstats"), 60, "something is refused")
    server.connection.config_set("maxmemory", "0")
    workers.start()

    assert client.executor.result(request).stdout == "survived\n"
    assert "maxmemory" in client.notices[0]


def test_a_worker_at_a_redis_that_takes_nothing_says_so(workers: Workers, server: Server) -> None:
    server.connection.config_set("maxmemory", "1")
    worker = workers.start()
    _, said = worker.communicate(timeout=120)

    assert worker.returncode == 1
    assert b"cannot be used: command not allowed when used memory > 'maxmemory'" in said
    assert b"Traceback" not in said


@pytest.mark.slow
def test_a_redis_that_forgets_everything_loses_no_run(
    client: Client, workers: Workers, server: Server, script: Script, wait_for: WaitFor
) -> None:
    request = script("echo survived")
    client.submit(request)
    wait_for(lambda: runs.queued(server.connection, "oppcloud"), 30, "the run is queued")
    server.stop(signal.SIGKILL)
    server.start()
    workers.start()

    assert client.executor.result(request).stdout == "survived\n"


def test_an_unreachable_redis_is_an_error_without_its_password(script: Script) -> None:
    address = QueueAddress(url="redis://u:secret@127.0.0.1:1/0", queue="q", session="s", patience=0.5)
    dispatcher = Dispatcher(address, owner=True)
    dispatcher.start()
    outcome = QueueExecutor(description="", open_queue=lambda: dispatcher, notify=print).result(script(""))
    dispatcher.finish()

    assert outcome.cause is Cause.QUEUE_LOST
    assert "redis://u:***@127.0.0.1:1/0" in outcome.message
    assert "secret" not in outcome.message


@pytest.mark.parametrize("changes", [{"version": "0.0.1"}, {"protocol": PROTOCOL + 1}, {"unheard_of": True}])
def test_a_ticket_of_another_version_is_answered_and_not_run(
    client: Client,
    workers: Workers,
    server: Server,
    script: Script,
    tmp_path: Path,
    wait_for: WaitFor,
    changes: dict[str, Any],
) -> None:
    wait_for(lambda: server.connection.exists(keys.lease(client.session)), 30, "the session's lease")
    payload = sign_ticket(ticket(client, script(f"touch {tmp_path}/ran")).to_json() | changes, client.key)
    slip_in(server, runs.JOB_FUNCTION, payload)
    workers.start()
    wait_for(lambda: runs.outcomes(server.connection, client.session, ["r1"], key=client.key), 60, "an answer")

    outcome = runs.outcomes(server.connection, client.session, ["r1"], key=client.key)["r1"]
    expected = Cause.REQUEST_DAMAGED if "unheard_of" in changes else Cause.VERSION_MISMATCH
    assert outcome.cause is expected
    assert not (tmp_path / "ran").exists()


def test_a_worker_runs_nothing_but_runs(
    client: Client,
    workers: Workers,
    server: Server,
    script: Script,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slip_in(server, "os.system", f"touch {tmp_path}/function")
    # One that fails and one that succeeds, as there is nobody who wants its outcome.
    callback = Callback("helper_that_leaves_a_mark.mark")
    unwanted = ticket(client, script(""), session="unwanted").to_json()
    slip_in(server, "oppcloud_worker.job.serve", {}, on_success=callback, on_failure=callback)
    slip_in(server, runs.JOB_FUNCTION, unwanted, on_success=callback, on_failure=callback)
    # Written as RQ does it by default; reading it would run the reducer.
    slip_in(server, "os.getcwd", Unpickled(tmp_path / "pickle"), serializer="pickle")
    (tmp_path / "helper_that_leaves_a_mark.py").write_text(
        f"def mark(*_):\n    open({str(tmp_path / 'callback')!r}, 'w').close()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    workers.start()

    # Each was put in before, and has its turn before: when this one has come back, the others are done with.
    assert client.run(script("echo served")).stdout == "served\n"
    assert [name for name in ("function", "callback", "pickle") if (tmp_path / name).exists()] == []


class Unpickled:
    """Leaves a file when it is read with pickle."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


def test_the_helper_above_would_leave_its_mark(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Unpickled(tmp_path / "mark")))  # noqa: S301  # that is the point
    assert (tmp_path / "mark").exists()


def test_the_end_of_a_session_cancels_what_is_left_and_leaves_no_key(
    make_client: Callable[..., Client],
    workers: Workers,
    server: Server,
    processes: Processes,
    script: Script,
    tmp_path: Path,
    wait_for: WaitFor,
) -> None:
    client = make_client()
    client.submit(
        script(f"touch {tmp_path}/started; sleep 60", name="running"),
        *(script(f"touch {tmp_path}/never", name=f"queued {index}") for index in range(20)),
    )
    workers.start()
    wait_for((tmp_path / "started").exists, 60, "the simulation runs")
    client.dispatcher.finish()

    # A slot that nobody told to stop finds out by itself after nine seconds.
    wait_for(lambda: not processes.running("sleep"), 8, "the simulation is stopped")
    assert runs.queued(server.connection, "oppcloud") == set()
    assert not list(server.connection.scan_iter(f"oppcloud:{client.session}:*"))
    assert not (tmp_path / "never").exists()


@pytest.mark.slow
def test_a_run_is_stopped_when_its_session_is_gone(
    client: Client,
    workers: Workers,
    server: Server,
    processes: Processes,
    script: Script,
    tmp_path: Path,
    wait_for: WaitFor,
) -> None:
    wait_for(lambda: server.connection.exists(keys.lease(client.session)), 30, "the session's lease")
    other = ticket(client, script(f"touch {tmp_path}/started; sleep 60"), session="gone")
    server.connection.set(keys.lease("gone"), b"1")
    runs.enqueue(
        server.connection,
        [other, ticket(client, script(f"touch {tmp_path}/never"), session="gone", run="r2")],
        key=client.key,
    )
    workers.start()
    wait_for((tmp_path / "started").exists, 60, "the simulation runs")
    # As if its client had been killed, and the lease had run out.
    server.connection.delete(keys.lease("gone"))

    wait_for(lambda: not processes.running("sleep"), 50, "the simulation is stopped")
    assert client.run(script("echo served")).stdout == "served\n"
    assert not (tmp_path / "never").exists()


def test_an_outcome_that_is_too_large_says_so(
    client: Client, server: Server, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "OUTCOME_LIMIT", 2000)
    values = tuple(RecordedValue(kind="scalar", module="Net", name=f"s{index}", value="1") for index in range(100))
    run = ticket(client, script(""), causes=("OUT_OF_SPACE",))
    runs.settle(server.connection, run, RunOutcome(cause=Cause.COMPLETED, values=values), key=client.key)

    outcome = runs.outcomes(server.connection, client.session, ["r1"], key=client.key)["r1"]
    assert outcome.cause is Cause.OUT_OF_SPACE
    assert "record fewer" in outcome.message
    assert outcome.values == ()


@pytest.mark.parametrize("data", [b"", b"not compressed", json.dumps({"cause": "COMPLETED"}).encode()])
def test_an_outcome_that_is_damaged_is_one_that_says_so(client: Client, server: Server, data: bytes) -> None:
    server.connection.set(keys.outcome(client.session, "r1"), data)

    assert runs.outcomes(server.connection, client.session, ["r1"], key=client.key)["r1"].cause is Cause.RESULT_DAMAGED


def test_an_idle_worker_ends_by_itself(
    client: Client, workers: Workers, server: Server, script: Script, wait_for: WaitFor
) -> None:
    request = script("echo done")
    client.submit(request)
    wait_for(lambda: runs.queued(server.connection, "oppcloud"), 30, "the run is queued")
    worker = workers.start("--max-idle-time", "1")

    assert client.executor.result(request).stdout == "done\n"
    assert worker.wait(60) == 0


@pytest.mark.slow
def test_a_worker_without_a_queue_says_so(workers: Workers, server: Server) -> None:
    server.stop()
    worker = workers.start(OPPCLOUD_REDIS_URL="redis://u:secret@127.0.0.1:1/0")
    _, said = worker.communicate(timeout=120)

    assert worker.returncode == 1
    assert b"cannot use the queue at redis://u:***@127.0.0.1:1/0" in said
    assert b"secret" not in said


def test_the_password_is_not_in_the_environment_of_simulations(
    client: Client, workers: Workers, script: Script
) -> None:
    workers.start()

    assert "OPPCLOUD_REDIS_URL" not in client.run(script("env")).stdout
