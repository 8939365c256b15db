"""Removes a cluster, and looks whether anything of it is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_oppcloud.cloud.aws import AccessDeniedError, Aws, Stack

from . import control, deploy, lease, names
from .cluster import from_stack
from .deploy import LiveExecutor, Say, StackFailedError

if TYPE_CHECKING:
    from .clock import Clock
    from .lease import Lease

#: Seconds for which what is left may still be on its way out, and between two looks.
PATIENCE, PACE = 300.0, 10.0

#: Kinds in Amazon's index of tags that are looked at themselves, because the index lags behind; and task definitions,
#: of which ECS keeps the text for good: it costs nothing.
_SEEN_DIRECTLY = (":instance/", ":volume/", ":autoScalingGroup:", ":parameter/", ":stack/", ":task-definition/")


def wanted(aws: Aws, stack: Stack, now: float) -> tuple[tuple[Lease, ...], tuple[Lease, ...]]:
    """Return the leases that hold, as somebody is at work, and those of campaigns that somebody may come back to."""
    if not stack.usable:
        return (), ()
    leases = control.leases(aws, from_stack(stack, aws.region))
    return lease.holding(leases, now), lease.waiting(leases, now)


def remove(aws: Aws, name: str, clock: Clock, say: Say) -> None:
    """Remove the stack with everything in its bucket, and the parameters; nothing happens if they are gone already.

    Raise `StackFailedError` if CloudFormation cannot remove it.
    """
    executor = LiveExecutor(aws, name, clock, say)
    stack = aws.stacks.describe(names.stack(name))
    if stack is not None and stack.busy and not stack.status.startswith("DELETE"):
        say(f"the stack is in {stack.status}; waiting until it can be removed")
        stack = deploy.follow(aws, stack, deploy.latest(aws, stack), clock, say)
    # Twice, because a worker may have put a file into the bucket after it was emptied.
    for _ in range(2):
        if stack is None:
            break
        if bucket := stack.outputs.get("Bucket", ""):
            say(f"deleted {aws.storage.empty(bucket)} objects in {bucket}")
        stack = executor.remove()
    if stack is not None:
        reason = deploy.why(aws.stacks.events(stack.id)) or stack.reason
        raise StackFailedError(
            f"the stack {stack.name} is {stack.status}: {reason or 'CloudFormation does not say why'}",
            advice="Mend the cause and call `oppcloud down` again; it goes on where it stopped.",
        )
    left = [parameter.name for parameter in aws.parameters.below(names.parameters(name))]
    aws.parameters.delete(left)
    say(f"deleted {len(left)} parameters below {names.parameters(name)}")


def remains(aws: Aws, name: str) -> tuple[str, ...]:
    """Return everything of a cluster that is still there, by asking each service and Amazon's index of tags."""
    found = []
    stack = aws.stacks.describe(names.stack(name))
    if stack is not None:
        found.append(f"stack {stack.name} ({stack.status})")
    found += [f"instance {one.id} ({one.state})" for one in aws.instances.tagged(names.TAG, name)]
    found += [f"volume {volume}" for volume in aws.instances.volumes_tagged(names.TAG, name)]
    found += [f"Auto Scaling group {group}" for group in aws.instances.groups_tagged(names.TAG, name)]
    found += [f"parameter {parameter.name}" for parameter in aws.parameters.below(names.parameters(name))]
    log_group = names.log_group(name)
    found += [f"log group {group}" for group in aws.logs.groups(log_group) if f"{group}/".startswith(f"{log_group}/")]
    if aws.storage.has_repository(names.repository(name)):
        found.append(f"repository {names.repository(name)}")
    indexed = aws.account.tagged(names.TAG, name)
    found += [arn for arn in indexed if not any(kind in arn for kind in _SEEN_DIRECTLY)]
    return tuple(found)


def prove(aws: Aws, name: str, clock: Clock, say: Say, patience: float = PATIENCE) -> tuple[str, ...]:
    """Return what is left for good: look again until nothing is, or until patience ends."""
    deadline = clock.now() + patience
    while True:
        try:
            left = remains(aws, name)
        except AccessDeniedError as error:
            say(f"cannot look whether anything is left: {error}")
            return ("what we have no right to see",)
        if not left or clock.now() >= deadline:
            return left
        say(f"still there: {', '.join(left)}")
        clock.sleep(PACE)
