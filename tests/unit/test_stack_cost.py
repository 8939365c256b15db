"""Prices, uses, receipts."""

from __future__ import annotations

import pytest

from pytest_oppcloud.cloud.aws import Instance, ScalingActivity
from pytest_oppcloud.cloud.stack import prices
from pytest_oppcloud.cloud.stack.cost import Meter, Use, cost, group_uses, receipt
from pytest_oppcloud.cloud.stack.options import DEFAULT_WORKER_TYPES
from pytest_oppcloud.cloud.stack.prices import Prices
from pytest_oppcloud.errors import SettingsError

HOUR = 3600.0
LIST = Prices(region="us-east-1")


def instance(name: str, launched: float, kind: str = "c7i.2xlarge", state: str = "running") -> Instance:
    return Instance(id=name, type=kind, state=state, spot=kind != "t3.small", launched=launched)


@pytest.mark.parametrize(("kind", "price"), [("c7i.2xlarge", 0.357), ("c6a.large", 0.0765), ("t3.small", 0.0208)])
def test_list_prices(kind: str, price: float) -> None:
    assert LIST.on_demand(kind) == pytest.approx(price)


def test_default_types_have_the_same_number_of_slots() -> None:
    assert {prices.vcpus(kind) for kind in DEFAULT_WORKER_TYPES} == {8}
    assert {prices.architecture(kind) for kind in DEFAULT_WORKER_TYPES} == {"x86_64"}


@pytest.mark.parametrize(
    ("kind", "gibibytes"), [("c7i.2xlarge", 16), ("m7g.large", 8), ("r7a.4xlarge", 128), ("t3.small", 2)]
)
def test_an_instance_has_less_memory_for_runs_than_is_in_it(kind: str, gibibytes: int) -> None:
    assert 0.9 < prices.memory(kind) / (gibibytes * 2**30) < 1


@pytest.mark.parametrize(
    ("kind", "architecture"), [("c7g.large", "arm64"), ("t4g.small", "arm64"), ("m7i.large", "x86_64")]
)
def test_architecture(kind: str, architecture: str) -> None:
    assert prices.architecture(kind) == architecture


@pytest.mark.parametrize("kind", ["p5.48xlarge", "c7i", "c7i.huge", ""])
def test_what_has_no_price_cannot_be_had(kind: str) -> None:
    with pytest.raises(SettingsError, match="no price is known"):
        prices.checked(kind)


def test_spot_is_asked_for_or_guessed_and_the_basis_says_so() -> None:
    asked = Prices(region="us-east-1", spot={"c7i.2xlarge": 0.1})
    assert asked.instance("c7i.2xlarge", spot=True) == 0.1
    assert LIST.instance("c7i.2xlarge", spot=True) == pytest.approx(0.4 * 0.357)
    assert "as of now" in asked.basis(["c7i.2xlarge"], spot=True)
    assert "guessed" in asked.basis(["c7i.2xlarge", "c6i.2xlarge"], spot=True)
    assert prices.DATE in LIST.basis([], spot=False)
    assert "not in the table" in Prices(region="mars-north-1").basis([], spot=False)


def test_an_unknown_region_is_taken_for_a_dear_one() -> None:
    known = max(Prices(region=region).factor for region in ("sa-east-1", "us-east-1"))
    assert Prices(region="mars-north-1").factor > known


def test_a_use_costs_a_minute_at_least() -> None:
    use = Use(instance="i-1", type="c7i.2xlarge", spot=False, start=0.0, end=1.0)
    assert cost(use, LIST) == pytest.approx(LIST.worker("c7i.2xlarge", spot=False) / 60)


