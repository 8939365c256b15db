"""Leases: who wants the cluster to run, until when, and with how many instances.

A lease is an SSM parameter below /oppcloud/<name>/lease/, one for each campaign, so that nobody overwrites another's.
The stack's timer stops everything when none holds; it also takes no lease for longer than the stack's LeaseMinutes
after it was written, whatever it says.

A campaign that was detached has no client to renew its lease. Its lease says until when it is entitled to instances at
most, and it holds as long as workers leave signs that they are at work for it (`names.sign`), the last of them no
longer ago than LeaseMinutes; it ends with the sign that nothing is left to do. Workers cannot write leases. The timer,
whose code is in the template, does the same sums as `read`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_oppcloud.cloud.aws.values import Parameter

#: A lease is renewed when this part of it is over: two renewals may fail before it ends.
RENEW_AFTER = 1 / 4
#: Seconds after it was written that the lease of a detached campaign can hold at most.
LONGEST_DETACHED = 7 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Somebody's claim."""

    #: Who holds it: a campaign's id.
    holder: str
    #: Seconds since 1970.
    until: float
    #: How many worker instances the holder wants.
    instances: int = 0
    #: When the campaign began; 0 where nobody said.
    since: float = 0.0
    #: When a campaign that was detached ends at the latest; 0 for one that ends with its client.
    detached_until: float = 0.0
    #: Whether workers have told that nothing is left to do for a campaign that was detached.
    done: bool = False

    def parameter(self, name: str) -> str:
        """Return the parameter that it is written to."""
        return f"{names.leases(name)}/{self.holder}"

    def text(self) -> str:
        """Return what is written there."""
        content = {"until": round(self.until), "instances": self.instances, "since": round(self.since)}
        if self.detached_until:
            content["detached_until"] = round(self.detached_until)
        return json.dumps(content)


def read(parameter: Parameter, *, longest: float, signs: Mapping[str, float] | None = None) -> Lease:
    """Return the lease in a parameter; one that makes no sense is over.

    `longest` is for how many seconds the timer lets a lease hold, counted from when it was written; `signs` tells when
    each object with a sign was left. The result holds until its `until`, if nothing more is heard.
    """
    holder = parameter.name.rpartition("/")[2]
    try:
        content = json.loads(parameter.value)
        until, instances = float(content["until"]), int(content.get("instances", 0))
        since, detached = float(content.get("since", 0)), float(content.get("detached_until", 0))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return Lease(holder=holder, until=0.0)
    if any(map(math.isnan, (until, since, detached))):
        return Lease(holder=holder, until=0.0)
    written = parameter.modified
    until, detached = min(until, written + longest), min(detached, written + LONGEST_DETACHED)
    working, done = ((signs or {}).get(names.sign(holder, kind), 0.0) for kind in ("working", "done"))
    is_done = done >= working and done > written
    if instances > 0 and not is_done:
        until = max(until, min(detached, max(working, written) + longest))
    return Lease(
        holder=holder,
        until=until,
        instances=max(instances, 0),
        since=since,
        detached_until=detached,
        done=bool(detached) and is_done,
    )


def is_detached(parameter: Parameter) -> bool:
    """Tell whether signs matter for the lease in a parameter."""
    return "detached_until" in parameter.value


def holding(leases: Iterable[Lease], now: float) -> tuple[Lease, ...]:
    """Return those that are not over, the one that lasts longest first."""
    return tuple(sorted((lease for lease in leases if lease.until > now), key=lambda lease: -lease.until))


def waiting(leases: Iterable[Lease], now: float) -> tuple[Lease, ...]:
    """Return those of detached campaigns that hold no more, but whose time is not over: somebody may come back."""
    return tuple(lease for lease in leases if lease.until <= now < lease.detached_until)


def claimed(leases: Iterable[Lease], now: float) -> int:
    """Return how many instances all holders together want."""
    return sum(lease.instances for lease in holding(leases, now))
