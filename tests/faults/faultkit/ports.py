"""Ports of this machine for servers of tests.

Those that are told their port before they are started, or started at it once more.
"""

from __future__ import annotations

import secrets
import socket

#: From here on (macOS from 49152 on) are the ports that systems give to connections, and to servers that take any:
#: a server that is told one of these, and is not there for a moment, may find it taken.
_GIVEN_TO_ANYBODY = 32768
_LOWEST = 10_000


def free_port() -> int:
    """Return a port that nobody listens at, and that nobody is given who asks for any."""
    while True:
        port = _LOWEST + secrets.randbelow(_GIVEN_TO_ANYBODY - _LOWEST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
