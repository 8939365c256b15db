"""The `oppcloud` command; each subcommand is a module of its own, imported when it is used.

There is no logic here that pytest could not call. The command starts fast, so that scripts may call it often.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Final

from oppcloud_worker import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_USAGE: Final = """\
usage: oppcloud COMMAND ...

commands:
  runs    print the runs that the configurations of an ini file expand to
  key     make the secret that client and workers of a cluster share
  image   build the worker's container image, and push it to a registry
  sessions, cancel, results
          list the sessions of a shared queue, stop one, fetch its result files

in Amazon's cloud:
  up      make a cluster for campaigns, or change it
  status  show what it does, since when, and what it cost
  scale   have worker instances by hand
  logs    show what queue, workers and timer wrote
  doctor  look at everything that a campaign needs
  down    remove the cluster, and show that nothing is left
  ps      list all clusters of a region
  reap    stop what nobody wants

`oppcloud COMMAND --help` tells more, and `oppcloud --version` which version this is."""


#: The module of each subcommand; there it is the function `<subcommand>_command`.
_MODULES: Final = {
    "runs": "runs",
    "key": "key",
    "image": "image",
    "sessions": "sessions",
    "cancel": "sessions",
    "results": "sessions",
    **{name: name for name in ("up", "status", "scale", "logs", "doctor", "down", "ps", "reap")},
}


class CommandLineError(Exception):
    """The command line is not one of ours; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code: 0, 1 for a mistake in what was read, 2 for one on the command line."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in {"-h", "--help"}:
        print(_USAGE)
        return 0 if given else 2
    if given[0] == "--version":
        print(f"pytest-oppcloud {__version__}")
        return 0
    command = _command(given[0])
    if command is None:
        print(f"oppcloud: no such command: {given[0]}\n{_USAGE}", file=sys.stderr)
        return 2
    try:
        return command(given[1:])
    except CommandLineError as error:
        print(f"oppcloud {given[0]}: {error} (try `oppcloud {given[0]} --help`)", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader, `head` perhaps, has seen enough; nothing may be written at exit either.
        sys.stdout = None
        return 1


def _command(name: str) -> Callable[[Sequence[str]], int] | None:
    """Return the function of a subcommand, and import no other; None if there is none of this name."""
    module = _MODULES.get(name)
    if module is None:
        return None
    command: Callable[[Sequence[str]], int] = getattr(
        importlib.import_module(f".{module}", __package__), f"{name}_command"
    )
    return command
