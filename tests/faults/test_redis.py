"""Redis is killed, started again with or without what it held, or does not answer for a while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from faultkit.model import Tiny
from faultkit.processes import eventually

if TYPE_CHECKING:
    from faultkit.cluster import Cluster


@pytest.mark.parametrize(
    "persistent", [pytest.param(True, marks=pytest.mark.faults), False], ids=["persistent", "forgetful"]
)
def test_redis_is_killed_and_started_again(cluster: Cluster, persistent: bool) -> None:
    cluster.server.kill()
    cluster.server.persistent = persistent
    cluster.server.start()
    gate = cluster.folder / "gate"
    runs = [Tiny(x=x, gate=str(gate) if x > 5 else "") for x in range(30)]
    client = cluster.client("hurry", runs=runs, shipped=True)
    cluster.host("hurry", slots=2)
    cluster.host("hurry", slots=2)
    eventually(lambda: client.has_judged(3), 60, "some verdicts")
    cluster.server.kill()
    eventually(lambda: "connection to the queue lost" in " ".join(client.notices()), 60, "the client notices")
    cluster.server.start()
    gate.touch()
    client.finish()

    assert client.judged_wrong() == []
    assert "oppcloud: connected to the queue again" in client.notices()
    # Many runs had the same fate: a line tells of all of them.
    lines = [notice for notice in client.notices() if "the queue lost its job" in notice]
    assert len(lines) <= 8
    assert persistent or any(" more runs: another attempt after " in line for line in lines)
    if persistent:
        # Nothing had to be run again.
        assert client.statistics()["lost"] == {}


def test_what_redis_lost_before_anybody_read_it_is_run_again(cluster: Cluster) -> None:
    """The worker has settled, the client has not heard of it, and Redis forgets: nobody but the client can know."""
    beside = cluster.another_network()
    gate = cluster.folder / "gate"
    client = cluster.client("hurry", runs=[Tiny(x=0, gate=str(gate))], network=beside, shipped=True)
    cluster.host("hurry")
    eventually(lambda: any(event.kind == "started" for event in client.events(cluster.server)), 60, "the run runs")
    # The client knows who has its run, and then hears nothing any more.
    time.sleep(0.5)
    beside.cut()
    gate.touch()
    eventually(lambda: any(event.kind == "finished" for event in client.events(cluster.server)), 60, "the run ended")
    cluster.server.kill()
    cluster.server.start()
    # The slot is there again before the client looks: nothing about it is suspicious.
    eventually(lambda: list(cluster.server.connection.scan_iter("oppcloud:slot:*")), 60, "the slot announces itself")
    beside.mend()
    client.finish()

    assert client.judged_wrong() == []
    assert client.executions() == {"tiny-0": 2}


@pytest.mark.faults
@pytest.mark.parametrize("seconds", [4, pytest.param(20, marks=pytest.mark.faults)])
def test_redis_does_not_answer_for_a_while(cluster: Cluster, seconds: int) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=x, seconds=0.3) for x in range(30)], shipped=True)
    cluster.host("hurry", slots=2)
    cluster.host("hurry", slots=2)
    eventually(lambda: client.has_judged(3), 60, "some verdicts")
    with cluster.server.paused():
        time.sleep(seconds)
    client.finish()

    assert client.judged_wrong() == []


@pytest.mark.faults
@pytest.mark.parametrize("seconds", [pytest.param(20, marks=pytest.mark.faults)])
def test_redis_does_not_answer_while_runs_are_sent(cluster: Cluster, seconds: int) -> None:
    host = cluster.host(slots=2)
    cluster.client(runs=[Tiny(x=0)]).finish()
    client = cluster.client(runs=[Tiny(x=x) for x in range(2000)], shipped=True)
    eventually(lambda: cluster.server.connection.exists(f"oppcloud:{client.session}:lease"), 60, "the client is there")
    with cluster.server.paused():
        time.sleep(seconds)
    client.finish(180)

    assert client.judged_wrong() == []
    assert host.worker is not None
    assert host.worker.poll() is None


@pytest.mark.faults
def test_redis_that_does_not_come_back_ends_the_runs_with_an_error(cluster: Cluster) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=x, seconds=30) for x in range(3)], patience=3)
    cluster.host("hurry")
    eventually(client.executions, 60, "a run runs")
    cluster.network.cut()
    for x in range(3):
        verdict = client.verdict(f"tiny-{x}")
        assert verdict.cause == "QUEUE_LOST"
        assert str(cluster.network.port) in verdict.message
    cluster.network.mend()
    client.finish()