class TestMeter:
    def test_counts_from_the_campaigns_start_to_the_last_look(self) -> None:
        meter = Meter(prices=LIST, start=1000.0, head="i-head", guess="c7i.2xlarge")
        fleet = [instance("i-head", 0.0, "t3.small"), instance("i-1", 2000.0)]
        meter.observe(2000.0, fleet)
        meter.observe(1000.0 + HOUR, fleet)
        head, worker = meter.uses
        assert (head.instance, head.start, head.seconds, head.head) == ("i-head", 1000.0, HOUR, True)
        assert (worker.instance, worker.start, worker.seconds, worker.head) == ("i-1", 2000.0, HOUR - 1000.0, False)
        expected = LIST.head("t3.small") + LIST.worker("c7i.2xlarge", spot=True) * (HOUR - 1000) / HOUR
        assert meter.spent == pytest.approx(expected)

    def test_an_instance_that_is_missed_ran_until_now(self) -> None:
        meter = Meter(prices=LIST, start=0.0, head="i-head", guess="c7i.2xlarge")
        meter.observe(100.0, [instance("i-1", 0.0)])
        meter.observe(900.0, [])
        meter.observe(5000.0, [])
        assert [use.end for use in meter.uses] == [900.0]

    def test_a_stopped_instance_costs_nothing_and_a_second_start_is_another_use(self) -> None:
        meter = Meter(prices=LIST, start=0.0, head="i-head", guess="c7i.2xlarge")
        meter.observe(100.0, [instance("i-head", 0.0, "t3.small", "stopped")])
        assert meter.spent == 0.0
        meter.observe(200.0, [instance("i-head", 150.0, "t3.small")])
        meter.observe(300.0, [instance("i-head", 150.0, "t3.small", "stopping")])
        meter.observe(500.0, [instance("i-head", 450.0, "t3.small")])
        assert [(use.start, use.end) for use in meter.uses] == [(150.0, 300.0), (450.0, 500.0)]

    def test_a_type_without_a_price_is_taken_for_another(self) -> None:
        meter = Meter(prices=LIST, start=0.0, head="i-head", guess="c6i.large")
        meter.observe(0.0, [instance("i-1", 0.0, "z99.nano")])
        assert [use.type for use in meter.uses] == ["c6i.large"]

    def test_what_it_will_have_cost(self) -> None:
        meter = Meter(prices=LIST, start=0.0, head="i-head", guess="c7i.2xlarge")
        meter.observe(0.0, [instance("i-head", 0.0, "t3.small")])
        assert meter.spent_if(2, HOUR, 0.5) == pytest.approx(meter.spent + 1.0 + LIST.head("t3.small"))


def test_the_receipt_adds_up() -> None:
    uses = [
        Use(instance="i-head", type="t3.small", spot=False, start=0.0, end=HOUR, head=True),
        Use(instance="i-1", type="c7i.2xlarge", spot=True, start=0.0, end=HOUR),
        Use(instance="i-2", type="c7i.2xlarge", spot=True, start=0.0, end=HOUR / 2),
    ]
    bill = receipt(uses, LIST)
    assert [line for line, _ in bill.lines] == [
        "1 x queue t3.small on demand, 1.00 h",
        "2 x worker c7i.2xlarge spot, 1.50 h",
    ]
    assert bill.total == pytest.approx(sum(cost(use, LIST) for use in uses))
    assert f"${bill.total:.4f}" in bill.text()
    assert "list prices of" in bill.text()


def test_a_group_remembers_what_ran() -> None:
    def activity(name: str, *, launch: bool, at: float, ok: bool = True) -> ScalingActivity:
        return ScalingActivity(instance=name, launch=launch, succeeded=ok, start=at, end=at + 60.0)

    activities = [
        activity("i-2", launch=False, at=5000.0),
        activity("", launch=True, at=4000.0, ok=False),
        activity("i-3", launch=True, at=3000.0),
        activity("i-2", launch=True, at=2000.0),
        # Its start is forgotten.
        activity("i-1", launch=False, at=1000.0),
        # Its end is: nobody knows for how long it ran.
        activity("i-0", launch=True, at=0.0),
    ]
    uses = group_uses(activities, [instance("i-3", 3010.0, "c6i.2xlarge")], now=9000.0, guess="c7i.2xlarge", spot=True)
    assert [(use.instance, use.type, use.start, use.end) for use in uses] == [
        ("i-2", "c7i.2xlarge", 2000.0, 5060.0),
        ("i-3", "c6i.2xlarge", 3000.0, 9000.0),
    ]
