"""Leases: who wants what until when."""

from __future__ import annotations

import pytest

from pytest_oppcloud.cloud.aws import Parameter
from pytest_oppcloud.cloud.settings import LONGEST_DEADLINE
from pytest_oppcloud.cloud.stack import names
from pytest_oppcloud.cloud.stack.lease import LONGEST_DETACHED, Lease, claimed, holding, read, waiting


def written(value: str, modified: float = 1000.0) -> Parameter:
    return Parameter(name="/oppcloud/default/lease/ci-7", value=value, modified=modified)


def test_what_is_written_is_read() -> None:
    for lease in (
        Lease(holder="ci-7", until=2000.0, instances=3, since=900.0),
        Lease(holder="ci-7", until=2800.0, instances=3, since=900.0, detached_until=5000.0),
    ):
        assert lease.parameter("default") == "/oppcloud/default/lease/ci-7"
        assert read(written(lease.text()), longest=1800.0) == lease


def test_no_lease_is_longer_than_allowed() -> None:
    assert read(written('{"until": 9e99}'), longest=1800.0).until == 2800.0
    assert read(written('{"until": Infinity}'), longest=1800.0).until == 2800.0


@pytest.mark.parametrize("value", ["", "x", "7", "[]", "null", '{"until": "x"}', '{"until": NaN}', '{"instances": 3}'])
def test_what_makes_no_sense_is_over(value: str) -> None:
    lease = read(written(value), longest=1800.0)
    assert (lease.until, lease.instances) == (0.0, 0)


def test_nobody_can_claim_less_than_nothing() -> None:
    assert read(written('{"until": 2000, "instances": -5}'), longest=1800.0).instances == 0


def test_only_those_that_hold_count() -> None:
    leases = [
        Lease(holder="a", until=10.0, instances=2),
        Lease(holder="b", until=30.0, instances=3),
        Lease(holder="c", until=20.0, instances=4),
    ]
    assert [lease.holder for lease in holding(leases, 10.0)] == ["b", "c"]
    assert claimed(leases, 10.0) == 7
    assert claimed(leases, 30.0) == 0


DETACHED = '{"until": 1000, "instances": 2, "detached_until": 9000}'


@pytest.mark.parametrize(
    ("value", "working", "done", "until"),
    [
        # Nobody has been seen at work: as long as instances may take to come.
        (DETACHED, None, None, 2800.0),
        # Seen at work, again and again: for as long as that after the last time, and never longer than was said.
        (DETACHED, 4000.0, None, 5800.0),
        (DETACHED, 8900.0, None, 9000.0),
        (DETACHED, 20_000.0, None, 9000.0),
        # Done: at once, unless there was work again, or the lease was written again, since.
        (DETACHED, 4000.0, 4000.0, 1000.0),
        (DETACHED, 4001.0, 4000.0, 5801.0),
        (DETACHED, 500.0, 900.0, 2800.0),
        # Without a claim there is nothing to keep.
        ('{"until": 1000, "instances": 0, "detached_until": 9000}', 4000.0, None, 1000.0),
        # While a client is there, what workers say does not matter.
        ('{"until": 2500, "instances": 2, "detached_until": 9000}', 1500.0, 1600.0, 2500.0),
        ('{"until": 1500, "instances": 2}', 4000.0, None, 1500.0),
        # A week is the most.
        ('{"until": 1000, "instances": 2, "detached_until": 9e99}', 9e9, None, 1000.0 + LONGEST_DETACHED),
    ],
)
def test_what_was_left_holds_while_there_is_work(
    value: str, working: float | None, done: float | None, until: float
) -> None:
    told = {"working": working, "done": done}
    signs = {names.sign("ci-7", kind): time for kind, time in told.items() if time is not None}
    # Signs of others do not count.
    signs[names.sign("other", "working")] = 1e9
    assert read(written(value), longest=1800.0, signs=signs).until == until


def test_what_was_left_can_be_come_back_to_until_its_time_is_over() -> None:
    leases = [Lease(holder="a", until=10.0, detached_until=20.0), Lease(holder="b", until=10.0)]
    assert [[lease.holder for lease in waiting(leases, now)] for now in (9.0, 10.0, 20.0)] == [[], ["a"], []]


def test_no_session_can_be_left_for_longer_than_its_lease_could_hold() -> None:
    assert LONGEST_DEADLINE <= LONGEST_DETACHED
