"""A campaign's claim on a cluster: instances come and go, the lease holds, the cost is watched; and the timer."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from pytest_oppcloud.cloud.aws import Parameter
from pytest_oppcloud.cloud.fleet import Demand
from pytest_oppcloud.cloud.stack import control, lease, names
from pytest_oppcloud.cloud.stack.claim import Claim, Steward, Terms
from pytest_oppcloud.cloud.stack.lease import Lease
from pytest_oppcloud.cloud.stack.prices import Prices

from .conftest import timer_of_the_template

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_oppcloud.cloud.aws import Aws
    from pytest_oppcloud.cloud.stack.cluster import Cluster

PRICES = Prices(region="eu-central-1")
MUCH = Demand(runs=1000, seconds=1e6, longest=600.0)
NOTHING = Demand(runs=0)


@pytest.fixture
def now(clock: Any) -> Any:
    """Let our clock agree with moto's, which dates parameters and instances."""
    clock.time = time.time()
    return clock


def claim(aws: Aws, cluster: Cluster, clock: Any, holder: str = "one", **terms: Any) -> Claim:
    return Claim(aws, cluster, Terms(holder=holder, prices=PRICES, **terms), clock)


def desired(aws: Aws, cluster: Cluster) -> int:
    return aws.instances.group(cluster.group).desired


def test_instances_come_with_the_work_and_go_with_it(aws: Aws, cluster: Cluster, now: Any) -> None:
    one = claim(aws, cluster, now)
    one.begin()
    assert [held.holder for held in lease.holding(control.leases(aws, cluster), now.now())] == ["one"]
    assert one.step(MUCH).claimed == 4
    assert desired(aws, cluster) == 4
    now.sleep(15.0)
    state = one.step(Demand(runs=1))
    assert (state.claimed, state.running) == (4, 4)
    one.step(NOTHING)
    assert desired(aws, cluster) == 0
    bill = one.end()
    assert control.leases(aws, cluster) == ()
    assert bill.total > 0
    assert [
        held for held in aws.instances.tagged(names.TAG, "default") if held.running and held.id != cluster.head
    ] == []


def test_campaigns_do_not_take_each_others_instances(aws: Aws, cluster: Cluster, now: Any) -> None:
    one, two = claim(aws, cluster, now), claim(aws, cluster, now, "two", max_instances=1)
    for each in (one, two):
        each.begin()
    assert two.step(MUCH).claimed == 1
    one.step(Demand(runs=16, seconds=16 * 600.0, longest=600.0))
    assert desired(aws, cluster) == 3
    one.end()
    assert desired(aws, cluster) == 1
    two.end()
    assert desired(aws, cluster) == 0


def test_at_the_tail_idle_instances_go_and_those_at_work_stay(aws: Aws, cluster: Cluster, now: Any) -> None:
    one = claim(aws, cluster, now)
    one.begin()
    one.step(MUCH)
    first, *others = (held.id for held in aws.instances.tagged(names.TAG, "default") if held.id != cluster.head)
    idle = frozenset(others)
    # As long as runs wait, somebody who is idle will have something to do.
    one.step(Demand(runs=9, waiting=1, idle=idle))
    assert desired(aws, cluster) == 4
    state = one.step(Demand(runs=8, waiting=0, idle=idle | {"i-of-somebody-else", cluster.head}))
    assert state.claimed == 1
    assert [
        held.id for held in aws.instances.tagged(names.TAG, "default") if held.running and held.id != cluster.head
    ] == [first]
    # The last one stays for runs that are repeated.
    assert one.step(Demand(runs=1, waiting=0, idle=frozenset({first}))).claimed == 1
    assert desired(aws, cluster) == 1
    one.end()


def test_what_others_claim_is_not_let_go(aws: Aws, cluster: Cluster, now: Any) -> None:
    one, two = claim(aws, cluster, now), claim(aws, cluster, now, "two")
    for each in (one, two):
        each.begin()
        each.step(MUCH)
    idle = frozenset(held.id for held in aws.instances.tagged(names.TAG, "default") if held.id != cluster.head)
    assert one.step(Demand(runs=1, waiting=0, idle=idle)).claimed == 1
    assert len(aws.instances.tagged(names.TAG, "default")) == 5
    assert desired(aws, cluster) == 4


def test_the_lease_is_renewed_in_time_and_not_at_every_step(aws: Aws, cluster: Cluster, now: Any) -> None:
    one = claim(aws, cluster, now)
    one.begin()
    (first,) = control.leases(aws, cluster)
    now.sleep(60.0)
    one.step(NOTHING)
    assert control.leases(aws, cluster) == (first,)
    now.sleep(cluster.longest_lease / 4)
    one.step(NOTHING)
    (parameter,) = aws.parameters.below(names.leases("default"))
    assert json.loads(parameter.value)["until"] > first.until


