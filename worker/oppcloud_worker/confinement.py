"""What keeps a simulation from the secrets of the worker that runs it.

Standard library only. A simulation is a program of somebody who may use the cluster, not of somebody who may have its
keys. It gets an environment without secrets, and it cannot look into the processes of the worker (Linux; elsewhere
only another user account keeps it from that).
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PR_SET_DUMPABLE = 4

#: Names of variables that no simulation gets: ours, those of AWS, and what is called like a secret. Marks are kept;
#: by them processes are found that somebody left behind.
_SECRET = re.compile(
    r"OPPCLOUD_(?!\w*MARK$)|AWS_|ECS_|AZURE_|GOOGLE_APPLICATION_|.*(REDIS|VALKEY|SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|"
    r"CREDENTIAL|PRIVATE_?KEY|API_?KEY|ACCESS_?KEY)|SSH_AUTH_SOCK$|SSH_AGENT_PID$|GPG_AGENT_INFO$|DBUS_",
    re.IGNORECASE,
)
#: The password in the value of a variable of any name: `scheme://user:password@host`.
_PASSWORD_IN_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/@]*:[^\s/@]+@", re.IGNORECASE)


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without variables that are, or look like, secrets."""
    return {
        name: value
        for name, value in environment.items()
        if not _SECRET.match(name) and not _PASSWORD_IN_URL.search(value)
    }


def close_to_others() -> bool:
    """Keep processes of the same user from looking into this one; return whether that worked.

    On Linux, nobody but who may trace everything (root, and simulations of a worker cannot) then reads its
    environment, its memory and its open files, and it leaves no core dump.
    """
    if sys.platform != "linux":
        return False
    import ctypes  # noqa: PLC0415  # only here, and only on Linux

    return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
