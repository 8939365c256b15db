"""`oppcloud ps`: all clusters of a region, and every instance that carries our tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_oppcloud.cloud.stack import control, lease, names, status
from pytest_oppcloud.cloud.stack.cluster import from_stack

from . import amazon

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def ps_command(given: Sequence[str]) -> int:
    """Do what the command line says; return the exit code."""
    result = amazon.parser("ps", "List all clusters of a region, and every instance with our tag.", named=False)
    options = result.parse_args(given)
    return amazon.guarded("ps", lambda: _ps(options))


def _ps(options: argparse.Namespace) -> int:
    aws, now = amazon.account(options), amazon.CLOCK.now()
    stacks = {stack.tags[names.TAG]: stack for stack in aws.stacks.tagged(names.TAG)}
    instances = aws.instances.tagged(names.TAG)
    clusters = sorted(stacks.keys() | {one.cluster for one in instances})
    if not clusters:
        amazon.say(f"nothing of ours is there in {aws.region}")
    for name in clusters:
        stack = stacks.get(name)
        held, lines = "", []
        if stack is not None and stack.usable:
            leases = control.leases(aws, from_stack(stack, aws.region))
            holders = lease.holding(leases, now)
            held = f", leased by {', '.join(one.holder for one in holders)}" if holders else ", not leased"
            lines = [status.lease_line(one) for one in holders if one.detached_until]
            lines += [status.left_line(one, name) for one in lease.waiting(leases, now)]
        amazon.say(f"{name}: {stack.status if stack else 'no stack; `oppcloud reap` ends what is left'}{held}")
        for line in lines:
            amazon.say(f"  {line}")
        for one in instances:
            if one.cluster == name:
                amazon.say(f"  {status.instance_line(one, now)}  {one.name}")
    return 0