def test_stops_before_it_costs_more_than_it_may(aws: Aws, cluster: Cluster, now: Any) -> None:
    limit = 0.25
    one = claim(aws, cluster, now, max_cost=limit)
    one.begin()
    state = one.step(MUCH)
    assert state.claimed == 4
    steps = 0
    while not state.broke:
        now.sleep(15.0)
        state = one.step(MUCH)
        steps += 1
        assert steps < 1000
    assert steps > 10
    assert desired(aws, cluster) == 0
    assert 0.5 * limit < state.spent < limit
    # It does not come back for more.
    now.sleep(15.0)
    assert one.step(MUCH).broke
    assert desired(aws, cluster) == 0
    assert one.end().total < limit


def test_a_small_budget_buys_few_instances(aws: Aws, cluster: Cluster, now: Any) -> None:
    hourly = PRICES.dearest(cluster.worker_types, spot=True)
    one = claim(aws, cluster, now, max_cost=hourly * 0.12)
    one.begin()
    assert one.step(MUCH).claimed == 2


def test_a_steward_goes_on_after_an_error(aws: Aws, cluster: Cluster, now: Any) -> None:
    one = claim(aws, cluster, now)
    one.begin()
    aws.stacks.delete("oppcloud-default")
    steward = Steward(one, lambda: NOTHING, pace=0.01)
    steward.start()
    deadline = time.monotonic() + 60
    while not steward.trouble:
        assert steward._thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    steward.stop()
    assert "no Auto Scaling group" in steward.trouble


# ---- the stack's timer


def states(aws: Aws) -> list[str]:
    return [one.state for one in aws.instances.tagged(names.TAG, "default")]


def test_the_timer_leaves_a_leased_cluster_alone(
    aws: Aws, cluster: Cluster, now: Any, reaper: Callable[[], str]
) -> None:
    control.hold(aws, cluster, Lease(holder="dead", until=now.now() - 1, instances=1))
    control.hold(aws, cluster, Lease(holder="alive", until=now.now() + 600, instances=2))
    control.resize(aws, cluster, now.now())
    assert reaper() == "in use"
    assert desired(aws, cluster) == 2
    assert len(control.leases(aws, cluster)) == 2


@pytest.mark.parametrize("until", ["over", "nonsense", "none"])
def test_the_timer_stops_what_nobody_wants(
    aws: Aws, cluster: Cluster, now: Any, reaper: Callable[[], str], until: str
) -> None:
    aws.instances.scale(cluster.group, 3)
    if until == "over":
        # More than the reaper deletes in one call.
        for number in range(12):
            control.hold(aws, cluster, Lease(holder=f"dead-{number}", until=now.now() - 1))
    elif until == "nonsense":
        aws.parameters.renew(f"{names.leases('default')}/x", "until the cows come home")
    assert reaper() == "stopped"
    assert desired(aws, cluster) == 0
    assert states(aws) == ["stopped"]
    assert control.leases(aws, cluster) == ()
    assert reaper() == "stopped"


def test_the_timer_takes_away_what_a_lost_campaign_claimed_beside_another(
    aws: Aws, cluster: Cluster, now: Any, reaper: Callable[[], str]
) -> None:
    control.hold(aws, cluster, Lease(holder="lost", until=now.now() + 600, instances=3))
    control.hold(aws, cluster, Lease(holder="alive", until=now.now() + 600, instances=1))
    control.resize(aws, cluster, now.now())
    control.hold(aws, cluster, Lease(holder="lost", until=now.now() - 1, instances=3))
    assert reaper() == "in use"
    assert desired(aws, cluster) == 1
    # Never more than there may be, whatever is claimed.
    control.hold(aws, cluster, Lease(holder="alive", until=now.now() + 600, instances=99))
    assert reaper() == "in use"
    assert desired(aws, cluster) == cluster.max_instances


