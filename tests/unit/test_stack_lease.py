"""Leases: who wants what until when."""

from __future__ import annotations

import pytest

from pytest_oppcloud.cloud.aws import Parameter
from pytest_oppcloud.cloud.stack.lease import Lease, claimed, holding, read


def written(value: str, modified: float = 1000.0) -> Parameter:
    return Parameter(name="/oppcloud/default/lease/ci-7", value=value, modified=modified)


def test_what_is_written_is_read() -> None:
    lease = Lease(holder="ci-7", until=2000.0, instances=3)
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
