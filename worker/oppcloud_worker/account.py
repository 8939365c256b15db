"""The account that simulations run under where the worker may switch: one that owns nothing of the worker's.

Standard library only. Who may switch is root. What such a simulation cannot reach is then up to the rights of files
and processes, as between any two users; the worker still ends, limits and judges it as always.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class AccountError(Exception):
    """Simulations cannot run under this account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int
    #: All groups, that of `gid` included.
    groups: tuple[int, ...]
    home: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that programs ask for whom they run as."""
        return {"USER": self.name, "LOGNAME": self.name, "HOME": self.home}

    def own(self, path: Path) -> None:
        """Give a folder to this user."""
        os.chown(path, self.uid, self.gid)

    def check_reach(self, folder: Path) -> None:
        """Raise `AccountError` unless this user can enter all folders on the way to `folder`, and read it.

        Only the rights of owner, group and others are looked at.
        """
        for place in (folder, *folder.parents):
            information = place.stat()
            needed = 0o5 if place == folder else 0o1
            if information.st_uid == self.uid:
                granted = information.st_mode >> 6
            elif information.st_gid in self.groups:
                granted = information.st_mode >> 3
            else:
                granted = information.st_mode
            if granted & needed != needed:
                raise AccountError(
                    f"{self.name} cannot {'read' if place == folder else 'enter'} {place}, on the way to what "
                    "simulations need: choose another folder with --cache, such as /var/cache/oppcloud"
                )


def find_account(name: str) -> Account:
    """Return the account `name`; raise `AccountError` where there is none, or this process may not switch to it."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise AccountError(f"this machine has no user {name!r:.80}") from None
    if entry.pw_uid == 0:
        raise AccountError(f"{name} is root: name a user that owns nothing of the worker's")
    if os.geteuid() != 0:
        raise AccountError("only a worker that runs as root can start simulations as another user")
    return Account(
        name=name,
        uid=entry.pw_uid,
        gid=entry.pw_gid,
        groups=tuple(os.getgrouplist(name, entry.pw_gid)),
        home=entry.pw_dir,
    )
