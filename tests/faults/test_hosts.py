"""Hosts are lost, frozen, full, or believe that it is another time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from faultkit.model import Tiny
from faultkit.processes import eventually
from oppcloud_worker.signing import SKEW

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

    from faultkit.cluster import Cluster


@pytest.mark.faults
def test_a_host_that_is_gone(cluster: Cluster) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=x, seconds=1) for x in range(8)])
    first = cluster.host("hurry", slots=2)
    cluster.host("hurry", slots=2)
    eventually(lambda: len(client.executions()) >= 4, 60, "runs run")
    first.lose_power()
    client.finish()

    assert client.judged_wrong() == []
    assert "has not been heard of" in client.notices()[0]


@pytest.mark.faults
@pytest.mark.parametrize("who", ["client", "other worker"])
def test_the_run_of_a_lost_host_is_back_in_the_queue_within_the_stated_time(cluster: Cluster, who: str) -> None:
    """With the real leases: 15 seconds, by the clock of Redis, whoever notices."""
    client = cluster.client(runs=[Tiny(x=x, seconds=60) for x in range(2)], linger=True)
    first = cluster.host(slots=2)
    eventually(lambda: len(client.executions()) == 2, 60, "runs run")
    if who == "other worker":
        cluster.host(slots=1)
        eventually(lambda: len(cluster.present()) == 3, 60, "another worker is there")
        assert client.process is not None
        client.process.send_signal(signal.SIGSTOP)
    first.lose_power()
    seconds, _ = cluster.server.connection.time()
    eventually(lambda: len(client.times(cluster.server, "requeued")) == 2, 30, "runs are handed back")
    assert client.process is not None
    client.process.send_signal(signal.SIGCONT)

    took = max(client.times(cluster.server, "requeued")) - seconds
    print(f"handed back after {took:.1f} s")
    # By the milliseconds of Redis, whose seconds began up to one earlier.
    assert took <= 15 + 1


@pytest.mark.faults
def test_a_host_that_is_frozen_beyond_its_lease(cluster: Cluster) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=x, seconds=1) for x in range(6)], linger=True)
    first = cluster.host("hurry", slots=2)
    eventually(lambda: len(client.executions()) >= 2, 60, "runs run")
    first.freeze()
    cluster.host("hurry", slots=2)
    for x in range(6):
        client.verdict(f"tiny-{x}")
    first.thaw()
    # It notices what it missed, and serves others.
    eventually(
        lambda: len([event for event in client.events(cluster.server) if event.kind == "finished"]) == 8,
        60,
        "late results",
    )
    client.finish()

    assert client.judged_wrong() == []
    assert "2 results came late" in "\n".join(client.statistics()["lines"])


@pytest.mark.faults
@pytest.mark.parametrize("seconds", [SKEW - 60, 60 - SKEW])
def test_clocks_may_differ_a_little(cluster: Cluster, seconds: int) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=x) for x in range(3)], shipped=True)
    cluster.host("hurry", f"clock={seconds}")
    client.finish()

    assert client.judged_wrong() == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-2 * 3600, "s in the future: the clocks of client and worker"),
        pytest.param(25 * 3600, "or this worker's clock is ahead", marks=pytest.mark.faults),
    ],
)
def test_a_worker_whose_clock_is_wrong_says_so_and_runs_nothing(cluster: Cluster, seconds: int, words: str) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=0)])
    cluster.host("hurry", f"clock={seconds}")
    client.finish()

    verdict = client.verdict("tiny-0")
    assert verdict.cause == "REQUEST_DAMAGED"
    assert words in verdict.message
    assert client.executions() == {}


@pytest.mark.faults
def test_a_clock_that_is_wrong_for_all_is_no_matter(cluster: Cluster) -> None:
    client = cluster.client("hurry", "clock=-100000", runs=[Tiny(x=x, seconds=1) for x in range(4)])
    first = cluster.host("hurry", "clock=-100000", slots=2)
    eventually(lambda: len(client.executions()) >= 2, 60, "runs run")
    first.lose_power()
    cluster.host("hurry", "clock=-100000", slots=2)
    client.finish()

    assert client.judged_wrong() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of 4 MB, which is full."""
    place = tmp_path / "disk"
    place.mkdir()
    mount, umount = shutil.which("mount") or "mount", shutil.which("umount") or "umount"
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=4m", "none", str(place)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        if os.environ.get("CI") and os.geteuid() == 0:
            pytest.fail(f"root cannot make a small disk: {made.stderr}")
        pytest.skip(f"only root can have a small disk: {made.stderr.strip()}")
    for name in ("cache", "tmp"):
        (place / name).mkdir()
    with (place / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
        fill(filler)
    yield place
    subprocess.run([umount, "--lazy", str(place)], check=True)


def fill(file: io.FileIO) -> None:
    """Write until there is no room."""
    while True:
        file.write(b"x" * 65536)


def test_a_host_whose_disk_is_full_leaves_the_runs_to_others(cluster: Cluster, small_disk: Path) -> None:
    full = cluster.host("hurry", slots=2, folder=small_disk)
    client = cluster.client("hurry", runs=[Tiny(x=x, seconds=0.2) for x in range(10)], shipped=True)
    eventually(lambda: "no room" in full.log(), 60, "the worker says what is wrong")
    cluster.host("hurry")
    client.finish()

    assert client.judged_wrong() == []
