"""A worker's slot dies, hangs or is told to end: its run comes back once, rightly, and nothing is left of it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from faultkit.changes import PHASES
from faultkit.model import Tiny
from faultkit.processes import eventually, send
from oppcloud_worker.messages import Cause

if TYPE_CHECKING:
    from faultkit.cluster import Cluster

#: One run may meet them all, and has three attempts after the first.
GROUPS = [("taken", "unpacking", "settling"), ("checked", "started", "storing"), ("simulated", "settled")]


@pytest.mark.parametrize("phases", GROUPS, ids="-".join)
def test_a_slot_that_dies_in_each_phase(cluster: Cluster, phases: tuple[str, ...]) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=x) for x in range(10)], shipped=True)
    cluster.host("hurry", *(f"die={phase},{cluster.folder}/died-{phase}" for phase in phases))
    client.finish()

    assert [phase for phase in phases if not (cluster.folder / f"died-{phase}").exists()] == []
    assert client.judged_wrong() == []


def test_each_phase_is_in_a_group() -> None:
    assert sorted(phase for group in GROUPS for phase in group) == sorted(PHASES)


@pytest.mark.faults
def test_a_slot_that_dies_while_it_waits(cluster: Cluster) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=0), Tiny(x=1)])
    host = cluster.host("hurry")
    client.verdict("tiny-1")
    (slot,) = host.slot_processes()
    send(slot, signal.SIGKILL)
    again = cluster.client("hurry", runs=[Tiny(x=2)])
    again.finish()

    assert again.judged_wrong() == []


@pytest.mark.faults
def test_a_run_that_kills_every_slot_is_told_as_such_and_others_are_not_hurt(cluster: Cluster) -> None:
    # Its parent is the guardian, whose parent is the slot.
    poison = Tiny(x=0, instead="kill -9 $(ps -o ppid= -p $PPID); sleep 60")
    client = cluster.client("hurry", runs=[poison, *(Tiny(x=x) for x in range(1, 10))])
    cluster.host("hurry", slots=2)
    client.finish()

    verdict = client.verdict("tiny-0")
    assert (verdict.cause, verdict.attempt) == ("WORKER_LOST", Cause.WORKER_LOST.retries + 1)
    assert "SIGKILL" in verdict.message
    assert verdict.host
    assert [line.partition(":")[0] for line in client.judged_wrong()] == ["tiny-0"]
    assert client.statistics()["lost"] == {"WORKER_LOST": Cause.WORKER_LOST.retries}


def test_a_slot_that_hangs_is_given_up_and_what_it_says_later_is_noted(cluster: Cluster) -> None:
    gate = cluster.folder / "gate"
    client = cluster.client("hurry", runs=[Tiny(x=0, gate=str(gate))], linger=True)
    host = cluster.host("hurry")
    eventually(lambda: client.executions()["tiny-0"] == 1, 60, "the run runs")
    (slot,) = host.slot_processes()
    send(slot, signal.SIGSTOP)
    cluster.host("hurry")
    eventually(lambda: client.executions()["tiny-0"] == 2, 60, "the run runs again")
    gate.touch()
    assert client.verdict("tiny-0").attempt == 2
    send(slot, signal.SIGCONT)
    eventually(
        lambda: len([event for event in client.events(cluster.server) if event.kind == "finished"]) == 2,
        60,
        "the late result",
    )
    client.finish()

    assert client.judged_wrong() == []
    assert client.executions() == {"tiny-0": 2}
    assert "1 result came late" in "\n".join(client.statistics()["lines"])


def test_a_worker_that_is_told_to_end_while_its_slots_begin_is_not_taken_to_be_there(cluster: Cluster) -> None:
    host = cluster.host("slow-start=2", slots=2)
    eventually(cluster.present, 60, "a slot has announced itself")
    assert host.end(60) == 0

    assert cluster.present() == []


@pytest.mark.faults
def test_a_worker_that_is_told_to_end_hands_its_runs_back_at_once(cluster: Cluster) -> None:
    # Leases as they are: what is quick here is not their doing.
    client = cluster.client(runs=[Tiny(x=x, seconds=1) for x in range(6)])
    first = cluster.host(slots=2)
    eventually(lambda: len(client.executions()) == 2, 60, "two runs run")
    cluster.host(slots=2)
    assert first.end(5) == 0
    assert first.all_processes() == []
    client.finish()

    assert client.judged_wrong() == []
    lost = client.statistics()["lost"]
    # Being told to end is nobody's fault: it counts for no run.
    assert set(lost) == {"STOPPED"}
    assert not any("has not been heard of" in notice for notice in client.notices())
