"""The way in without an open port: SSM forwards a port of this machine to the queue.

Needs Amazon's session-manager-plugin, the same program that `aws ssm start-session` uses, and calls it the same way.
The session's token goes by the environment, as command lines can be read by everybody on this machine. A keeper
process ends the plugin when we are gone, however that came.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_oppcloud.cloud.aws import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_oppcloud.cloud.aws import Aws

    from .clock import Clock

PLUGIN = "session-manager-plugin"
WHERE = "https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html"

#: The environment variable whose name tells the plugin where the session is.
_SESSION_VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"
_DOCUMENT = "AWS-StartPortForwardingSession"
#: Seconds for the plugin to listen, and between two looks.
_PATIENCE, _PACE = 30.0, 0.1
#: How often another port is tried: between our looking for a free one and its use, somebody else may take it.
_ATTEMPTS = 3


class Tunnel:
    """A port of this machine that leads to a port of an instance."""

    def __init__(self, aws: Aws, instance: str, port: int, clock: Clock) -> None:
        self._aws = aws
        self._instance = instance
        self._remote = port
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._session = ""
        #: The port of this machine; stays the same when the tunnel has to be opened again.
        self.port = 0

    def open(self) -> int:
        """Open it; return the port. Raise `AwsError` if that fails."""
        trouble = ""
        for _ in range(_ATTEMPTS):
            self.port = _free_port()
            trouble = self._open()
            if not trouble:
                return self.port
        raise AwsError(f"the tunnel to the queue did not open: {trouble}", action="ssm:StartSession")

    def keep(self) -> None:
        """Open it again, on the same port, if it has closed, as SSM closes idle and very long sessions."""
        if self._process is not None and self._process.poll() is not None:
            self._end()
            if trouble := self._open():
                raise AwsError(f"the tunnel to the queue closed and did not open again: {trouble}")

    def close(self) -> None:
        """Close it; no error if it is closed already."""
        self._end()

    def _open(self) -> str:
        """Start the plugin; return "" when it listens, else what it said."""
        plugin = shutil.which(PLUGIN)
        if plugin is None:
            advice = f"Install it: {WHERE}\nOr let the queue be reached directly: oppcloud up --client-cidr auto"
            raise AwsError(f"{PLUGIN} is not on the PATH", advice=advice)
        request = {
            "Target": self._instance,
            "DocumentName": _DOCUMENT,
            "Parameters": {"portNumber": [str(self._remote)], "localPortNumber": [str(self.port)]},
        }
        session = self._aws.parameters.start_session(request)
        self._session = session["SessionId"]
        with tempfile.TemporaryFile() as output:
            self._process = _start(plugin, self._aws.region, session, request, output)
            deadline = self._clock.now() + _PATIENCE
            while not _listening(self.port):
                if self._process.poll() is not None or self._clock.now() > deadline:
                    output.seek(0)
                    said = output.read().decode(errors="replace").strip()
                    self._end()
                    return said or "the plugin said nothing"
                self._clock.sleep(_PACE)
        return ""

    def _end(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None  # noqa: S101  # it is a pipe, see _start
            self._process.stdin.close()
            self._process.wait()
            self._process = None
        if self._session:
            # Without the plugin the session ends by itself within minutes.
            with contextlib.suppress(AwsError):
                self._aws.parameters.end_session(self._session)
            self._session = ""


def _start(
    plugin: str, region: str, session: Mapping[str, str], request: Mapping[str, Any], output: Any
) -> subprocess.Popen[bytes]:
    profile, endpoint = os.environ.get("AWS_PROFILE", ""), f"https://ssm.{region}.amazonaws.com"
    command = [plugin, _SESSION_VARIABLE, region, "StartSession", profile, json.dumps(request), endpoint]
    keeper = Path(__file__).with_name("tunnel_keeper.py")
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(keeper), *command],
        env=os.environ | {_SESSION_VARIABLE: json.dumps(dict(session))},
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        # Ctrl-C is for us; the tunnel is needed until we are done with it.
        start_new_session=True,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listening(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False
