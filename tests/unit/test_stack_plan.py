"""What `oppcloud up` decides to do."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from oppcloud_worker import __version__

from pytest_oppcloud.cloud.aws import Stack
from pytest_oppcloud.cloud.stack import credentials, names, plan, template
from pytest_oppcloud.cloud.stack.options import Options
from pytest_oppcloud.cloud.stack.plan import Await, Create, Observed, RemoveBroken, Update, WriteSecrets
from pytest_oppcloud.cloud.stack.prices import Prices
from pytest_oppcloud.errors import SettingsError

NOTHING = Observed(
    region="eu-central-1",
    account="123456789012",
    stack=None,
    secrets=frozenset(),
    machine_images={"x86_64": "ami-1", "arm64": "ami-2"},
    prices=Prices(region="eu-central-1"),
)
WRITTEN = frozenset(credentials.ALL)


def stack(status: str, parameters: dict[str, str] | None = None, digest: str | None = None) -> Stack:
    return Stack(
        id="arn:stack",
        name="oppcloud-default",
        status=status,
        parameters=parameters or dict(plan.make(Options(), NOTHING).parameters),
        tags={names.TEMPLATE_TAG: template.digest() if digest is None else digest},
    )


def seen(
    status: str = "CREATE_COMPLETE", parameters: dict[str, str] | None = None, digest: str | None = None
) -> Observed:
    return replace(NOTHING, stack=stack(status, parameters, digest), secrets=WRITTEN)


def test_from_nothing() -> None:
    made = plan.make(Options(), NOTHING)
    secrets, create = made.steps
    assert secrets == WriteSecrets(secrets=credentials.ALL)
    assert isinstance(create, Create)
    assert create.parameters["ImageTag"] == __version__
    assert create.parameters["HeadAmi"] == create.parameters["WorkerAmi"] == "ami-1"
    assert set(create.parameters) <= set(template.PARAMETERS)


def test_nothing_to_do() -> None:
    made = plan.make(Options(), seen())
    assert made.steps == ()
    assert "nothing: all is as wished" in made.text()


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"])
def test_what_was_never_finished_is_removed_first(status: str) -> None:
    steps = plan.make(Options(), seen(status)).steps
    assert [type(step) for step in steps] == [RemoveBroken, Create]


@pytest.mark.parametrize("status", ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"])
def test_what_is_under_way_is_waited_for(status: str) -> None:
    assert plan.make(Options(), seen(status)).steps == (Await(status=status),)


def test_what_only_amazon_can_mend() -> None:
    with pytest.raises(SettingsError, match="UPDATE_ROLLBACK_FAILED"):
        plan.make(Options(), seen("UPDATE_ROLLBACK_FAILED"))


def test_what_is_not_given_stays() -> None:
    first = plan.make(Options(max_instances=7, worker_types=("c7g.large", "c6g.large"), on_demand=True), NOTHING)
    (step,) = plan.make(Options(lease_minutes=60), seen(parameters=dict(first.parameters))).steps
    assert isinstance(step, Update)
    assert [str(change) for change in step.changes] == ["LeaseMinutes: 30 -> 60"]
    assert step.parameters["MaxInstances"] == "7"
    assert plan.worker_types(step.parameters) == ("c7g.large", "c6g.large")


def test_fewer_types_leave_no_old_one_behind() -> None:
    first = plan.make(Options(), NOTHING)
    made = plan.make(Options(worker_types=("c7i.large",)), seen(parameters=dict(first.parameters)))
    assert plan.worker_types(made.parameters) == ("c7i.large",)


def test_another_template_is_an_update() -> None:
    (step,) = plan.make(Options(), seen(digest="another")).steps
    assert isinstance(step, Update)
    assert step.new_template
    assert step.changes == ()


def test_the_head_keeps_its_machine_image_and_workers_get_the_present_one() -> None:
    before = dict(plan.make(Options(), NOTHING).parameters) | {"HeadAmi": "ami-old", "WorkerAmi": "ami-old"}
    (step,) = plan.make(Options(), seen(parameters=before)).steps
    assert isinstance(step, Update)
    assert [change.name for change in step.changes] == ["WorkerAmi"]
    assert step.parameters["HeadAmi"] == "ami-old"


def test_the_head_cannot_change_its_architecture() -> None:
    with pytest.raises(SettingsError, match=re.escape("t3.small to t4g.small")):
        plan.make(Options(head_type="t4g.small"), seen())


def test_what_was_set_elsewhere_stays() -> None:
    before = dict(plan.make(Options(), NOTHING).parameters) | {"QueueImage": "mirror/valkey:8", "OfAnOldTemplate": "x"}
    made = plan.make(Options(max_instances=5), seen(parameters=before))
    assert made.parameters["QueueImage"] == "mirror/valkey:8"
    assert "OfAnOldTemplate" not in made.parameters


def test_secrets_that_belong_together_are_made_together() -> None:
    without_key = replace(seen(), secrets=WRITTEN - {credentials.SERVER_KEY})
    assert plan.make(Options(), without_key).steps == (
        WriteSecrets(secrets=(credentials.SERVER_CERTIFICATE, credentials.SERVER_KEY, credentials.AUTHORITY)),
    )
    assert plan.make(Options(renew_secrets=True), seen()).steps == (WriteSecrets(secrets=credentials.ALL),)


def test_the_plan_tells_what_it_costs_and_what_is_open() -> None:
    text = plan.make(Options(max_instances=10, client_cidr="203.0.113.7/32"), NOTHING).text()
    assert re.search(r"at rest +\$0\.00\d\d per hour", text)
    assert re.search(r"at full size +\$\d\.\d{4} per hour \(10 instances, 80 slots\)", text)
    assert "open to 203.0.113.7/32" in text
    assert "account 123456789012" in text


def test_ten_instances_cost_ten_times_one() -> None:
    one, ten = (plan.make(Options(max_instances=count), NOTHING).estimate for count in (1, 10))
    assert ten.full - ten.head == pytest.approx(10 * (one.full - one.head))
    assert one.rest < one.head < one.full


@pytest.mark.parametrize(
    ("wished", "message"),
    [
        ({"name": "Upper"}, "cannot be called"),
        ({"name": "x" * 25}, "cannot be called"),
        ({"worker_types": ()}, "none"),
        ({"worker_types": ("c7i.large",) * 2}, "c7i.large, c7i.large"),
        ({"worker_types": ("c7i.large", "c7g.large")}, "different architectures"),
        ({"worker_types": ("p5.48xlarge",)}, "no price is known"),
        ({"head_type": "t3.gigantic"}, "no price is known"),
    ],
)
def test_what_cannot_be_had(wished: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Options(**wished)
