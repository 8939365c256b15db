"""`oppcloud key`: make the secret that client and workers of a cluster share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from oppcloud_worker.signing import KEY_FILE_VARIABLE, ClusterKey, KeyUnusableError, read_key_file, write_key_file

from . import CommandLineError

if TYPE_CHECKING:
    from collections.abc import Sequence

_HELP: Final = f"""\
usage: oppcloud key new FILE
       oppcloud key id FILE

  new   write a new cluster key to FILE, which must not exist yet; only you can read it. With - it is printed
  id    print the id of the key in FILE, which workers and clients name in their messages; it is no secret

Workers run what is signed with this key, and nothing else: whoever has it can run programs on them. Set
{KEY_FILE_VARIABLE} to FILE for pytest and for `python -m oppcloud_worker`, on every machine of the cluster."""


def key_command(given: Sequence[str]) -> int:
    """Make or name a key; return the exit code."""
    if not given or given[0] in {"-h", "--help"}:
        print(_HELP)
        return 0 if given else 2
    if len(given) != 2 or given[0] not in {"new", "id"}:
        raise CommandLineError("`new FILE` or `id FILE` was expected")
    path = Path(given[1])
    try:
        if given == ["new", "-"]:
            print(ClusterKey.generate().to_text())
        elif given[0] == "new":
            key = ClusterKey.generate()
            write_key_file(path, key)
            print(f"{path}: key {key.id}; set {KEY_FILE_VARIABLE}={path.absolute()} for pytest and for all workers")
        else:
            print(read_key_file(path).id)
    except FileExistsError:
        print(f"oppcloud key: {path} exists; a key that is overwritten is lost", file=sys.stderr)
        return 1
    except (OSError, KeyUnusableError) as error:
        print(f"oppcloud key: {error}", file=sys.stderr)
        return 1
    return 0
