"""How far a value may be from its baseline, and for which values."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from oppcloud_worker.messages import RecordedValue

from pytest_oppcloud.records import ItemPattern

from .numbers import EXACT, distance

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator


#: Kinds that hold numbers which a simulation computed. All others are equal or not.
JUDGED_KINDS = frozenset({"scalar", "statistic", "bin"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """The largest distance allowed: `absolute + relative * |baseline|`, in both directions."""

    #: In the unit of the value; what counts where the baseline is 0.
    absolute: float = 0.0
    #: As a share of the baseline: 0.01 is one per cent.
    relative: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("absolute", self.absolute), ("relative", self.relative)):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"the {name} tolerance must be a number that is not negative, found {value!r}")

    def allowed(self, baseline: Decimal) -> Decimal:
        """Return the largest distance allowed from this baseline."""
        relative = EXACT.multiply(Decimal(repr(self.relative)), EXACT.abs(baseline))
        return EXACT.add(Decimal(repr(self.absolute)), relative)

    def allows(self, baseline: Decimal, obtained: Decimal) -> bool:
        """Tell whether a finite number is near enough to its finite baseline."""
        return distance(baseline, obtained) <= self.allowed(baseline)

    def __str__(self) -> str:
        return f"absolute {self.absolute:g}, relative {self.relative:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A tolerance, and the values that it is for."""

    items: ItemPattern
    tolerance: Tolerance
    #: Field of a statistic ("mean"), lower edge of a bin; "" for a scalar.
    field: str = "**"
    #: Where the rule stands, for reports: "oppcloud.toml:12".
    source: str = ""

    def matches(self, value: RecordedValue) -> bool:
        """Tell whether the rule is for this value."""
        return (
            value.kind in JUDGED_KINDS
            and self.items.matches(value.module, value.name)
            and ItemPattern(name=self.field).matches("", value.field)
        )

    def __str__(self) -> str:
        field = "" if self.field == "**" else f" {self.field}"
        source = f" ({self.source})" if self.source else ""
        return f"`{self.items}{field}` {self.tolerance}{source}"


class Rules:
    """Rules in order: the first that matches a value judges it."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = tuple(rules)
        # A file of baselines holds the same few items in every run.
        self._first = functools.lru_cache(maxsize=65536)(self._find)

    def __len__(self) -> int:
        return len(self._rules)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def __getitem__(self, index: int) -> Rule:
        return self._rules[index]

    def first(self, value: RecordedValue) -> int | None:
        """Return the index of the rule that judges a value, None if it must be equal."""
        if not self._rules or value.kind not in JUDGED_KINDS:
            return None
        return self._first(value.kind, value.module, value.name, value.field)

    def _find(self, *key: str) -> int | None:
        kind, module, name, field = key
        value = RecordedValue(kind=kind, module=module, name=name, field=field, value="")
        return next((index for index, rule in enumerate(self._rules) if rule.matches(value)), None)

    def unused(self, used: Collection[int]) -> tuple[Rule, ...]:
        """Return the rules that judged nothing, given the indices of those that did (`Comparison.rules_used`)."""
        return tuple(rule for index, rule in enumerate(self._rules) if index not in used)
