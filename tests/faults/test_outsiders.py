"""What lies in Redis is damaged, forged or put there again: nothing of it is run, nothing of it is believed."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest
from faultkit.model import SCRIPT, WRONG_SCRIPT, Tiny
from faultkit.outsider import Outsider
from faultkit.processes import eventually

if TYPE_CHECKING:
    from faultkit.cluster import Cluster


LONG = pytest.mark.faults


@pytest.fixture
def outsider(cluster: Cluster) -> Outsider:
    return Outsider(cluster.server)


@pytest.mark.parametrize("how", [pytest.param("truncated", marks=LONG), "changed", pytest.param("removed", marks=LONG)])
def test_damaged_content_is_sent_again(cluster: Cluster, outsider: Outsider, how: str) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=x) for x in range(10)], shipped=True)
    # Two files and their manifest.
    eventually(lambda: cluster.server.connection.llen("rq:queue:oppcloud") == 10, 60, "the runs are queued")
    assert outsider.damage_content(how) == 3
    cluster.host("hurry", slots=2)
    client.finish()

    assert client.judged_wrong() == []
    assert set(client.statistics()["lost"]) == {"CONTENT_MISSING"}


@pytest.mark.faults
def test_content_that_is_not_what_its_name_says_is_not_run(cluster: Cluster, outsider: Outsider) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=x) for x in range(10)], shipped=True)
    eventually(lambda: cluster.server.connection.llen("rq:queue:oppcloud") == 10, 60, "the runs are queued")
    assert outsider.replace_content(SCRIPT.encode(), WRONG_SCRIPT.encode()) == 1
    cluster.host("hurry", slots=2)
    client.finish()

    assert client.judged_wrong() == []


@pytest.mark.faults
def test_what_is_put_into_the_queue_by_others_is_not_run(cluster: Cluster, outsider: Outsider) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=x, seconds=0.3) for x in range(10)])
    eventually(lambda: cluster.server.connection.llen("rq:queue:oppcloud") == 10, 60, "the runs are queued")
    outsider.forge(client.session, cluster.folder / "mark")
    host = cluster.host("hurry", slots=2)
    client.finish()

    assert client.judged_wrong() == []
    assert not (cluster.folder / "mark").exists()
    assert host.log().count("refused to run") == 2


def test_requests_that_are_put_into_the_queue_again_are_neither_run_nor_answered(
    cluster: Cluster, outsider: Outsider
) -> None:
    """As happens also where Redis got a command that the client believes lost, and sends again."""
    client = cluster.client("hurry", runs=[Tiny(x=x, seconds=0.5) for x in range(10)])
    eventually(lambda: cluster.server.connection.llen("rq:queue:oppcloud") == 10, 60, "the runs are queued")
    assert outsider.replay() == 10
    cluster.host("hurry", slots=4)
    client.finish()

    assert client.judged_wrong() == []
    assert client.executions() == {f"tiny-{x}": 1 for x in range(10)}


@pytest.mark.faults
@pytest.mark.parametrize("data", [None, b"", b"half of an outc"], ids=["forged", "empty", "truncated"])
def test_an_outcome_that_no_worker_wrote_is_not_believed(
    cluster: Cluster, outsider: Outsider, data: bytes | None
) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=0, seconds=2)])
    cluster.host("hurry")
    eventually(client.executions, 60, "the run runs")
    (run,) = set(outsider.runs_of(client.session))
    outsider.forge_outcome(client.session, run, data)
    client.finish()

    # It cost the run one attempt.
    assert client.judged_wrong() == []
    assert client.statistics()["lost"] == {"RESULT_DAMAGED": 1}


@pytest.mark.faults
def test_an_outcome_that_is_damaged_again_is_an_error(cluster: Cluster, outsider: Outsider) -> None:
    client = cluster.client("hurry", runs=[Tiny(x=0, seconds=2)])
    cluster.host("hurry", slots=2)
    for executions in ({"tiny-0": 1}, {"tiny-0": 2}):
        eventually(functools.partial(client.has_executed, executions), 60, "the run runs")
        outsider.forge_outcome(client.session, outsider.runs_of(client.session)[0], b"damaged")
    client.finish()

    verdict = client.verdict("tiny-0")
    assert (verdict.cause, len(client.verdicts())) == ("RESULT_DAMAGED", 1)
