"""Histograms that find their bins themselves.

Standard library only. Rules: OMNeT++ 6.1, src/sim/chistogram.cc and `cDefaultHistogramStrategy` in
src/sim/chistogramstrategy.cc: some observations are kept until their range is known, then bins of a round size are
laid over them; later ones extend the bins, and bins are merged when there are too many. The order of operations is
part of the rules, as the edges depend on it to the last digit.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from typing import TYPE_CHECKING

from .statistics import StdDev

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Observations that are kept at most before the bins are laid (cPrecollectionBasedHistogramStrategy).
_TO_KEEP = 1000
#: Whole numbers are looked for among so many kept observations, to count them there.
_TO_COLLATE = 10
#: So many observations that leave the range as it is end the keeping, too.
_UNCHANGED_RANGE = 50
_DEFAULT_BINS = 60
_RANGE_EXTENSION = 1.5


class Histogram(StdDev):
    """Observations in bins (`cHistogram` with its default strategy)."""

    def __init__(self, name: str = "", *, bins: int | None = None, weighted: bool = False) -> None:
        super().__init__(name, weighted=weighted)
        self._target_bins = _DEFAULT_BINS if bins is None else bins
        #: Lower edges of the bins, and the upper edge of the last one.
        self.edges: list[float] = []
        self.bins: list[float] = []
        #: Infinite values, and what came after them on the same side: bins are not extended any more then.
        self.underflows = 0.0
        self.overflows = 0.0
        self._bin_size = 0.0
        self._kept: list[float] = []
        self._kept_weights: list[float] = []
        self._lowest = math.inf
        self._highest = -math.inf
        self._last_range = math.nan
        self._range_unchanged = 0

    def collect(self, value: float) -> None:
        """Add an observation."""
        super().collect(value)
        self._sort_in(value, 1.0)

    def collect_weighted(self, value: float, weight: float) -> None:
        """Add an observation with its weight."""
        super().collect_weighted(value, weight)
        self._sort_in(value, weight)

    def set_up_bins(self) -> None:
        """Lay the bins over what was collected so far, if that has not been done."""
        if self.bins:
            return
        self._create_bins()
        for value, weight in zip(self._kept, self._kept_weights, strict=True):
            self._add(value, weight)
        self._kept.clear()
        self._kept_weights.clear()

    def hashed_values(self) -> Iterator[float]:
        """Yield what the ingredient "z" of fingerprints sees: the bins, too."""
        yield from super().hashed_values()
        yield self.underflows
        yield self.overflows
        for edge, weight in zip(self.edges, self.bins, strict=False):
            yield edge
            yield weight
        yield self.edges[-1]

    def _sort_in(self, value: float, weight: float) -> None:
        if math.isinf(value):
            if value < 0:
                self.underflows += weight
            else:
                self.overflows += weight
            return
        self._lowest = min(self._lowest, value)
        self._highest = max(self._highest, value)
        if self.bins:
            self._extend_to(value)
            self._add(value, weight)
        elif self._keep(value, weight):
            self.set_up_bins()

    def _keep(self, value: float, weight: float) -> bool:
        """Keep an observation for later; tell whether there are enough of them now."""
        if value == math.floor(value) and value in self._kept[:_TO_COLLATE]:
            self._kept_weights[self._kept.index(value)] += weight
        else:
            self._kept.append(value)
            self._kept_weights.append(weight)
        extent = self._highest - self._lowest
        if self._last_range == extent:
            self._range_unchanged += 1
        else:
            self._last_range = extent
            self._range_unchanged = 0
        return self._range_unchanged >= _UNCHANGED_RANGE or len(self._kept) > _TO_KEEP

    def _add(self, value: float, weight: float) -> None:
        index = bisect_right(self.edges, value) - 1
        if index < 0:
            self.underflows += weight
        elif index == len(self.bins):
            self.overflows += weight
        else:
            self.bins[index] += weight

    def _create_bins(self) -> None:
        if not self._kept:
            self._bin_size = 1.0
            self._create_uniform_bins(0.0, 1.0)
            return
        integers = all(value == math.floor(value) for value in self._kept) and any(self._kept)
        center = (self._lowest + self._highest) / 2
        extent = (self._highest - self._lowest) * _RANGE_EXTENSION or 1.0
        low = center - extent / 2
        high = center + extent / 2
        if low < 0 <= self._lowest and self._highest > 0:
            low = 0.0
        if high - low < 5e-324 * self._target_bins:
            self._bin_size = 1.0
        else:
            self._bin_size = _round_to_one_two_five((high - low) / self._target_bins)
        if integers:
            self._bin_size = float(math.ceil(self._bin_size))
        size = self._bin_size
        low = size * math.floor(low / size)
        high = size * math.ceil(high / size)
        if low == high:
            high = math.nextafter(low, math.inf)
            self._bin_size = high - low
        self._create_uniform_bins(low, high)
        self._extend_to(self._lowest)
        self._extend_to(self._highest)

    def _create_uniform_bins(self, low: float, high: float) -> None:
        size = self._bin_size
        count = math.ceil((high - low) * (1 - 1e-10) / size)
        for index in range(count + 1):
            edge = low + index * size
            if abs(edge) < size * 1e-10:
                edge = 0.0
            if not self.edges or self.edges[-1] != edge:
                self.edges.append(edge)
        self.bins = [0.0] * (len(self.edges) - 1)

    def _extend_to(self, value: float) -> None:
        first, last = self.edges[0], self.edges[-1]
        if first <= value < last:
            return
        if (value < first and self.underflows > 0) or (value >= last and self.overflows > 0):
            return
        approximate_size = (max(value, last) - min(value, first)) / self._target_bins
        if approximate_size >= last - first:
            self._merge_into_one(approximate_size)
        self._add_bins_until(value)
        if len(self.bins) > self._target_bins * 3 // 2:
            self._reduce_bins()

    def _add_bins_until(self, value: float) -> None:
        size = self._bin_size
        first = self.edges[0]
        for index in itertools.count():
            if value >= self.edges[0]:
                break
            edge = first - size * index
            if edge != self.edges[0]:
                self.edges.insert(0, edge)
                self.bins.insert(0, 0.0)
        last = self.edges[-1]
        for index in itertools.count():
            if value < self.edges[-1]:
                break
            edge = last + size * index
            if edge != self.edges[-1]:
                self.edges.append(edge)
                self.bins.append(0.0)

    def _reduce_bins(self) -> None:
        """Merge neighbours until there are about as many bins as wanted."""
        count = len(self.bins)
        group = -(-count // self._target_bins)
        last = self.edges[-1]
        for index in range(-count % group):
            edge = last + (index + 1) * self._bin_size
            if edge > self.edges[-1]:
                self.edges.append(edge)
                self.bins.append(0.0)
        self._merge(group)
        self._bin_size *= group

    def _merge_into_one(self, approximate_size: float) -> None:
        """Make one bin of all, its edges at multiples of a round size."""
        first, last = self.edges[0], self.edges[-1]
        extent = last - first
        size = _round_to_one_two_five(approximate_size)
        if size < extent:
            size *= math.ceil(extent / size)
        new_first = size * math.floor(first / size)
        new_last = size * math.ceil(last / size)
        self._merge(len(self.bins))
        if new_first != first:
            self.edges.insert(0, new_first)
            self.bins.insert(0, 0.0)
        if new_last != last:
            self.edges.append(new_last)
            self.bins.append(0.0)
        self._merge(len(self.bins))
        self._bin_size = new_last - new_first

    def _merge(self, group: int) -> None:
        if group == 1:
            return
        starts = range(0, len(self.bins), group)
        bins = []
        for start in starts:
            weight = 0.0
            for value in self.bins[start : start + group]:
                weight += value
            bins.append(weight)
        self.edges = [self.edges[start] for start in starts] + [self.edges[-1]]
        self.bins = bins


def _round_to_one_two_five(value: float) -> float:
    """Return the nearest of 1, 2 and 5 times a power of ten."""
    candidates = [_round_to_power_of_ten(value / factor) * factor for factor in (1.0, 2.0, 5.0)]
    return min(candidates, key=lambda candidate: abs(candidate - value))


def _round_to_power_of_ten(value: float) -> float:
    """Return the nearest power of ten, by steps of ten (no logarithm, whose last digit differs among systems)."""
    upper = 3.162277660168379522787063251598738133907
    lower = 0.3162277660168379522787063251598738133907
    power = 1.0
    if value > upper:
        while value > upper:
            value /= 10.0
            power *= 10.0
    else:
        while value <= lower:
            value *= 10.0
            power /= 10.0
    return power
