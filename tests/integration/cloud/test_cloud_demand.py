"""How much there is left to do, as it decides how many machines a session gets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from oppcloud_worker.ticket import Needs

from pytest_oppcloud.cloud.campaign import Submission
from pytest_oppcloud.cloud.dispatcher import Dispatcher
from pytest_oppcloud.cloud.executor import QueueExecutor
from pytest_oppcloud.cloud.fleet import Large

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oppcloud_worker.messages import RunRequest

    from .conftest import Client, Workers

GIB = 2**30


def test_before_anything_is_sent_it_is_what_is_expected(client: Client) -> None:
    assert client.dispatcher.demand(7).runs == 7
    assert client.dispatcher.demand(7).seconds is None


def test_counts_what_was_sent_and_has_not_come_back(
    client: Client, workers: Workers, script: Callable[..., RunRequest]
) -> None:
    client.submit(*(script("exit 0", name=f"run {number}") for number in range(3)))
    assert client.dispatcher.demand(99).runs == 3
    workers.start()
    for number in range(3):
        client.executor.result(script("exit 0", name=f"run {number}"))
    assert client.dispatcher.demand(99).runs == 0


def test_those_that_are_left_last_as_long_as_those_before(
    client: Client, workers: Workers, script: Callable[..., RunRequest]
) -> None:
    workers.start()
    client.run(script("exit 0", name="first"))
    took = client.dispatcher.statistics.busy_time
    workers.end()
    client.submit(script("exit 0", name="second"), script("exit 0", name="third"))
    demand = client.dispatcher.demand(0)
    assert (demand.runs, demand.seconds) == (2, 2 * took)


def test_expected_lengths_count_and_are_corrected_by_what_is_seen(
    client: Client,
    workers: Workers,
    script: Callable[..., RunRequest],
    wait_for: Callable[[Callable[[], object], float, str], None],
    tmp_path: Path,
) -> None:
    gate = tmp_path / "gate"
    long = script("exit 0", name="long")
    short = script(f"while [ ! -e {gate} ]; do sleep 0.1; done", name="short")
    expected = [(short, 10.0), (long, 30.0)]
    client.executor.submit(
        [Submission(request=request, content=None, expected=seconds) for request, seconds in expected]
    )
    wait_for(lambda: client.dispatcher.demand(0).longest, 30, "the orders are taken up")
    demand = client.dispatcher.demand(0)
    assert (demand.runs, demand.seconds, demand.longest) == (2, 40.0, 30.0)
    workers.start()
    client.executor.result(long)
    took = client.dispatcher.statistics.busy_time
    demand = client.dispatcher.demand(0)
    assert demand.seconds == demand.longest == pytest.approx(10.0 * took / 30.0)
    gate.touch()
    client.executor.result(short)


def test_the_owner_counts_what_other_processes_of_its_session_sent(
    client: Client,
    script: Callable[..., RunRequest],
    wait_for: Callable[[Callable[[], object], float, str], None],
) -> None:
    """As under xdist, whose controller owns the queue and sends nothing."""
    other = Dispatcher(replace(client.dispatcher.address), owner=False)
    executor = QueueExecutor(description="", open_queue=lambda: other, notify=client.notices.append)
    other.start()
    requests = [script("exit 0", name=f"run {number}") for number in range(2)]
    sizes = (0, 6 * GIB)
    executor.submit(
        [
            Submission(request=request, content=None, needs=Needs(memory=size))
            for request, size in zip(requests, sizes, strict=True)
        ]
    )
    wait_for(lambda: client.dispatcher.demand(0).runs == 2, 30, "the owner sees two runs")
    demand = client.dispatcher.demand(0)
    assert demand.waiting == 2
    assert demand.large == (Large(memory=6 * GIB, runs=1),)
    other.finish()


def test_tells_who_has_nothing_to_do(
    client: Client,
    workers: Workers,
    script: Callable[..., RunRequest],
    wait_for: Callable[[Callable[[], object], float, str], None],
    tmp_path: Path,
) -> None:
    for host in ("i-1", "i-2"):
        workers.start(OPPCLOUD_HOST=host)
    # Both are there: else the one that is missing is taken for the one at work.
    wait_for(lambda: client.dispatcher.demand(0).idle == {"i-1", "i-2"}, 30, "both have nothing to do")
    gate = tmp_path / "gate"
    request = script(f"while [ ! -e {gate} ]; do sleep 0.1; done", name="long")
    client.submit(request)
    wait_for(lambda: len(client.dispatcher.demand(0).idle) == 1, 30, "one of two has nothing to do")
    wait_for(lambda: client.dispatcher.demand(0).at_the_tail, 30, "the client knows that the run is at work")
    demand = client.dispatcher.demand(0)
    assert demand.idle < {"i-1", "i-2"}
    gate.touch()
    # Its outcome names the machine as its worker does.
    assert {client.executor.result(request).host} | demand.idle == {"i-1", "i-2"}
    wait_for(lambda: client.dispatcher.demand(0).idle == {"i-1", "i-2"}, 30, "both have nothing to do")
