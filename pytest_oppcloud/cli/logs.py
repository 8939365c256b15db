"""`oppcloud logs`: what queue, workers and timer wrote."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from pytest_oppcloud.cloud.aws import AwsError
from pytest_oppcloud.cloud.stack import names, status

from . import amazon

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_oppcloud.cloud.aws import LogLine

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
#: Seconds between two looks with --follow.
_PACE = 3.0


def logs_command(given: Sequence[str]) -> int:
    """Do what the command line says; return the exit code."""
    result = amazon.parser("logs", "Show what the queue, the workers or the timer wrote.")
    result.add_argument("what", nargs="?", choices=("all", "queue", "worker", "reaper"), default="all")
    result.add_argument("--since", type=duration, default="1h", metavar="TIME", help="30s, 10m, 2h, 1d (default: 1h)")
    result.add_argument("--grep", default="", metavar="TEXT", help="only lines that hold this text")
    result.add_argument("-f", "--follow", action="store_true", help="go on with what is written from now on")
    options = result.parse_args(given)
    return amazon.guarded("logs", lambda: _logs(options))


def duration(text: str) -> float:
    """Return the seconds of a duration."""
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text}: a duration such as 10m was expected")
    return float(match[1]) * _UNITS[match[2]]


def _logs(options: argparse.Namespace) -> int:
    aws, clock = amazon.account(options), amazon.CLOCK
    group = names.log_group(names.checked(options.name))
    prefix = "" if options.what in {"all", "reaper"} else f"{options.what}/"
    if options.what == "reaper":
        group += "/reaper"
    since, seen = clock.now() - options.since, frozenset[str]()
    while True:
        try:
            # Amazon sorts them by stream where it likes to.
            found = aws.logs.lines(group, since=since, prefix=prefix, containing=options.grep)
            lines = sorted(found, key=lambda line: line.time)
        except AwsError as error:
            if error.code != "ResourceNotFoundException":
                raise
            raise AwsError(
                f"no cluster {options.name!r} has written logs in {aws.region}",
                advice="`oppcloud ps` lists those there are.",
            ) from error
        for line in lines:
            if line.id not in seen:
                amazon.say(_text(line))
        if not options.follow:
            return 0
        if lines:
            # Lines of the same moment may still come.
            since = lines[-1].time
            seen = frozenset(line.id for line in lines if line.time >= since)
        clock.sleep(_PACE)


def _text(line: LogLine) -> str:
    stream = line.stream.split("/")
    who = f"{stream[0]} {stream[-1][:8]}" if len(stream) > 1 else line.stream
    return f"{status.moment(line.time)}  {who:<16}  {line.text}"
