"""What instances cost: a small table, so that a plan needs no price service.

List prices of Linux on demand in us-east-1 in USD, by vCPU and hour, written down from Amazon's price pages as they
were known on `DATE`; other regions by what the same instance (c5.2xlarge) costs there in proportion. They are meant
for plans and caps, not for accounts: the bill is Amazon's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_oppcloud.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: When the figures were written down.
DATE = "2025-11-01"

_PER_VCPU: Mapping[str, float] = {
    "c5": 0.0425, "c5a": 0.0385, "c6a": 0.03825, "c6g": 0.034, "c6i": 0.0425, "c7a": 0.05132, "c7g": 0.03625,
    "c7i": 0.044625, "c8g": 0.03988, "m5": 0.048, "m6a": 0.0432, "m6g": 0.0385, "m6i": 0.048, "m7a": 0.05796,
    "m7g": 0.0408, "m7i": 0.0504, "r5": 0.063, "r6a": 0.0567, "r6g": 0.0504, "r6i": 0.063, "r7a": 0.07607,
    "r7g": 0.05355, "r7i": 0.06615,
}  # fmt: skip
#: GiB of memory by vCPU, by the letter that a family begins with.
_MEMORY: Mapping[str, int] = {"c": 2, "m": 4, "r": 8}
_VCPUS: Mapping[str, int] = {
    "medium": 1, "large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "9xlarge": 36, "12xlarge": 48,
    "16xlarge": 64, "18xlarge": 72, "24xlarge": 96, "48xlarge": 192,
}  # fmt: skip
#: Small ones, for the queue: vCPUs and USD per hour; and GiB of memory, by their size.
_SMALL: Mapping[str, tuple[int, float]] = {
    "t3.micro": (2, 0.0104), "t3.small": (2, 0.0208), "t3.medium": (2, 0.0416), "t3.large": (2, 0.0832),
    "t4g.micro": (2, 0.0084), "t4g.small": (2, 0.0168), "t4g.medium": (2, 0.0336), "t4g.large": (2, 0.0672),
}  # fmt: skip
_SMALL_MEMORY: Mapping[str, int] = {"micro": 1, "small": 2, "medium": 4, "large": 8}
_REGIONS: Mapping[str, float] = {
    "ap-northeast-1": 1.26, "ap-south-1": 1.0, "ap-southeast-1": 1.15, "ap-southeast-2": 1.31, "ca-central-1": 1.09,
    "eu-central-1": 1.14, "eu-north-1": 1.07, "eu-west-1": 1.13, "eu-west-2": 1.19, "eu-west-3": 1.19,
    "sa-east-1": 1.54, "us-east-1": 1.0, "us-east-2": 1.0, "us-west-1": 1.25, "us-west-2": 1.0,
}  # fmt: skip
#: For regions that are not in the table: rather too much than too little.
_OTHER_REGIONS = 1.6

#: USD per GB and hour of a gp3 volume, and per hour of a public IPv4 address (while the instance runs).
_VOLUME, _ADDRESS = 0.08 / 730, 0.005
#: What spot instances cost in proportion, where Amazon was not asked.
_SPOT = 0.4

#: The part of an instance's memory that is left for runs: some is Linux's own, some the agents'.
_FOR_RUNS = 0.93

#: GB of the volumes, as in the template.
HEAD_VOLUME, WORKER_VOLUME = 30, 40


def _split(instance_type: str) -> tuple[str, str]:
    family, _, size = instance_type.partition(".")
    return family, size


def known(instance_type: str) -> bool:
    """Tell whether the table has a type."""
    family, size = _split(instance_type)
    return instance_type in _SMALL or (family in _PER_VCPU and size in _VCPUS)


def checked(instance_type: str) -> str:
    """Return the type; raise `SettingsError` if nobody could say what it costs."""
    if not known(instance_type):
        raise SettingsError(
            f"no price is known for the instance type {instance_type!r}",
            advice=f"Known are the families {', '.join(_PER_VCPU)} in the sizes {', '.join(_VCPUS)}; "
            f"and {', '.join(_SMALL)}.",
        )
    return instance_type


def known_or(instance_type: str, guess: str) -> str:
    """Return the type if the table has it, else the guess: what runs already must be reckoned with somehow."""
    return instance_type if known(instance_type) else guess


def vcpus(instance_type: str) -> int:
    """Return the number of vCPUs, which is the number of slots of a worker."""
    family, size = _split(checked(instance_type))
    return _SMALL[instance_type][0] if instance_type in _SMALL else _VCPUS[size] if family else 0


def memory(instance_type: str) -> int:
    """Return the bytes of memory that an instance has for runs."""
    family, size = _split(checked(instance_type))
    whole = _SMALL_MEMORY[size] if instance_type in _SMALL else _MEMORY[family[0]] * _VCPUS[size]
    return int(whole * _FOR_RUNS * 2**30)


def architecture(instance_type: str) -> str:
    """Return "arm64" for Graviton, else "x86_64"."""
    family, _ = _split(instance_type)
    return "arm64" if family[2:].startswith("g") else "x86_64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What things cost per hour in a region, in USD."""

    region: str
    #: What Amazon says spot instances cost now, by type; those that are missing are guessed.
    spot: Mapping[str, float] = field(default_factory=dict)

    @property
    def factor(self) -> float:
        """Return what the region costs in proportion to us-east-1."""
        return _REGIONS.get(self.region, _OTHER_REGIONS)

    def on_demand(self, instance_type: str) -> float:
        """Return the list price of an instance."""
        family, size = _split(checked(instance_type))
        base = _SMALL[instance_type][1] if instance_type in _SMALL else _PER_VCPU[family] * _VCPUS[size]
        return base * self.factor

    def instance(self, instance_type: str, *, spot: bool) -> float:
        """Return the price of an instance alone."""
        if not spot:
            return self.on_demand(instance_type)
        return self.spot.get(instance_type, self.on_demand(instance_type) * _SPOT)

    def worker(self, instance_type: str, *, spot: bool) -> float:
        """Return what a running worker instance costs, with its volume and its address."""
        return self.instance(instance_type, spot=spot) + WORKER_VOLUME * _VOLUME + _ADDRESS

    def dearest(self, types: Sequence[str], *, spot: bool) -> float:
        """Return what a running worker instance costs at most, of these types."""
        return max(self.worker(instance_type, spot=spot) for instance_type in types)

    def head(self, instance_type: str) -> float:
        """Return what the running head costs beyond its volume."""
        return self.on_demand(instance_type) + _ADDRESS

    @property
    def rest(self) -> float:
        """Return what a cluster costs in which nothing runs: the head's volume."""
        return HEAD_VOLUME * _VOLUME

    def basis(self, types: Sequence[str], *, spot: bool) -> str:
        """Return where the figures come from, for people."""
        text = f"list prices of {DATE} for {self.region}"
        if self.region not in _REGIONS:
            text += f" (not in the table: {_OTHER_REGIONS:g} times us-east-1)"
        if spot:
            asked = all(instance_type in self.spot for instance_type in types)
            text += ", spot prices as of now" if asked else f", spot instances guessed at {_SPOT:.0%} of them"
        return text
