"""The client is killed, or waits for somebody who never comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faultkit.model import Tiny
from faultkit.processes import eventually

if TYPE_CHECKING:
    from faultkit.cluster import Cluster


def test_a_client_that_is_killed_and_attached_again(cluster: Cluster) -> None:
    gate = cluster.folder / "gate"
    runs = [Tiny(x=x, gate=str(gate) if x > 9 else "") for x in range(30)]
    client = cluster.client("hurry", runs=runs, shipped=True)
    cluster.host("hurry", slots=4)
    eventually(lambda: client.has_judged(5), 60, "some verdicts")
    client.kill()
    gate.touch()
    first, before = client.session, client.verdicts()
    client.attach()
    client.finish()

    assert client.judged_wrong() == []
    assert client.session == first
    # It tells the same of what had been judged, and nothing of that was run again.
    said = {(verdict.run, verdict.host, verdict.attempt) for verdict in before}
    assert {(verdict.run, verdict.host, verdict.attempt) for verdict in client.repeated()} == said
    executions = client.executions()
    assert {executions[verdict.run] for verdict in before} == {1}


@pytest.mark.faults
def test_a_client_that_is_killed_and_started_again(cluster: Cluster) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=x, seconds=0.5) for x in range(30)], shipped=True)
    cluster.host("hurry", slots=4)
    eventually(lambda: client.has_judged(5), 60, "some verdicts")
    client.kill()
    first = client.session
    client.start()
    client.finish()

    assert client.judged_wrong() == []
    # Of the first session nothing is run any more, and nothing is in the way of the second.
    assert first != client.session


@pytest.mark.faults
def test_the_runs_of_a_client_that_is_gone_are_stopped(cluster: Cluster) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=x, seconds=60) for x in range(4)])
    host = cluster.host("hurry", slots=2)
    eventually(lambda: len(client.executions()) == 2, 60, "two runs run")
    client.kill()
    other = cluster.client("hurry", runs=[Tiny(x=x) for x in range(5)])
    other.finish(40)

    assert other.judged_wrong() == []
    assert len(client.executions()) == 2
    assert host.end() == 0


@pytest.mark.faults
def test_a_queue_that_nobody_serves_is_told_in_time(cluster: Cluster) -> None:
    client = cluster.client(runs=[Tiny(x=x) for x in range(3)], patience=3)
    client.finish(30)

    assert {verdict.cause for verdict in client.verdicts()} == {"NO_WORKER"}
    assert "python -m oppcloud_worker" in client.verdicts()[0].message


@pytest.mark.faults
def test_a_queue_that_nobody_serves_any_more_is_told_in_time(cluster: Cluster) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=x, seconds=0.5) for x in range(20)], patience=3)
    host = cluster.host("hurry")
    eventually(lambda: client.has_judged(2), 60, "some verdicts")
    host.lose_power()
    client.finish(60)

    assert {verdict.cause for verdict in client.verdicts()} == {"COMPLETED", "NO_WORKER"}
    assert len(client.verdicts()) == 20
