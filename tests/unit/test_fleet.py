"""How many instances a campaign deserves."""

from __future__ import annotations

import pytest

from pytest_oppcloud.cloud.fleet import PATIENCE, Demand, deserved, wanted


@pytest.mark.parametrize(
    ("demand", "count"),
    [
        (Demand(runs=0), 0),
        (Demand(runs=1), 1),
        # 100 runs of half a minute are done by eight slots in less than ten minutes.
        (Demand(runs=100, seconds=3000.0, longest=30.0), 1),
        # 1000 runs of ten minutes: as many as there may be.
        (Demand(runs=1000, seconds=600_000.0, longest=600.0), 20),
        # 24 core hours in ten minutes would want 18 instances.
        (Demand(runs=864, seconds=86_400.0, longest=100.0), 18),
        # One run of a day cannot be divided; the 23 short ones have time until it is done.
        (Demand(runs=24, seconds=86_400.0 + 23 * 60, longest=86_400.0), 1),
        # Eight such: an instance each would not be faster than one with eight slots.
        (Demand(runs=8, seconds=8 * 86_400.0, longest=86_400.0), 1),
        # Never more instances than there are runs to fill.
        (Demand(runs=9, seconds=9 * 6000.0, longest=600.0), 2),
        # Nobody knows how long: a minute each.
        (Demand(runs=1600), 20),
        (Demand(runs=160), 2),
    ],
)
def test_deserved(demand: Demand, count: int) -> None:
    assert deserved(demand, slots=8, maximum=20) == count


def test_never_more_than_allowed() -> None:
    assert deserved(Demand(runs=10**6, seconds=1e12), slots=8, maximum=3) == 3
    assert deserved(Demand(runs=10**6), slots=8, maximum=0) == 0


def test_grows_and_does_not_shrink_before_the_end() -> None:
    much, little, nothing = Demand(runs=1000, seconds=1e6), Demand(runs=3, seconds=100.0), Demand(runs=0)
    assert wanted(much, present=1, slots=8, maximum=4) == 4
    assert wanted(little, present=4, slots=8, maximum=4) == 4
    assert wanted(nothing, present=4, slots=8, maximum=4) == 0
    assert wanted(little, present=9, slots=8, maximum=4) == 4


def test_the_patience_is_ours() -> None:
    demand = Demand(runs=800, seconds=8 * 3600.0)
    assert deserved(demand, slots=8, maximum=50) == 3600 // PATIENCE
    assert deserved(demand, slots=8, maximum=50, patience=3600.0) == 1
