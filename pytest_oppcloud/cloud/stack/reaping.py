"""Stops what nobody wants, and finds what belongs to no cluster. Looks at leases, never guesses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import control, lease, names
from .cluster import from_stack

if TYPE_CHECKING:
    from pytest_oppcloud.cloud.aws import Aws, Instance, Stack

#: Seconds for which a parameter without a stack may be the beginning of a cluster: `oppcloud up` writes secrets first.
_GRACE = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwanted:
    """What can go."""

    #: Clusters with something running, and nobody who holds a lease.
    idle: tuple[str, ...]
    #: Instances that carry our tag, but whose stack does not exist.
    orphans: tuple[Instance, ...]
    #: Parameters below our path whose stack does not exist.
    parameters: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.idle or self.orphans or self.parameters)

    def text(self) -> str:
        """Return it for people."""
        lines = [f"stop the instances of {name}: nobody holds a lease" for name in self.idle]
        lines += [f"terminate {one.id} ({one.type}): the cluster {one.cluster} does not exist" for one in self.orphans]
        lines += [f"delete the parameter {name}: its cluster does not exist" for name in self.parameters]
        return "\n".join(lines)


def look(aws: Aws, now: float) -> Unwanted:
    """Return what nobody wants in this region."""
    stacks = {stack.tags[names.TAG]: stack for stack in aws.stacks.tagged(names.TAG)}
    instances = aws.instances.tagged(names.TAG)
    running = {one.cluster for one in instances if one.running}
    idle = [name for name, stack in stacks.items() if name in running and stack.usable and _unleased(aws, stack, now)]
    parameters = [
        one.name
        for one in aws.parameters.below(names.ALL_PARAMETERS)
        if names.owner(one.name) not in stacks and one.modified < now - _GRACE
    ]
    return Unwanted(
        idle=tuple(sorted(idle)),
        orphans=tuple(one for one in instances if one.cluster not in stacks),
        parameters=tuple(sorted(parameters)),
    )


def _unleased(aws: Aws, stack: Stack, now: float) -> bool:
    return not lease.holding(control.leases(aws, from_stack(stack, aws.region)), now)


def reap(aws: Aws, unwanted: Unwanted, now: float) -> None:
    """Do what `look` found; a cluster that somebody took a lease on meanwhile is left alone."""
    stacks = {stack.tags[names.TAG]: stack for stack in aws.stacks.tagged(names.TAG)}
    for name in unwanted.idle:
        if name in stacks:
            control.stop_if_unwanted(aws, from_stack(stacks[name], aws.region), now)
    if unwanted.orphans:
        aws.instances.terminate([one.id for one in unwanted.orphans])
    aws.parameters.delete(unwanted.parameters)
