"""Starts and stops the instances of a cluster, as the leases say.

The size follows from all leases together, never from one alone: campaigns that share a cluster do not take each
other's instances away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_oppcloud.cloud.aws import Aws, AwsError

from . import lease, names
from .lease import Lease

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .cluster import Cluster

#: Answers of EC2 while an instance is on its way into another state.
_ON_ITS_WAY = "IncorrectInstanceState"


def leases(aws: Aws, cluster: Cluster) -> tuple[Lease, ...]:
    """Return all leases, also those that are over."""
    found = aws.parameters.below(names.leases(cluster.name))
    signs = aws.storage.dates(cluster.bucket, names.SIGNS) if any(map(lease.is_detached, found)) else {}
    return tuple(lease.read(parameter, longest=cluster.longest_lease, signs=signs) for parameter in found)


def hold(aws: Aws, cluster: Cluster, claim: Lease) -> None:
    """Take a lease, or renew it."""
    aws.parameters.renew(claim.parameter(cluster.name), claim.text())


def release(aws: Aws, cluster: Cluster, holder: str) -> None:
    """Give a lease back."""
    aws.parameters.delete([Lease(holder=holder, until=0.0).parameter(cluster.name)])


def resize(aws: Aws, cluster: Cluster, now: float) -> int:
    """Let the cluster have the instances that the leases claim, as far as it may; return how many these are."""
    claimed = min(lease.claimed(leases(aws, cluster), now), cluster.max_instances)
    if aws.instances.group(cluster.group).desired != claimed:
        aws.instances.scale(cluster.group, claimed)
    return claimed


def dismiss(aws: Aws, cluster: Cluster, now: float, idle: Iterable[str]) -> tuple[str, ...]:
    """End idle instances beyond those that the leases claim; return which."""
    claimed = min(lease.claimed(leases(aws, cluster), now), cluster.max_instances)
    excess = max(aws.instances.group(cluster.group).desired - claimed, 0)
    ended = tuple(sorted(idle)[:excess])
    for instance in ended:
        aws.instances.dismiss(instance)
    return ended


def start_head(aws: Aws, cluster: Cluster) -> bool:
    """Start the queue's instance; return False while it is still stopping, so that it has to be tried again."""
    try:
        aws.instances.start(cluster.head)
    except AwsError as error:
        if error.code == _ON_ITS_WAY:
            return False
        raise
    return True


def stop_if_unwanted(aws: Aws, cluster: Cluster, now: float) -> bool:
    """Stop all instances unless a lease holds; return whether that was done."""
    if lease.holding(leases(aws, cluster), now):
        return False
    if aws.instances.group(cluster.group).desired:
        aws.instances.scale(cluster.group, 0)
    try:
        aws.instances.stop(cluster.head)
    except AwsError as error:
        if error.code != _ON_ITS_WAY:
            raise
    return True
