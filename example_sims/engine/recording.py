"""What becomes of emitted values: the statistics that modules declare, and the recorders that they ask for.

Depends on the statistics. Rules: OMNeT++ 6.1, src/sim/cstatisticbuilder.cc, cresultrecorder.cc, resultrecorders.cc.
Vectors are not recorded.
"""

from __future__ import annotations

import math
import re
import typing

from .errors import SimulationError
from .histogram import Histogram
from .simtime import seconds
from .statistics import NO_VALUE, StdDev, divide

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .components import Component

#: Recording modes that the title of a result does not mention.
_OBVIOUS_MODES = frozenset({"vector", "histogram", "stats"})


_CONSTANT = re.compile(r"constant([01])\((\w+)\)")


class Statistic:
    """A `@statistic` of a module: which signal it looks at, and how it is recorded.

    Recording modes that end in "?" are recorded where the configuration asks for all or for them. Keywords become
    attributes of the results, and some steer the recording: `source`, `timeWeighted`, `numBins`.
    """

    __slots__ = ("attributes", "name", "record")

    def __init__(self, name: str, record: Iterable[str], **attributes: str) -> None:
        self.name = name
        self.record = tuple(record)
        self.attributes = attributes

    @property
    def signal(self) -> str:
        """The signal that it looks at."""
        source = self.attributes.get("source", self.name)
        match = _CONSTANT.fullmatch(source)
        return match[2] if match else source

    @property
    def constant(self) -> float | None:
        """What counts in place of the values of the signal, None for themselves: `source="constant1(sent)"`."""
        match = _CONSTANT.fullmatch(self.attributes.get("source", ""))
        return float(match[1]) if match else None

    def modes(self, option: str) -> list[str]:
        """Return the recording modes that `result-recording-modes` selects ("default,-vector,+timeavg")."""
        default = [mode for mode in self.record if not mode.endswith("?")]
        if option in {"", "-"}:
            return []
        modes = list(default) if option[0] in "+-" else []
        for item in filter(None, (part.strip() for part in option.split(","))):
            if item.startswith("-"):
                modes = [mode for mode in modes if mode != item[1:]]
                continue
            if item == "default":
                added = default
            elif item == "all":
                added = [mode.removesuffix("?") for mode in self.record]
            else:
                added = [item.removeprefix("+")]
            modes += [mode for mode in added if mode not in modes]
        return modes


