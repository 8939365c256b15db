"""The command of a worker: `python -m oppcloud_worker`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

from . import __version__, machine
from .account import AccountError, find_account
from .address import CA_VARIABLE, AddressError, check, has_password, redis_url
from .confinement import close_to_others
from .messages import Limits
from .remote.keys import DEFAULT_QUEUE
from .remote.pool import Pool, PoolSettings
from .settings import URL_VARIABLE, available_cores
from .signing import KEY_FILE_VARIABLE, KEY_VARIABLE, ClusterKey, KeyUnusableError, read_key

#: Enough for every simulation, and few enough for the machine.
_PROCESSES = 512
_GIB = 1024**3
#: Of seconds or GiB: no amount is as large.
_ENOUGH = 1e9


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1 was expected, found {text!r}")
    return value


def _amount(text: str) -> float:
    """Read an amount; a limit below 0, or one that nothing ever exceeds, would be none."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < _ENOUGH:
        raise argparse.ArgumentTypeError(f"a number of at least 0 was expected, found {text!r}")
    return value


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number of at least 0 was expected, found {text!r}")
    return int(text)


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
        help=f"URL of the Redis server, such as rediss://host:6379/0 (default: {URL_VARIABLE}); one with a password "
        "is taken from there only, as everybody on this machine can read command lines",
    )
    result.add_argument(
        "--key-from-stdin",
        action="store_true",
        help="read the cluster key from the first line of standard input, for programs that start a worker "
        f"(default: {KEY_FILE_VARIABLE} or {KEY_VARIABLE})",
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
        "--max-idle-time", type=_amount, default=0, metavar="SECONDS", help="end after so many seconds without work"
    )
    result.add_argument(
        "--cache",
        type=Path,
        default=_default_cache(),
        metavar="DIR",
        help="folder for what simulations need, shared by all workers of this machine (default: %(default)s)",
    )
    result.add_argument(
        "--cache-limit", type=_amount, default=10, metavar="GIB", help="size of that folder (default: %(default)s GiB)"
    )
    result.add_argument(
        "--run-as",
        default="",
        metavar="USER",
        help="start simulations as this user, who owns nothing of the worker's; for a worker that runs as root",
    )
    result.add_argument(
        "--memory",
        type=_amount,
        default=0,
        metavar="GIB",
        help="memory for all simulations together: one that needs more than is left waits (default: what this machine "
        "or container has; give each its part where several workers share it)",
    )
    bounds = result.add_argument_group(
        "limits", "what one simulation may use with all its processes, whatever it asks for; 0 means no limit"
    )
    bounds.add_argument(
        "--limit-processes",
        type=_count,
        default=_PROCESSES,
        metavar="N",
        help="processes at a time (default: %(default)s)",
    )
    for name, what in (("memory", "memory"), ("file-size", "size of one file")):
        bounds.add_argument(
            f"--limit-{name}", type=_amount, default=0, metavar="GIB", help=f"{what} (default: no limit)"
        )
    for name, what in (("time", "wall-clock time"), ("cpu-time", "CPU time of one process")):
        bounds.add_argument(
            f"--limit-{name}", type=_count, default=0, metavar="SECONDS", help=f"{what} (default: no limit)"
        )
    result.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="end also when standard input closes, for programs that start a worker for their own lifetime",
    )
    result.add_argument("--version", action="version", version=f"oppcloud-worker {__version__}")
    return result


def _key_from_stdin() -> ClusterKey:
    """Read the key from the first line of standard input, and not more than that; raise `KeyUnusableError`."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return ClusterKey.from_text(line.decode("ascii", "replace"))


def main(arguments: list[str] | None = None) -> int:
    """Run a worker; return its exit code."""
    if sys.platform == "win32":
        sys.exit("oppcloud-worker needs Linux or macOS")
    command = parser()
    options = command.parse_args(arguments)
    close_to_others()
    # Whoever started it for its own lifetime needs to hear of trouble only.
    level = logging.WARNING if options.until_stdin_closes else logging.INFO
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", level=level)
    try:
        if options.url and has_password(options.url):
            command.error(f"a password in --url can be read by everybody on this machine: set {URL_VARIABLE} instead")
        url = redis_url(os.environ, options.url)
        if not url:
            command.error(f"no queue: give --url or set {URL_VARIABLE}")
        key = _key_from_stdin() if options.key_from_stdin else read_key(os.environ)
        note = check(url, signed=key is not None, environment=os.environ)
        if options.run_as:
            _check_account(options.run_as, options.cache)
    except (AccountError, AddressError, KeyUnusableError) as error:
        # In one line: how to call the command is not what is wrong.
        command.exit(2, f"{command.prog}: error: {error}\n")
    if note:
        logging.getLogger("oppcloud_worker").warning("%s", note)
    # Slots are told on a pipe.
    for name in (URL_VARIABLE, CA_VARIABLE, KEY_VARIABLE, KEY_FILE_VARIABLE):
        os.environ.pop(name, None)
    return Pool(settings=_pool_settings(options, url, key)).run()


def _check_account(name: str, cache: Path) -> None:
    """Raise `AccountError` unless simulations can run as the user `name`, who must get at their files."""
    cache.mkdir(parents=True, exist_ok=True)
    account = find_account(name)
    account.check_reach(cache.resolve())
    account.check_reach(Path(tempfile.gettempdir()).resolve())


def _pool_settings(options: argparse.Namespace, url: str, key: ClusterKey | None) -> PoolSettings:
    """Return what the command line says, in bytes and seconds."""
    return PoolSettings(
        url=url,
        key=key,
        queue=options.queue,
        slots=options.slots,
        cache=str(options.cache.absolute()),
        cache_limit=int(options.cache_limit * _GIB),
        bounds=Limits(
            timeout=options.limit_time,
            cpu_time=options.limit_cpu_time,
            file_size=int(options.limit_file_size * _GIB),
            processes=options.limit_processes,
            tree_memory=int(options.limit_memory * _GIB),
        ),
        account=options.run_as,
        memory=int(options.memory * _GIB) or machine.memory(),
        max_idle_time=options.max_idle_time,
        until_stdin_closes=options.until_stdin_closes,
    )


if __name__ == "__main__":
    sys.exit(main())
