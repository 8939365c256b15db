"""`oppcloud down`: remove a cluster, and show that nothing is left."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pytest_oppcloud.cloud.stack import names, status, teardown

from . import amazon

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def down_command(given: Sequence[str]) -> int:
    """Do what the command line says; return the exit code: 1 if anything is left."""
    result = amazon.parser("down", "Remove a cluster with all its files, and show that nothing of it is left.")
    result.add_argument("--force", action="store_true", help="also while a campaign runs")
    amazon.add_approval(result)
    options = result.parse_args(given)
    return amazon.guarded("down", lambda: _down(options), "call it again, it goes on where it stopped")


def _down(options: argparse.Namespace) -> int:
    name, clock = names.checked(options.name), amazon.CLOCK
    aws = amazon.account(options)
    left = teardown.remains(aws, name)
    if not left:
        amazon.say(f"Nothing of a cluster {name} is there in {aws.region}.")
        return 0
    amazon.say(f"This is going to be removed, and all files in the bucket with it ({aws.region}):")
    for thing in left:
        amazon.say(f"  {thing}")
    stack = aws.stacks.describe(names.stack(name))
    leases, detached = teardown.wanted(aws, stack, clock.now()) if stack is not None else ((), ())
    for lease in detached:
        amazon.say(f"  what came out of the session {status.left_line(lease, name)}")
    if leases and not options.force:
        holders = ", ".join(map(status.lease_line, leases))
        print(f"oppcloud down: a campaign is running ({holders}); --force removes it all the same", file=sys.stderr)
        return amazon.REFUSED
    for lease in leases:
        amazon.say(f"  what is running: {status.lease_line(lease)}")
    if not amazon.agreed(options, "Go ahead?"):
        return amazon.REFUSED
    teardown.remove(aws, name, clock, amazon.say)
    left = teardown.prove(aws, name, clock, amazon.say)
    if left:
        print("oppcloud down: still there:", *left, sep="\n  ", file=sys.stderr)
        return amazon.FAILED
    amazon.say(f"Nothing with the tag {names.TAG}={name} is left in {aws.region}.")
    return 0