class Recorder:
    """Takes the values of one signal, and records what became of them when the simulation ends."""

    def __init__(self, component: Component, statistic: Statistic, mode: str) -> None:
        self.component = component
        self.statistic = statistic
        self.mode = mode
        #: Values before this time do not count.
        self.begin = component.simulation.warmup_period
        self._constant = statistic.constant

    @property
    def name(self) -> str:
        """The name of the result."""
        return f"{self.statistic.name}:{self.mode}"

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of the result."""
        attributes = {**self.statistic.attributes, "recordingmode": self.mode}
        if "title" in attributes:
            attributes["title"] = self._title(attributes["title"])
        return attributes

    def _title(self, title: str) -> str:
        """Fill in the variables of a title; one without them gets the mode added (cResultRecorder::tweakTitle)."""
        if "$" not in title:
            return title if self.mode in _OBVIOUS_MODES else f"{title}, {self.mode}"
        values = {"name": self.statistic.name, "mode": self.mode, "component": self.component.full_path}

        def fill(match: re.Match[str]) -> str:
            name = match.group(1) or match.group(2)
            if name not in values:
                raise SimulationError(f"Unknown variable ${name}")
            return values[name]

        return re.sub(r"\$(?:\{(\w+)\}|(\w+))", fill, title)

    @property
    def is_time_weighted(self) -> bool:
        """Tell whether a value counts for as long as it holds."""
        return self.statistic.attributes.get("timeWeighted", "0") not in {"0", "false"}

    def take(self, time: int, value: float) -> None:
        """Take a value that was emitted at `time`, if it counts."""
        if time >= self.begin:
            self.collect(time, value if self._constant is None else self._constant)

    def take_initial_value(self) -> None:
        """Take what is there before the first value: a constant (cResultFilter::emitInitialValue)."""
        if self._constant is not None:
            self.collect(max(self.component.simulation.now, self.begin), self._constant)

    def collect(self, time: int, value: float) -> None:
        """Collect a value."""
        raise NotImplementedError

    def finish(self) -> None:
        """Record the result."""
        self.component.simulation.record_scalar(self.component, self.name, self.result(), self.attributes)

    def result(self) -> float:
        """Return the scalar that is recorded."""
        raise NotImplementedError


class _Count(Recorder):
    def __init__(self, component: Component, statistic: Statistic, mode: str) -> None:
        super().__init__(component, statistic, mode)
        self._count = 0

    def collect(self, time: int, value: float) -> None:  # noqa: ARG002  # the signature is the recorder's
        if not math.isnan(value):
            self._count += 1

    def result(self) -> float:
        return self._count


class _TotalCount(_Count):
    def collect(self, time: int, value: float) -> None:  # noqa: ARG002  # the signature is the recorder's
        self._count += 1


class _Last(Recorder):
    def __init__(self, component: Component, statistic: Statistic, mode: str) -> None:
        super().__init__(component, statistic, mode)
        self._value = math.nan

    def collect(self, time: int, value: float) -> None:  # noqa: ARG002  # the signature is the recorder's
        if not math.isnan(value):
            self._value = value

    def result(self) -> float:
        return self._value


class _Sum(Recorder):
    def __init__(self, component: Component, statistic: Statistic, mode: str) -> None:
        super().__init__(component, statistic, mode)
        self._sum = 0.0

    def collect(self, time: int, value: float) -> None:  # noqa: ARG002  # the signature is the recorder's
        if not math.isnan(value):
            self._sum += value

    def result(self) -> float:
        return self._sum


class _Min(Recorder):
    def __init__(self, component: Component, statistic: Statistic, mode: str) -> None:
        super().__init__(component, statistic, mode)
        self._value = math.inf

    def collect(self, time: int, value: float) -> None:  # noqa: ARG002  # the signature is the recorder's
        if not math.isnan(value):
            self._value = min(self._value, value)

    def result(self) -> float:
        return NO_VALUE if self._value == math.inf else self._value


class _Max(Recorder):
    def __init__(self, component: Component, statistic: Statistic, mode: str) -> None:
        super().__init__(component, statistic, mode)
        self._value = -math.inf

    def collect(self, time: int, value: float) -> None:  # noqa: ARG002  # the signature is the recorder's
        if not math.isnan(value):
            self._value = max(self._value, value)

    def result(self) -> float:
        return NO_VALUE if self._value == -math.inf else self._value


class _Average(Recorder):
    def __init__(self, component: Component, statistic: Statistic, mode: str) -> None:
        super().__init__(component, statistic, mode)
        self._count = 0
        self._sum = 0.0

    def collect(self, time: int, value: float) -> None:  # noqa: ARG002  # the signature is the recorder's
        if not math.isnan(value):
            self._count += 1
            self._sum += value

    def result(self) -> float:
        return divide(self._sum, self._count)


class _TimeAverage(Recorder):
    """The average over time of values that hold until the next one; a nan makes a gap."""

    def __init__(self, component: Component, statistic: Statistic, mode: str) -> None:
        super().__init__(component, statistic, mode)
        self._last_time = 0
        self._last_value = math.nan
        self._total_time = 0
        self._sum = 0.0

    def collect(self, time: int, value: float) -> None:
        if not math.isnan(self._last_value):
            self._total_time += time - self._last_time
            self._sum += self._last_value * seconds(time - self._last_time)
        self._last_time = time
        self._last_value = value

    def result(self) -> float:
        self.collect(self.component.simulation.now, self._last_value)
        return divide(self._sum, seconds(self._total_time))


def _mean(component: Component, statistic: Statistic, mode: str) -> Recorder:
    recorder = _Average(component, statistic, mode)
    return _TimeAverage(component, statistic, mode) if recorder.is_time_weighted else recorder


class _Collector(Recorder):
    """Collects all values into a statistic or histogram; weighted, each value counts for as long as it holds."""

    def __init__(self, component: Component, statistic: Statistic, mode: str, collected: StdDev) -> None:
        super().__init__(component, statistic, mode)
        self._collected = collected
        self._last_time = 0
        self._last_value = math.nan

    def collect(self, time: int, value: float) -> None:
        if not self._collected.weighted:
            if not math.isnan(value):
                self._collected.collect(value)
            return
        if not math.isnan(self._last_value):
            self._collected.collect_weighted(self._last_value, seconds(time - self._last_time))
        self._last_time = time
        self._last_value = value

    def finish(self) -> None:
        simulation = self.component.simulation
        if self._collected.weighted and not math.isnan(self._last_value):
            self._collected.collect_weighted(self._last_value, seconds(simulation.now - self._last_time))
        simulation.record_statistic(self.component, self.name, self._collected, self.attributes)


def _stats(component: Component, statistic: Statistic, mode: str) -> Recorder:
    weighted = Recorder(component, statistic, mode).is_time_weighted
    return _Collector(component, statistic, mode, StdDev(weighted=weighted))


def _histogram(component: Component, statistic: Statistic, mode: str) -> Recorder:
    weighted = mode == "timeWeightedHistogram" or Recorder(component, statistic, mode).is_time_weighted
    bins = statistic.attributes.get("numBins")
    collected = Histogram(bins=int(bins) if bins else None, weighted=weighted)
    return _Collector(component, statistic, mode, collected)


_RECORDERS: dict[str, Callable[[Component, Statistic, str], Recorder]] = {
    "avg": _Average,
    "count": _Count,
    "histogram": _histogram,
    "last": _Last,
    "max": _Max,
    "mean": _mean,
    "min": _Min,
    "stats": _stats,
    "sum": _Sum,
    "timeWeightedHistogram": _histogram,
    "timeavg": _TimeAverage,
    "totalCount": _TotalCount,
}


def make_recorder(component: Component, statistic: Statistic, mode: str) -> Recorder | None:
    """Return the recorder for a recording mode, None for vectors; raise `SimulationError` for an unknown one."""
    if mode == "vector":
        return None
    if mode not in _RECORDERS:
        raise SimulationError(
            f"Cannot add statistic '{statistic.name}' to module {component.full_path} (NED type: "
            f"{component.type_name}): Bad recording mode '{mode}': the embedded engine has no such recorder"
        )
    return _RECORDERS[mode](component, statistic, mode)
