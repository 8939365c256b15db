"""A campaign's claim on a cluster: instances come and go, the lease holds, the cost is watched; and the timer."""

from __future__ import annotations

import json
import time
import types
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from pytest_oppcloud.cloud.fleet import Demand
from pytest_oppcloud.cloud.stack import control, lease, names, template
from pytest_oppcloud.cloud.stack.claim import Claim, Steward, Terms
from pytest_oppcloud.cloud.stack.lease import Lease
from pytest_oppcloud.cloud.stack.prices import Prices

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
    while not steward.trouble:
        assert steward._thread.is_alive()
    steward.stop()
    assert "no Auto Scaling group" in steward.trouble


# ---- the stack's timer


@pytest.fixture
def reaper(aws: Aws, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Return the timer's function, taken out of the template, in the environment that the template gives it."""
    del aws

    class Loader(yaml.SafeLoader):
        """Reads functions as their arguments."""

    Loader.add_multi_constructor("!", lambda _loader, _suffix, node: str(node.value))
    described = yaml.load(template.text(), Loader)["Resources"]["Reaper"]["Properties"]  # noqa: S506  # a safe loader
    values = {
        "LEASES": names.leases("default"),
        "LEASE_MINUTES": cluster.stack.parameters["LeaseMinutes"],
        "GROUP": cluster.group,
        "HEAD": cluster.head,
    }
    assert set(described["Environment"]["Variables"]) == set(values)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    module = types.ModuleType("index")
    exec(described["Code"]["ZipFile"], module.__dict__)  # noqa: S102  # our own code
    return lambda: str(module.handler({}, None))


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


def test_the_timer_believes_no_lease_for_ever(
    aws: Aws, cluster: Cluster, reaper: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    control.hold(aws, cluster, Lease(holder="greedy", until=4e9, instances=2))
    assert reaper() == "in use"
    monkeypatch.setenv("LEASE_MINUTES", "0")
    assert reaper() == "stopped"
