"""Each protection matters: where it is taken away, what it protects from happens.

These are the scenarios of the other files, with one part of the product replaced by one that does not protect
(`faultkit.changes`); what is asserted is that they go wrong.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from faultkit.model import SCRIPT, WRONG_SCRIPT, Tiny
from faultkit.outsider import Outsider
from faultkit.processes import eventually, send
from oppcloud_worker.remote import keys
from oppcloud_worker.signing import sign_ticket

if TYPE_CHECKING:
    from faultkit.cluster import Cluster


def both_notice(cluster: Cluster, *changes: str, executions: int) -> dict[str, int]:
    """Have a slot die, its supervisor and the client notice, one after the other; return executions by run.

    The run does not end before there were so many.
    """
    gate = cluster.folder / "gate"
    client = cluster.client("hurry", *changes, runs=[Tiny(x=0, gate=str(gate))])
    host = cluster.host("hurry", *changes)
    eventually(client.executions, 60, "the run runs")
    (slot,) = host.slot_processes()
    assert host.worker is not None
    host.worker.send_signal(signal.SIGSTOP)
    send(slot, signal.SIGKILL)
    eventually(client.notices, 60, "the client notices")
    cluster.host("hurry", *changes, slots=2)
    eventually(lambda: client.executions()["tiny-0"] == 2, 60, "the run runs again")
    host.worker.send_signal(signal.SIGCONT)
    eventually(lambda: "busy with" in host.log(), 60, "the supervisor notices")
    # Whoever is free takes what is there.
    cluster.client("hurry", runs=[Tiny(x=1)]).finish()
    eventually(lambda: client.executions()["tiny-0"] >= executions, 60, f"{executions} executions")
    gate.touch()
    client.finish()
    return dict(client.executions())


@pytest.mark.faults
def test_an_attempt_is_queued_once(cluster: Cluster) -> None:
    assert both_notice(cluster, executions=2) == {"tiny-0": 2}


def test_without_the_fence_it_is_queued_twice(cluster: Cluster) -> None:
    assert both_notice(cluster, "without-fence", "without-replay", executions=3) == {"tiny-0": 3}


def late_result(cluster: Cluster, *changes: str) -> bool:
    """Have two attempts of a run end; return whether the outcome of the first to end stayed."""
    client = cluster.client("hurry", *changes, runs=[Tiny(x=0, seconds=2)], linger=True)
    host = cluster.host("hurry", *changes)
    eventually(client.executions, 60, "the run runs")
    host.freeze()
    cluster.host("hurry", *changes)
    client.verdict("tiny-0")
    run = client.events(cluster.server)[0].run
    before = cluster.server.connection.get(keys.outcome(client.session, run))
    host.thaw()
    eventually(
        lambda: len([event for event in client.events(cluster.server) if event.kind == "finished"]) == 2,
        60,
        "the late result",
    )
    after = cluster.server.connection.get(keys.outcome(client.session, run))
    client.finish()
    assert before
    return before == after


@pytest.mark.faults
def test_the_first_result_stays(cluster: Cluster) -> None:
    assert late_result(cluster)


@pytest.mark.faults
def test_without_that_rule_a_late_result_takes_its_place(cluster: Cluster) -> None:
    assert not late_result(cluster, "without-first")


def test_without_the_lease_the_run_of_a_lost_host_is_lost(cluster: Cluster) -> None:
    gate = cluster.folder / "gate"
    client = cluster.client("hurry", "without-lease", runs=[Tiny(x=0, gate=str(gate))])
    first = cluster.host("hurry", "without-lease")
    eventually(client.executions, 60, "the run runs")
    first.lose_power()
    gate.touch()
    second = cluster.host("hurry", "without-lease")
    eventually(second.slot_processes, 60, "another host is there")
    # With the lease the run would have its verdict by now, as in test_a_host_that_is_gone.
    with pytest.raises(pytest.fail.Exception, match="a verdict on tiny-0"):
        client.verdict("tiny-0", seconds=12)


@pytest.mark.faults
def test_without_the_search_for_lost_runs_what_redis_forgets_is_lost(cluster: Cluster) -> None:
    client = cluster.client("hurry", "without-search", runs=[Tiny(x=0)])
    eventually(lambda: cluster.server.connection.llen("rq:queue:oppcloud") == 1, 60, "the run is queued")
    cluster.server.kill()
    cluster.server.start()
    cluster.host("hurry")
    with pytest.raises(pytest.fail.Exception, match="a verdict on tiny-0"):
        client.verdict("tiny-0", seconds=15)


def test_without_the_signature_what_others_ask_for_is_run(cluster: Cluster) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=0, seconds=1)])
    mark = cluster.folder / "mark"
    eventually(lambda: cluster.server.connection.llen("rq:queue:oppcloud") == 1, 60, "the run is queued")
    Outsider(cluster.server).forge(client.session, mark)
    cluster.host("hurry", "without-signature", slots=2)
    eventually(mark.exists, 60, "the forged run runs")
    client.finish()


@pytest.mark.faults
def test_without_the_memory_of_tickets_a_replayed_one_is_run(cluster: Cluster) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=0, seconds=1)])
    outsider = Outsider(cluster.server)
    mark = cluster.folder / "mark"
    eventually(lambda: cluster.server.connection.llen("rq:queue:oppcloud") == 1, 60, "the run is queued")
    ticket = sign_ticket(outsider.ticket(client.session, mark), client.key)
    outsider.enqueue(ticket)
    outsider.enqueue(ticket)
    cluster.host("hurry", "without-replay", slots=3)
    eventually(lambda: mark.exists() and mark.read_text() == "forged\nforged\n", 60, "the ticket is served twice")
    client.finish()


@pytest.mark.faults
def test_without_the_seal_a_forged_outcome_is_believed(cluster: Cluster) -> None:
    client = cluster.client("hurry", "without-seal", runs=[Tiny(x=0, seconds=2)])
    cluster.host("hurry")
    eventually(client.executions, 60, "the run runs")
    outsider = Outsider(cluster.server)
    outsider.forge_outcome(client.session, outsider.runs_of(client.session)[0])
    client.finish()

    assert client.verdict("tiny-0").value == "666"


def test_without_the_digest_other_content_is_run(cluster: Cluster) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=3)], shipped=True)
    eventually(lambda: cluster.server.connection.llen("rq:queue:oppcloud") == 1, 60, "the run is queued")
    assert Outsider(cluster.server).replace_content(SCRIPT.encode(), WRONG_SCRIPT.encode()) == 1
    cluster.host("hurry", "without-digest")
    client.finish()

    assert client.verdict("tiny-3").value == str(3 * 3 * 31 + 8)
