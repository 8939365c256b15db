"""`oppcloud reap`: stop what nobody wants, in all clusters of a region; made for a timer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_oppcloud.cloud.stack import reaping

from . import amazon

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def reap_command(given: Sequence[str]) -> int:
    """Do what the command line says; return the exit code."""
    result = amazon.parser(
        "reap",
        "Stop the instances of clusters on which nobody holds a lease, and end what belongs to no cluster.",
        named=False,
    )
    result.add_argument("--dry-run", action="store_true", help="only tell")
    amazon.add_approval(result)
    options = result.parse_args(given)
    return amazon.guarded("reap", lambda: _reap(options), "call it again")


def _reap(options: argparse.Namespace) -> int:
    aws, now = amazon.account(options), amazon.CLOCK.now()
    unwanted = reaping.look(aws, now)
    if unwanted.nothing:
        amazon.say(f"nothing to reap in {aws.region}")
        return 0
    amazon.say(unwanted.text())
    if options.dry_run:
        return 0
    if not amazon.agreed(options, "Go ahead?"):
        return amazon.REFUSED
    reaping.reap(aws, unwanted, now)
    amazon.say("done")
    return 0
