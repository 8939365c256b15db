"""`oppcloud status`: what a cluster does, since when, and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_oppcloud.cloud.stack import cluster, status

from . import amazon

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def status_command(given: Sequence[str]) -> int:
    """Do what the command line says; return the exit code."""
    options = amazon.parser("status", "Show what a cluster does, since when, and what it cost so far.").parse_args(
        given
    )
    return amazon.guarded("status", lambda: _status(options))


def _status(options: argparse.Namespace) -> int:
    aws = amazon.account(options)
    found = cluster.find(aws, options.name)
    amazon.say(status.text(status.look(aws, found, amazon.CLOCK.now())))
    return 0
