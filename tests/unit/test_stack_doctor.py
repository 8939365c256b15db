"""What `oppcloud doctor` makes of what it is told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_oppcloud.cloud.aws import AwsError, Identity
from pytest_oppcloud.cloud.stack import doctor
from pytest_oppcloud.cloud.stack.doctor import Health


@pytest.mark.parametrize(
    ("ahead", "health"),
    [(0.4, Health.GOOD), (-2.0, Health.GOOD), (-100.0, Health.DOUBTFUL), (3600.0, Health.BAD), (None, Health.DOUBTFUL)],
)
def test_the_clock(ahead: float | None, health: Health) -> None:
    found = doctor.clock(ahead)
    assert found.health is health
    assert ("set it" in found.advice) == (ahead is not None and health is not Health.GOOD)


class Account:
    """An account in which there is no cluster."""

    def __init__(self, quota: int | None) -> None:
        self._quota = quota

    def identity(self) -> Identity:
        return Identity(account="1", arn="arn:aws:iam::1:user/x", clock_ahead=0.0)

    def vcpu_quota(self, *, spot: bool) -> int:
        assert spot
        if self._quota is None:
            raise AwsError("nobody may look", action="servicequotas:GetServiceQuota")
        return self._quota


@pytest.mark.parametrize(
    ("quota", "health", "advice"),
    [
        # Four instances with eight vCPUs each.
        (32, Health.GOOD, ""),
        (31, Health.DOUBTFUL, "ask for more under Service Quotas"),
        (7, Health.BAD, "ask for more under Service Quotas"),
        (None, Health.DOUBTFUL, ""),
    ],
)
def test_the_quota(quota: int | None, health: Health, advice: str) -> None:
    stacks = SimpleNamespace(describe=lambda _: None)
    aws = cast("Any", SimpleNamespace(region="eu-central-1", account=Account(quota), stacks=stacks))
    (found,) = (finding for finding in doctor.examine(aws, "default") if finding.subject == "quota")
    assert found.health is health
    assert advice in found.advice
