"""What a cluster does now, since when, and what it cost so far."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import control, cost, deploy, lease, names, prices
from .cost import Use

if TYPE_CHECKING:
    from pytest_oppcloud.cloud.aws import Aws, Instance, ScalingActivity

    from .cluster import Cluster
    from .lease import Lease
    from .prices import Prices


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """All of it, at one time."""

    cluster: Cluster
    now: float
    #: None if somebody terminated it.
    head: Instance | None
    workers: tuple[Instance, ...]
    #: How many workers there should be.
    desired: int
    #: Those that hold, and those of detached campaigns that somebody may come back to.
    leases: tuple[Lease, ...]
    left: tuple[Lease, ...]
    #: When workers ran, as far as it is known, and the head since its last start.
    uses: tuple[Use, ...]
    prices: Prices
    #: Why the group could not start an instance the last time it tried; "" if it could.
    trouble: str = ""

    @property
    def rate(self) -> float:
        """Return what it costs per hour now."""
        total = self.prices.rest
        if self.head is not None and self.head.running:
            total += self.prices.head(self.head.type)
        for worker in self.workers:
            if worker.running:
                kind = prices.known_or(worker.type, self.cluster.worker_types[0])
                total += self.prices.worker(kind, spot=worker.spot)
        return total

    @property
    def spent(self) -> float:
        """Return what the known uses cost."""
        return sum(cost.cost(use, self.prices) for use in self.uses)


def look(aws: Aws, cluster: Cluster, now: float) -> Status:
    """Ask all services."""
    instances = aws.instances.tagged(names.TAG, cluster.name)
    head = next((one for one in instances if one.id == cluster.head), None)
    workers = tuple(one for one in instances if one.id != cluster.head)
    activities = tuple(aws.instances.activities(cluster.group))
    leases = control.leases(aws, cluster)
    uses = cost.group_uses(activities, workers, now=now, guess=cluster.worker_types[0], spot=cluster.spot)
    if head is not None and head.running:
        use = Use(instance=head.id, type=head.type, spot=False, start=head.launched, end=now, head=True)
        uses = (use, *uses)
    return Status(
        cluster=cluster,
        now=now,
        head=head,
        workers=workers,
        desired=aws.instances.group(cluster.group).desired,
        leases=lease.holding(leases, now),
        left=lease.waiting(leases, now),
        uses=uses,
        prices=deploy.present_prices(aws, cluster.worker_types),
        trouble=trouble(activities),
    )


def trouble(activities: tuple[ScalingActivity, ...]) -> str:
    """Return why the last start of an instance failed; "" if it did not. The activities come latest first."""
    last = next((activity for activity in activities if activity.launch), None)
    return "" if last is None or last.succeeded or last.end is None else last.message


def duration(seconds: float) -> str:
    """Return a duration for people."""
    minutes = int(max(seconds, 0.0) // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def moment(time: float) -> str:
    """Return a time for people, in their zone."""
    return dt.datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M")


def instance_line(instance: Instance, now: float) -> str:
    """Return what an instance is and since when it runs, for people."""
    kind = "spot" if instance.spot else "on demand"
    since = f" for {duration(now - instance.launched)}" if instance.running else ""
    return f"{instance.id}  {instance.type} {kind}, {instance.state}{since}"


def lease_line(held: Lease) -> str:
    """Return who holds a lease, until when and for what, for people."""
    count = f"{held.instances} instance{'' if held.instances == 1 else 's'}"
    if held.detached_until:
        most = moment(held.detached_until)
        return f"{held.holder} detached: {count} while there is work, until {most} at the latest"
    return f"{held.holder} until {moment(held.until)}, {count}"


def left_line(held: Lease, name: str) -> str:
    """Return what became of a detached campaign in the cluster `name` whose lease holds no more, for people."""
    what = "its runs are done" if held.done or not held.instances else "no worker was seen at work for it"
    return f"{held.holder} detached: {what}; pytest --oppcloud-attach {held.holder} --oppcloud-stack {name} ..."


def text(status: Status) -> str:
    """Return it for people."""
    cluster, stack = status.cluster, status.cluster.stack
    version = stack.tags.get(names.VERSION_TAG, "an unknown version")
    running = [worker for worker in status.workers if worker.running]
    slots = sum(prices.vcpus(prices.known_or(worker.type, cluster.worker_types[0])) for worker in running)
    lines = [
        f"cluster   {cluster.name} in {cluster.region}: {stack.status}, made {moment(stack.created)} by {version}",
        f"queue     {instance_line(status.head, status.now) if status.head else 'gone: somebody terminated it'}",
        f"workers   {len(running)} running ({slots} slots), {status.desired} wanted, {cluster.max_instances} at most",
        *(f"          {instance_line(worker, status.now)}" for worker in status.workers),
    ]
    for number, held in enumerate(status.leases):
        label = "" if number else "leases"
        lines.append(f"{label:<10}{lease_line(held)}")
    if not status.leases:
        lines.append("leases    none: within minutes the timer stops what runs")
    for number, held in enumerate(status.left):
        label = "" if number else "left"
        lines.append(f"{label:<10}{left_line(held, cluster.name)}")
    since = f" since {moment(status.uses[0].start)}" if status.uses else ""
    lines.append(f"costs     ${status.rate:.4f} per hour now; instances so far{since}: ${status.spent:.4f}")
    lines.append(f"          ({status.prices.basis(cluster.worker_types, spot=cluster.spot)})")
    if status.trouble:
        lines.append(f"trouble   the last instance could not be started: {status.trouble}")
    return "\n".join(lines)
