"""`oppcloud scale N`: have worker instances without a campaign, for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_oppcloud.cloud.stack import cluster, control, status
from pytest_oppcloud.cloud.stack.lease import Lease

from . import amazon

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

#: Who holds the lease that this command takes.
HOLDER = "by-hand"


def scale_command(given: Sequence[str]) -> int:
    """Do what the command line says; return the exit code."""
    result = amazon.parser(
        "scale",
        "Have so many worker instances, besides those that campaigns claim, for as long as a lease holds; "
        "call it again to have them for longer. 0 gives them back.",
    )
    result.add_argument("instances", type=amazon.number(0), metavar="N", help="worker instances")
    options = result.parse_args(given)
    return amazon.guarded("scale", lambda: _scale(options))


def _scale(options: argparse.Namespace) -> int:
    aws, now = amazon.account(options), amazon.CLOCK.now()
    found = cluster.find(aws, options.name)
    if not options.instances:
        control.release(aws, found, HOLDER)
        count = control.resize(aws, found, now)
        stopped = control.stop_if_unwanted(aws, found, now)
        amazon.say(
            f"{count} worker instances" + (", and the queue is stopped" if stopped else "; a campaign is running")
        )
        return 0
    until = now + found.longest_lease
    control.hold(aws, found, Lease(holder=HOLDER, until=until, instances=options.instances))
    if not control.start_head(aws, found):
        amazon.say("the queue's instance is still being stopped; call this again in a minute")
        return amazon.FAILED
    count = control.resize(aws, found, now)
    limit = f" (the most there may be: {found.max_instances})" if count == found.max_instances else ""
    amazon.say(f"{count} worker instances{limit} until {status.moment(until)}, unless called again")
    return 0
