"""What the subcommands for Amazon's cloud have in common: which cluster, which account, and how errors are told."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from pytest_oppcloud.cloud.aws import Aws, connect
from pytest_oppcloud.cloud.stack import names
from pytest_oppcloud.cloud.stack.clock import RealClock
from pytest_oppcloud.errors import OppcloudError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Exit codes: something is not as it should be; nothing was done, since nobody agreed; Ctrl-C, as shells have it.
FAILED, REFUSED, INTERRUPTED = 1, 2, 130

CLOCK = RealClock()


def parser(command: str, description: str, *, named: bool = True) -> argparse.ArgumentParser:
    """Return a parser that knows the account and, if `named`, the cluster."""
    result = argparse.ArgumentParser(prog=f"oppcloud {command}", description=description)
    if named:
        default = os.environ.get(names.NAME_VARIABLE) or names.DEFAULT_NAME
        result.add_argument(
            "--name", default=default, help=f"the cluster (default: %(default)s; {names.NAME_VARIABLE} sets it)"
        )
    result.add_argument("--region", help="Amazon's region (default: the one that is set up)")
    result.add_argument("--profile", help="profile of Amazon's configuration (default: AWS_PROFILE)")
    return result


def add_approval(result: argparse.ArgumentParser) -> None:
    """Add the option that answers the question before anything is done."""
    result.add_argument("-y", "--yes", action="store_true", help="do not ask")


def account(options: argparse.Namespace) -> Aws:
    """Return the account that the command line means."""
    return connect(options.region, options.profile)


def agreed(options: argparse.Namespace, question: str) -> bool:
    """Ask, unless --yes was given; where nobody can be asked, the answer is no."""
    if options.yes:
        return True
    if not sys.stdin.isatty():
        print("oppcloud: nobody is here to ask; give --yes", file=sys.stderr)
        return False
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def say(text: str) -> None:
    """Print progress at once, also into a pipe."""
    print(text, flush=True)


def guarded(command: str, act: Callable[[], int], interrupted: str = "") -> int:
    """Run a command; tell its errors and what Ctrl-C means for it."""
    try:
        return act()
    except OppcloudError as error:
        print(f"oppcloud {command}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"\noppcloud {command}: interrupted{interrupted and f'; {interrupted}'}", file=sys.stderr)
        return INTERRUPTED


def number(least: int) -> Callable[[str], int]:
    """Return what reads a whole number that is not smaller than `least`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"a whole number of at least {least} was expected, found {text!r}")
        return value

    return read
