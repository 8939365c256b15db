"""How much there is left to do, as it decides how many machines a session gets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_oppcloud.cloud.dispatcher import Dispatcher
from pytest_oppcloud.cloud.executor import QueueExecutor, Submission

if TYPE_CHECKING:
    from collections.abc import Callable

    from oppcloud_worker.messages import RunRequest

    from .conftest import Client, Workers


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
    executor.submit([Submission(request=request, content=None) for request in requests])
    wait_for(lambda: client.dispatcher.demand(0).runs == 2, 30, "the owner sees two runs")
    other.finish()
