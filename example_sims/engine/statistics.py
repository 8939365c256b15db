"""What observations are collected into: mean and deviation, weighted or not.

Standard library only. Rules: OMNeT++ 6.1, src/sim/cstddev.cc and src/common/statistics.cc; the order of additions is
part of them, as the last digits depend on it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .errors import SimulationError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What stands for no value in most places: OMNeT++ gets it by dividing zero by zero, and prints "-nan" on x86-64.
NO_VALUE = -math.nan


def divide(dividend: float, divisor: float) -> float:
    """Divide as the processor does: by zero, too. 0/0 is `NO_VALUE`."""
    if divisor:
        return dividend / divisor
    if dividend == 0 or math.isnan(dividend):
        return dividend if math.isnan(dividend) else NO_VALUE
    return math.copysign(math.inf, dividend) * math.copysign(1.0, divisor)


class StdDev:
    """Count, mean, standard deviation, minimum and maximum of observations (`cStdDev`)."""

    def __init__(self, name: str = "", *, weighted: bool = False) -> None:
        self.name = name
        self.weighted = weighted
        self.count = 0
        self.sum_weights = 0.0
        #: Sum of the values, each times its weight.
        self.sum = 0.0
        self.sum_squared_weights = 0.0
        #: Sum of the squared values, each times its weight.
        self.sum_squares = 0.0
        self._min = math.inf
        self._max = -math.inf

    def collect(self, value: float) -> None:
        """Add an observation; raise `SimulationError` for a nan or where weights are expected."""
        if self.weighted:
            raise SimulationError(
                "Use collectWeighted(value, weight) to add observations to a weighted statistics",
            )
        self._count(value)
        self.sum_weights += 1
        self.sum += value
        self.sum_squared_weights += 1
        self.sum_squares += value * value

    def collect_weighted(self, value: float, weight: float) -> None:
        """Add an observation with its weight, which may be zero; raise `SimulationError` where that is impossible."""
        if not self.weighted:
            raise SimulationError("Use collect(value) to add observations to an unweighted statistics")
        if not math.isfinite(weight) or weight < 0:
            raise SimulationError(f"collectWeighted(): weight must be nonnegative and finite ({weight:g})")
        self._count(value)
        self.sum_weights += weight
        self.sum += weight * value
        self.sum_squared_weights += weight * weight
        self.sum_squares += weight * value * value

    def _count(self, value: float) -> None:
        if math.isnan(value):
            raise SimulationError("collect(): NaN values are not allowed")
        self.count += 1
        self._min = min(self._min, value)
        self._max = max(self._max, value)

    @property
    def min(self) -> float:
        """The smallest observation, nan if there is none."""
        return self._min if self.count else NO_VALUE

    @property
    def max(self) -> float:
        """The largest observation, nan if there is none."""
        return self._max if self.count else NO_VALUE

    @property
    def mean(self) -> float:
        """The weighted mean."""
        return divide(self.sum, self.sum_weights)

    @property
    def stddev(self) -> float:
        """The standard deviation of the sample, nan for less than two observations."""
        if self.count <= 1:
            return NO_VALUE
        if self._min == self._max:
            return 0.0
        weights = self.sum_weights
        if self.weighted:
            variance = divide(
                weights * self.sum_squares - self.sum * self.sum,
                weights * weights - self.sum_squared_weights,
            )
        else:
            variance = (self.sum_squares - self.sum * self.sum / weights) / (weights - 1)
        return 0.0 if variance < 0 else math.sqrt(variance)

    def hashed_values(self) -> Iterator[float]:
        """Yield what the ingredient "z" of fingerprints sees."""
        yield from (self.sum_weights, self.sum, self.min, self.max, self.mean, self.stddev)
