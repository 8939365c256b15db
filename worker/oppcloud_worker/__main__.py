"""The command of a worker: `python -m oppcloud_worker`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from . import __version__
from .remote.keys import DEFAULT_QUEUE
from .remote.pool import Pool, PoolSettings
from .settings import URL_VARIABLE, available_cores


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _default_cache() -> Path:
    """Return where content is kept from one worker to the next."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "oppcloud" / "content"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(
        prog="python -m oppcloud_worker",
        description="Run OMNeT++ simulations that pytest --oppcloud put into a queue, until told to end (SIGTERM, "
        "Ctrl-C). What runs then is stopped and goes back to the queue.",
    )
    result.add_argument(
        "-u",
        "--url",
        default=os.environ.get(URL_VARIABLE),
        help=f"URL of the Redis server, such as redis://host:6379/0; better given as {URL_VARIABLE} when it holds a "
        "password, as everybody on this machine can read command lines",
    )
    result.add_argument(
        "--queue", default=DEFAULT_QUEUE, metavar="NAME", help="name of the queue (default: %(default)s)"
    )
    result.add_argument(
        "-n",
        "--slots",
        type=_positive,
        default=available_cores(),
        metavar="N",
        help="simulations that run at the same time (default: the cores that may be used, %(default)s)",
    )
    result.add_argument(
        "--max-idle-time", type=float, default=0, metavar="SECONDS", help="end after so many seconds without work"
    )
    result.add_argument(
        "--cache",
        type=Path,
        default=_default_cache(),
        metavar="DIR",
        help="folder for what simulations need, shared by all workers of this machine (default: %(default)s)",
    )
    result.add_argument(
        "--cache-limit", type=float, default=10, metavar="GIB", help="size of that folder (default: %(default)s GiB)"
    )
    result.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="end also when standard input closes, for programs that start a worker for their own lifetime",
    )
    result.add_argument("--version", action="version", version=f"oppcloud-worker {__version__}")
    return result


def main(arguments: list[str] | None = None) -> int:
    """Run a worker; return its exit code."""
    if sys.platform == "win32":
        sys.exit("oppcloud-worker needs Linux or macOS")
    command = parser()
    options = command.parse_args(arguments)
    if not options.url:
        command.error(f"no queue: give --url or set {URL_VARIABLE}")
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", level=logging.INFO)
    # Simulations and slots must not find the password in their environment.
    os.environ.pop(URL_VARIABLE, None)
    settings = PoolSettings(
        url=options.url,
        queue=options.queue,
        slots=options.slots,
        cache=str(options.cache.absolute()),
        cache_limit=int(options.cache_limit * 1024**3),
        max_idle_time=options.max_idle_time,
        until_stdin_closes=options.until_stdin_closes,
    )
    return Pool(settings=settings).run()


if __name__ == "__main__":
    sys.exit(main())