def test_the_timer_believes_no_lease_for_ever(
    aws: Aws, cluster: Cluster, reaper: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    control.hold(aws, cluster, Lease(holder="greedy", until=4e9, instances=2))
    assert reaper() == "in use"
    monkeypatch.setenv("LEASE_MINUTES", "0")
    assert reaper() == "stopped"


# ---- campaigns that go on without their client


def leave_signs(amazon: str, cluster: Cluster, session: str, *kinds: str) -> None:
    """Do as workers do."""
    for kind in kinds:
        boto3.client("s3", endpoint_url=amazon).put_object(Bucket=cluster.bucket, Key=names.sign(session, kind))


def test_what_is_left_to_the_workers_lasts_as_long_as_its_work(
    aws: Aws, cluster: Cluster, now: Any, reaper: Callable[[], str], amazon: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = claim(aws, cluster, now, "night")
    one.begin()
    one.step(MUCH)
    left = one.leave(MUCH, until=now.now() + 86400.0)
    assert (left.instances, left.until) == (4, now.now() + 86400.0)
    assert left.receipt.total > 0
    # A day of four instances of the dearest type and of the queue, and what passes until the timer has stopped them.
    assert left.most == pytest.approx((4 * PRICES.dearest(cluster.worker_types, spot=True) + 0.02) * 24, rel=0.05)
    assert reaper() == "in use"
    assert desired(aws, cluster) == 4

    # No worker was seen at work for as long as a lease lasts: here at once, so that nobody has to wait.
    with monkeypatch.context() as patched:
        patched.setenv("LEASE_MINUTES", "0")
        assert reaper() == "stopped"
    # It is not forgotten, though: somebody may come back to it.
    (held,) = control.leases(aws, cluster)
    assert (held.holder, held.instances, held.detached_until) == ("night", 4, round(left.until))
    again = claim(aws, cluster, now, "night")
    again.begin()
    assert desired(aws, cluster) == 0
    assert again.step(Demand(runs=1)).claimed == 1
    again.leave(Demand(runs=1), until=now.now() + 86400.0)

    leave_signs(amazon, cluster, "night", "working")
    assert reaper() == "in use"
    while reaper() == "in use":
        # Amazon dates objects by whole seconds.
        leave_signs(amazon, cluster, "night", "done")
    assert desired(aws, cluster) == 0
    (held,) = control.leases(aws, cluster)
    assert held.done


def test_who_comes_back_takes_over_what_is_there_and_what_it_cost(aws: Aws, cluster: Cluster, now: Any) -> None:
    one, other = claim(aws, cluster, now, "night"), claim(aws, cluster, now, "day")
    one.begin()
    other.begin()
    one.step(Demand(runs=16, seconds=16 * 600.0, longest=600.0))
    spent = one.leave(Demand(runs=16, seconds=9600.0, longest=600.0), until=now.now() + 86400.0).receipt.total
    # Others let go of what is theirs alone.
    other.end()
    assert desired(aws, cluster) == 2
    now.sleep(3600.0)
    back = claim(aws, cluster, now, "night")
    back.begin()
    assert back.step(NOTHING).claimed == 2, "it is not known yet what is left"
    assert back.step(Demand(runs=9)).claimed == 2
    assert back.step(NOTHING).claimed == 0
    assert back.end().total > 10 * spent
    assert control.leases(aws, cluster) == ()


def test_what_is_left_to_the_workers_costs_no_more_than_it_may(aws: Aws, cluster: Cluster, now: Any) -> None:
    hourly = 4 * PRICES.dearest(cluster.worker_types, spot=True)
    one = claim(aws, cluster, now, max_cost=hourly)
    one.begin()
    left = one.leave(MUCH, until=now.now() + 86400.0)
    assert left.instances == 4
    assert 0.7 * 3600 < left.until - now.now() < 3600
    assert 0.9 * hourly < left.most <= hourly
    # Fewer instances rather than none at all, and none rather than one that would hardly have started.
    one.end()
    for share, instances in ((0.2, 2), (0.05, 0)):
        small = claim(aws, cluster, now, f"small-{instances}", max_cost=share * hourly)
        small.begin()
        assert small.leave(MUCH, until=now.now() + 86400.0).instances == instances


@pytest.mark.parametrize(
    "value",
    [
        {"until": 1500, "instances": 2},
        {"until": 9e99, "instances": 2},
        {"until": 0, "instances": 2, "detached_until": 9e99},
        {"until": 0, "instances": 2, "detached_until": 1500},
        {"until": 0, "instances": 0, "detached_until": 9e99},
        {"until": 0, "instances": -1, "detached_until": 9e99},
        {"until": 0, "instances": 1, "detached_until": "x"},
        {"instances": 1, "detached_until": 9e99},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize(
    "signs", [{}, {"working": 5000}, {"working": 700_000}, {"working": 2000, "done": 3000}], ids=str
)
def test_timer_and_client_agree_when_a_lease_ends(
    monkeypatch: pytest.MonkeyPatch, value: dict[str, Any], signs: dict[str, float]
) -> None:
    monkeypatch.setenv("LEASE_MINUTES", "30")
    timer, _ = timer_of_the_template()
    written = dt.datetime.fromtimestamp(1000, tz=dt.timezone.utc)
    text, seen = json.dumps(value), {names.sign("x", kind): float(time) for kind, time in signs.items()}
    described = {"Name": "/oppcloud/default/lease/x", "Value": text, "LastModifiedDate": written}
    held = lease.read(Parameter(name="x/x", value=text, modified=1000.0), longest=1800.0, signs=seen)
    assert timer.module.end(described, seen) == (held.until, held.detached_until, held.instances)
    assert held.until <= 1000 + lease.LONGEST_DETACHED
