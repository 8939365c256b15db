"""Leases: who wants the cluster to run, until when, and with how many instances.

A lease is an SSM parameter below /oppcloud/<name>/lease/, one for each campaign, so that nobody overwrites another's.
The stack's timer stops everything when none holds; it also takes no lease for longer than the stack's LeaseMinutes
after it was written, whatever it says.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_oppcloud.cloud.aws.values import Parameter

#: A lease is renewed when this part of it is over: two renewals may fail before it ends.
RENEW_AFTER = 1 / 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Somebody's claim."""

    #: Who holds it: a campaign's id.
    holder: str
    #: Seconds since 1970.
    until: float
    #: How many worker instances the holder wants.
    instances: int = 0

    def parameter(self, name: str) -> str:
        """Return the parameter that it is written to."""
        return f"{names.leases(name)}/{self.holder}"

    def text(self) -> str:
        """Return what is written there."""
        return json.dumps({"until": round(self.until), "instances": self.instances})


def read(parameter: Parameter, *, longest: float) -> Lease:
    """Return the lease in a parameter; one that makes no sense is over.

    `longest` is for how many seconds the timer lets a lease hold, counted from when it was written.
    """
    holder = parameter.name.rpartition("/")[2]
    try:
        content = json.loads(parameter.value)
        until, instances = float(content["until"]), int(content.get("instances", 0))
    except (ValueError, TypeError, KeyError, AttributeError):
        return Lease(holder=holder, until=0.0)
    if math.isnan(until):
        return Lease(holder=holder, until=0.0)
    return Lease(holder=holder, until=min(until, parameter.modified + longest), instances=max(instances, 0))


def holding(leases: Iterable[Lease], now: float) -> tuple[Lease, ...]:
    """Return those that are not over, the one that lasts longest first."""
    return tuple(sorted((lease for lease in leases if lease.until > now), key=lambda lease: -lease.until))


def claimed(leases: Iterable[Lease], now: float) -> int:
    """Return how many instances all holders together want."""
    return sum(lease.instances for lease in holding(leases, now))
