"""Means, deviations, histograms."""

from __future__ import annotations

import itertools
import math

import pytest
from engine import Histogram, SimulationError, StdDev, divide
from engine.recording import Statistic
from hypothesis import given, settings
from hypothesis import strategies as st

numbers = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)


def test_no_observation_is_the_nan_that_omnetpp_prints_with_a_sign() -> None:
    # "-nan" in the results of the example aloha, config Pure, run 1, as OMNeT++ 6.1 records them on x86-64.
    empty = StdDev()
    for value in (empty.min, empty.max, empty.mean, empty.stddev, divide(0, 0)):
        assert math.isnan(value)
        assert math.copysign(1, value) == -1


def test_division_never_raises() -> None:
    assert divide(1, 0.0) == math.inf
    assert divide(1, -0.0) == -math.inf
    assert divide(6, 3) == 2


def test_a_weighted_statistic_counts_weights() -> None:
    statistic = StdDev(weighted=True)
    statistic.collect_weighted(2, 3)
    statistic.collect_weighted(5, 1)
    assert (statistic.count, statistic.mean, statistic.sum, statistic.sum_squares) == (2, 2.75, 11, 37)
    with pytest.raises(SimulationError, match=r"^Use collectWeighted"):
        statistic.collect(1)


def test_the_bins_of_few_numbers() -> None:
    histogram = Histogram(bins=4)
    for value in (1.0, 2.5, 9.9):
        histogram.collect(value)
    histogram.set_up_bins()
    # One and a half times the range over four bins is 3.3; of 1, 2 and 5 times a power of ten, 2 is the nearest.
    assert histogram.edges == [0, 2, 4, 6, 8, 10, 12, 14]
    assert histogram.bins == [1, 1, 0, 0, 1, 0, 0]


def kept_until(count: int) -> list[float]:
    """Return observations whose range stays the same for so long, then a large one."""
    return [0.5, 10, *[5.0] * count, 100]


def with_new_maxima(count: int) -> list[float]:
    """Return many equal whole numbers, the eleventh that comes, with a new maximum every now and then."""
    values: list[float] = [float(index) for index in range(11)]
    for index in range(count):
        values += [10.75 + index // 40 / 4, 10.0] if index % 40 == 0 else [10.0]
    return [*values, 1000.5]


#: Bins, observations, first and last edge, and the bins that are not empty. Recorded with OMNeT++ 6.1 from a
#: `cHistogram` that collects these observations: one reason after the other to lay the bins, to extend and to merge.
RECORDED = [
    (None, kept_until(49), 0, 126, {0: 1, 2: 49, 5: 1, 50: 1}),
    (None, kept_until(50), 0, 100.80000000000001, {0: 1, 2: 50, 5: 1, 55: 1}),
    (None, with_new_maxima(1000), 0, 1008, {0: 1036, 59: 1}),
    (None, with_new_maxima(1060), 0, 1008, {0: 1096, 1: 2, 59: 1}),
    (7, [*((index * 7919) % 1000 / 10 - 50 for index in range(200)), -1e4, 3e5], -1e5, 4e5, {1: 102, 2: 99, 8: 1}),
]


@pytest.mark.parametrize(("bins", "values", "first", "last", "filled"), RECORDED)
def test_bins_are_laid_as_in_omnetpp(
    bins: int | None, values: list[float], first: float, last: float, filled: dict[int, float]
) -> None:
    histogram = Histogram(bins=bins)
    for value in values:
        histogram.collect(value)
    histogram.set_up_bins()
    assert (histogram.edges[0], histogram.edges[-1]) == (first, last)
    assert {index: weight for index, weight in enumerate(histogram.bins) if weight} == filled


def test_bins_are_laid_when_enough_observations_are_kept() -> None:
    histogram = Histogram()
    for index in range(1100):
        histogram.collect(index * index * 0.00959)
    # Recorded with OMNeT++ 6.1; laid one observation later, the edges would go to 12200.
    assert (len(histogram.bins), histogram.edges[-1]) == (60, 12000)


def test_whole_numbers_get_whole_bins() -> None:
    histogram = Histogram()
    for value in (1, 2, 2, 4):
        histogram.collect(value)
    histogram.set_up_bins()
    # Recorded with OMNeT++ 6.1: example ring, `hops:histogram`, begins at 0 and goes to 5 in steps of 1.
    assert (histogram.edges, histogram.bins) == ([0, 1, 2, 3, 4, 5], [0, 1, 2, 0, 1])


@given(st.lists(numbers, max_size=300), st.integers(min_value=1, max_value=70))
@settings(deadline=None)
def test_every_observation_is_in_its_bin(values: list[float], bins: int) -> None:
    histogram = Histogram(bins=bins)
    for value in values:
        histogram.collect(value)
    histogram.set_up_bins()
    assert sum(histogram.bins) == len(values)
    assert histogram.underflows == histogram.overflows == 0
    assert all(low < high for low, high in itertools.pairwise(histogram.edges))
    assert len(histogram.bins) <= max(bins * 2, 2 * 60)
    for edge, following, weight in zip(histogram.edges, histogram.edges[1:], histogram.bins, strict=False):
        # Bins may have been merged, never split: at least those that are there now are in it.
        assert weight == sum(edge <= value < following for value in values)


def test_infinite_values_are_outside_of_all_bins() -> None:
    histogram = Histogram()
    for value in (math.inf, -math.inf, 1.5):
        histogram.collect(value)
    histogram.set_up_bins()
    assert (histogram.underflows, histogram.overflows, sum(histogram.bins)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("option", "modes"),
    [
        ("default", ["mean", "max"]),
        ("all", ["mean", "max", "histogram"]),
        ("+count,-mean", ["max", "count"]),
        ("default, -max ,+timeavg", ["mean", "timeavg"]),
        ("-", []),
        ("sum,sum", ["sum"]),
    ],
)
def test_recording_modes_are_chosen_as_in_omnetpp(option: str, modes: list[str]) -> None:
    assert Statistic("s", ["mean", "max", "histogram?"]).modes(option) == modes
