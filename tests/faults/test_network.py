"""The network between client, workers and Redis is slow, cut or torn."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

import pytest
from faultkit.model import Tiny
from faultkit.processes import eventually

if TYPE_CHECKING:
    from faultkit.cluster import Cluster

LONG = pytest.mark.faults


@pytest.mark.faults
def test_a_slow_network(cluster: Cluster) -> None:
    cluster.network.delay, cluster.network.rate = 0.1, 100_000
    client = cluster.client("hurry", runs=[Tiny(x=x, seconds=0.5) for x in range(10)], shipped=True)
    cluster.host("hurry", slots=2)
    client.finish()

    assert client.judged_wrong() == []
    assert client.statistics()["lost"] == {}


# Longer than a lease, which is 3 seconds for those in a hurry and 10 for others.
@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=LONG)])
@pytest.mark.parametrize("who", [pytest.param("workers", marks=LONG), pytest.param("client", marks=LONG), "all"])
def test_a_network_that_is_cut(cluster: Cluster, who: str, seconds: int) -> None:
    changes = ("hurry",) if seconds == 5 else ()
    near, far = cluster.another_network(), cluster.another_network()
    client = cluster.client(*changes, runs=[Tiny(x=x, seconds=0.5) for x in range(20)], shipped=True, network=near)
    cluster.host(*changes, slots=2, network=far)
    cluster.host(*changes, slots=2, network=far)
    eventually(lambda: client.has_judged(3), 60, "some verdicts")
    cut = {"workers": [far], "client": [near], "all": [near, far]}[who]
    for network in cut:
        network.cut()
    time.sleep(seconds)
    for network in cut:
        network.mend()
    client.finish(180)

    assert client.judged_wrong() == []


def test_a_network_that_is_torn_again_and_again(cluster: Cluster) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=x, seconds=0.3) for x in range(30)], shipped=True)
    cluster.host("hurry", slots=2)
    cluster.host("hurry", slots=2)
    for count in (3, 6, 9, 12, 15):
        eventually(functools.partial(client.has_judged, count), 60, "some more verdicts")
        cluster.network.tear()
    client.finish()

    assert client.judged_wrong() == []


@LONG
def test_a_slot_that_dies_while_the_network_is_cut(cluster: Cluster) -> None:
    """Whatever is started in its place finds no Redis: the worker waits for it instead of giving up."""
    far = cluster.another_network()
    client = cluster.client(runs=[Tiny(x=x, seconds=0.5) for x in range(20)], patience=120)
    host = cluster.host(slots=2, network=far)
    eventually(lambda: client.has_judged(3), 60, "some verdicts")
    far.cut()
    host.slot_processes()[0].kill()
    time.sleep(60)
    far.mend()
    client.finish(180)

    assert client.judged_wrong() == []
    assert host.worker is not None
    assert host.worker.poll() is None
