"""How many instances a campaign deserves."""

from __future__ import annotations

import pytest

from pytest_oppcloud.cloud.fleet import PATIENCE, Demand, Large, Size, deserved, of_runs, wanted

GIB = 2**30
SIZE = Size(slots=8, memory=16 * GIB)


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
    assert deserved(demand, size=SIZE, maximum=20) == count


def test_never_more_than_allowed() -> None:
    assert deserved(Demand(runs=10**6, seconds=1e12), size=SIZE, maximum=3) == 3
    assert deserved(Demand(runs=10**6), size=SIZE, maximum=0) == 0


def test_grows_and_does_not_shrink_before_the_end() -> None:
    much, little, nothing = Demand(runs=1000, seconds=1e6), Demand(runs=3, seconds=100.0), Demand(runs=0)
    assert wanted(much, present=1, size=SIZE, maximum=4) == 4
    assert wanted(little, present=4, size=SIZE, maximum=4) == 4
    assert wanted(nothing, present=4, size=SIZE, maximum=4) == 0
    assert wanted(little, present=9, size=SIZE, maximum=4) == 4


def test_the_patience_is_ours() -> None:
    demand = Demand(runs=800, seconds=8 * 3600.0)
    assert deserved(demand, size=SIZE, maximum=50) == 3600 // PATIENCE
    assert deserved(demand, size=SIZE, maximum=50, patience=3600.0) == 1


@pytest.mark.parametrize(
    ("memory", "runs", "at_once", "count"),
    [
        # Two GiB for each slot is what there is.
        (2 * GIB, 16, 8, 2),
        # Five of three GiB on each, two of six, one of nine.
        (3 * GIB, 16, 5, 4),
        (6 * GIB, 16, 2, 8),
        (9 * GIB, 16, 1, 16),
        # One that needs all of it, and more: on none that is smaller would there be any at all.
        (16 * GIB, 3, 1, 3),
        (20 * GIB, 3, 1, 3),
    ],
)
def test_runs_that_need_memory_take_the_room_of_several(memory: int, runs: int, at_once: int, count: int) -> None:
    assert SIZE.at_once(memory) == at_once
    long = Demand(runs=runs, seconds=runs * 3600.0, large=(Large(memory=memory, runs=runs, seconds=runs * 3600.0),))
    assert deserved(long, size=SIZE, maximum=99) == count
    # Short ones have one another's places, one after the other.
    short = Demand(runs=runs, seconds=runs * 1.0, large=(Large(memory=memory, runs=runs, seconds=runs * 1.0),))
    assert deserved(short, size=SIZE, maximum=99) == 1
    # Where nobody knows what an instance has, slots count.
    assert deserved(long, size=Size(slots=8), maximum=99) == -(-runs // 8)


def test_small_runs_beside_large_ones_fill_what_these_leave() -> None:
    demand = Demand(runs=18, seconds=18 * 3600.0, large=(Large(memory=9 * GIB, runs=2, seconds=7200.0),))
    assert deserved(demand, size=SIZE, maximum=99) == 4
    assert of_runs(demand, 9) == Demand(
        runs=9, seconds=9 * 3600.0, large=(Large(memory=9 * GIB, runs=1, seconds=3600.0),)
    )
    assert of_runs(Demand(runs=0), 5) == Demand(runs=5)
