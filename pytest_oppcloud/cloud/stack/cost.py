"""What a campaign costs: from when which instance ran to an amount. Pure; figures in USD."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .prices import known_or

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_oppcloud.cloud.aws.values import Instance, ScalingActivity

    from .prices import Prices

#: Amazon charges a minute at least, then by the second.
_SHORTEST = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """That an instance ran."""

    instance: str
    type: str
    spot: bool
    #: From when to when, seconds since 1970.
    start: float
    end: float
    head: bool = False

    @property
    def seconds(self) -> float:
        """Return for how long it is charged."""
        return max(self.end - self.start, _SHORTEST)


def cost(use: Use, prices: Prices) -> float:
    """Return what a use costs."""
    rate = prices.head(use.type) if use.head else prices.worker(use.type, spot=use.spot)
    return rate * use.seconds / 3600


@dataclass(slots=True, kw_only=True, eq=False)
class Meter:
    """Adds up what runs while a campaign lasts.

    It sees instances now and then; one that it saw is taken to have run until it was missed, rather too long than
    too short. What ran before the campaign is somebody else's.
    """

    prices: Prices
    #: When the campaign began.
    start: float
    #: Id of the instance that holds the queue.
    head: str
    #: What an instance is taken for whose type has no price.
    guess: str
    _uses: dict[tuple[str, float], Use] = field(default_factory=dict)
    _running: set[tuple[str, float]] = field(default_factory=set)

    def observe(self, now: float, instances: Iterable[Instance]) -> None:
        """Take in what runs now."""
        seen = {(instance.id, instance.launched): instance for instance in instances if instance.running}
        for key in self._running - seen.keys():
            self._extend(key, now)
        for key, instance in seen.items():
            if key not in self._uses:
                start = max(instance.launched, self.start)
                self._uses[key] = Use(
                    instance=instance.id,
                    type=known_or(instance.type, self.guess),
                    spot=instance.spot,
                    start=start,
                    end=start,
                    head=instance.id == self.head,
                )
            self._extend(key, now)
        self._running = set(seen)

    def recall(self, uses: Iterable[Use]) -> None:
        """Take in what ran earlier, before we looked; what still runs will be seen."""
        for use in uses:
            if use.end > self.start:
                key = (use.instance, use.start)
                self._uses.setdefault(key, replace(use, start=max(use.start, self.start)))

    def _extend(self, key: tuple[str, float], now: float) -> None:
        use = self._uses[key]
        self._uses[key] = Use(
            instance=use.instance, type=use.type, spot=use.spot, start=use.start, end=max(use.end, now), head=use.head
        )

    @property
    def uses(self) -> tuple[Use, ...]:
        """Return what ran, in the order of its start."""
        return tuple(sorted(self._uses.values(), key=lambda use: (use.start, use.instance)))

    @property
    def spent(self) -> float:
        """Return what it cost so far."""
        return sum(cost(use, self.prices) for use in self._uses.values())

    def spent_if(self, count: int, seconds: float, dearest: float) -> float:
        """Return what it will have cost when `count` workers at `dearest` per hour run on for so many seconds."""
        head = sum(self.prices.head(use.type) for use in self._uses.values() if use.head)
        return self.spent + (count * dearest + head) * seconds / 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a campaign cost, by kind of instance."""

    lines: tuple[tuple[str, float], ...]
    basis: str

    @property
    def total(self) -> float:
        """Return the sum."""
        return sum(amount for _, amount in self.lines)

    def text(self) -> str:
        """Return the receipt for people."""
        width = max((len(line) for line, _ in self.lines), default=0)
        rows = [f"{line:<{width}}  ${amount:.4f}" for line, amount in self.lines]
        return "\n".join([*rows, f"{'total':<{width}}  ${self.total:.4f}", f"({self.basis})"])


def receipt(uses: Sequence[Use], prices: Prices) -> Receipt:
    """Return the receipt for what ran."""
    kinds: dict[tuple[bool, str, bool], list[Use]] = {}
    for use in uses:
        kinds.setdefault((not use.head, use.type, use.spot), []).append(use)
    lines = []
    for (worker, instance_type, spot), some in sorted(kinds.items()):
        hours = sum(use.seconds for use in some) / 3600
        what = f"{'worker' if worker else 'queue'} {instance_type} {'spot' if spot else 'on demand'}"
        lines.append((f"{len(some)} x {what}, {hours:.2f} h", sum(cost(use, prices) for use in some)))
    types = sorted({use.type for use in uses if not use.head})
    return Receipt(lines=tuple(lines), basis=prices.basis(types, spot=any(use.spot for use in uses)))


def group_uses(
    activities: Iterable[ScalingActivity], present: Iterable[Instance], *, now: float, guess: str, spot: bool
) -> tuple[Use, ...]:
    """Return when the instances of a group ran, by what the group remembers.

    An instance that is gone left no trace of its type: `guess` is taken for it, and for types without a price. One that
    is still there runs until `now`.
    """
    there = {instance.id: instance for instance in present}
    started: dict[str, float] = {instance.id: instance.launched for instance in there.values()}
    ended: dict[str, float] = {}
    for activity in activities:
        if not (activity.succeeded and activity.instance):
            continue
        if activity.launch:
            started[activity.instance] = min(activity.start, started.get(activity.instance, activity.start))
        else:
            ended[activity.instance] = activity.end or now
    uses = []
    for name, start in started.items():
        instance = there.get(name)
        if instance is None and name not in ended:
            # Its end is not remembered any more, or it was taken out of the group: nothing that could be told.
            continue
        end = now if instance is not None and instance.running else ended.get(name, now)
        uses.append(
            Use(
                instance=name,
                type=known_or(instance.type, guess) if instance else guess,
                spot=instance.spot if instance else spot,
                start=start,
                end=end,
            )
        )
    return tuple(sorted(uses, key=lambda use: (use.start, use.instance)))
