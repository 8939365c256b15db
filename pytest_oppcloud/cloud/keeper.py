"""The keeper of the private server and its worker: ends them when pytest is gone, however it went.

Runs as a script of its own (`python -I -S keeper.py`) in a session of its own, so that neither Ctrl-C nor the death
of pytest touches it; standard library only. Its standard input is a pipe from pytest: the first line holds its
orders, and when the pipe closes, worker, server and folder go. On standard output it tells pytest, one JSON object
per line: `{"ready": …}`, `{"failed": why}`, and `{"gone": why}` when server or worker ended by themselves.
"""

# No pathlib: it is slow to import.
# ruff: noqa: PTH106, PTH118, PTH123

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

#: Seconds for the server to answer.
START = 10.0
#: Seconds for the worker to end by itself; everything is to be gone five seconds after pytest.
WORKER_END = 3.5
SERVER_END = 0.5
#: Bytes of the path of a unix socket that every system takes (104 on macOS, its end included).
_SOCKET_PATH = 100


class StartError(Exception):
    """Server or worker did not start."""


class Keeper:
    """A server and a worker in a folder of their own."""

    def __init__(self, orders: dict[str, object]) -> None:
        self._orders = orders
        self.folder = _private_folder()
        self.socket = os.path.join(self.folder, "s")
        self._server: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None

    def start(self) -> dict[str, object]:
        """Start both; return what pytest wants to know; raise `StartError`."""
        server, worker, environment = (self._orders[name] for name in ("server", "worker", "environment"))
        log = os.path.join(self.folder, "server.log")
        with open(log, "wb") as output:
            self._server = subprocess.Popen(
                [
                    *server,  # type: ignore[misc]  # decoded JSON
                    *("--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700"),
                    *("--save", "", "--appendonly", "no", "--dir", self.folder),
                    *("--daemonize", "no", "--set-proc-title", "no", "--loglevel", "warning"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._await_server(log)
        command = [*worker, "--url", f"unix://{self.socket}", "--cache", os.path.join(self.folder, "content")]  # type: ignore[misc]  # words, as pytest has sent them
        self._worker = subprocess.Popen(
            [*command, "--key-from-stdin", "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**environment, "TMPDIR": self.folder},  # type: ignore[dict-item]  # as above
            cwd=self.folder,
        )
        assert self._worker.stdin is not None  # noqa: S101  # a pipe, see above
        with contextlib.suppress(BrokenPipeError):
            self._worker.stdin.write(f"{self._orders['secret']}\n".encode())
            self._worker.stdin.flush()
        return {"socket": self.socket, "folder": self.folder, "pids": [self._server.pid, self._worker.pid]}

    def _await_server(self, log: str) -> None:
        deadline = time.monotonic() + START
        while True:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1.0)
                connection.connect(self.socket)
                connection.sendall(b"PING\r\n")
                if connection.recv(16).startswith(b"+PONG"):
                    return
            assert self._server is not None  # noqa: S101  # started just before
            code = self._server.poll()
            if code is not None or time.monotonic() > deadline:
                with open(log, errors="replace") as file:
                    said = file.read()[-2000:].strip()
                state = "does not answer" if code is None else f"ended with exit code {code}"
                raise StartError(f"{self._orders['server']}: {state}; it said: {said or 'nothing'}")
            time.sleep(0.005)

    def watch(self) -> None:
        """Tell pytest when something ended that should not; return when pytest closes the pipe."""
        told = False
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with contextlib.suppress(KeyboardInterrupt):
            while not told:
                for name, process in (("server", self._server), ("worker", self._worker)):
                    if process is not None and process.poll() is not None:
                        _tell({"gone": f"the {name} ended with exit code {process.returncode}"})
                        told = True
                if not told and _closed(1.0):
                    return
            while not _closed(None):
                pass

    def end(self) -> None:
        """End both and remove the folder."""
        _end(self._worker, WORKER_END, group=True)
        _end(self._server, SERVER_END, group=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def _private_folder() -> str:
    """Make a folder that nobody else may enter, with a path short enough for a socket."""
    folder = tempfile.mkdtemp(prefix="opp-")
    if len(os.fsencode(folder)) + len("/s") < _SOCKET_PATH:
        return folder
    os.rmdir(folder)
    return tempfile.mkdtemp(prefix="opp-", dir="/tmp")  # mkdtemp makes it private


def _closed(timeout: float | None) -> bool:
    """Wait for standard input; tell whether it is closed."""
    ready, _, _ = select.select([0], [], [], timeout)
    return bool(ready) and not os.read(0, 4096)


def _end(process: subprocess.Popen[bytes] | None, patience: float, *, group: bool) -> None:
    """Ask a process to end, then make it."""
    if process is None:
        return
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if group and process.stdin is not None:
        process.stdin.close()


def _tell(message: dict[str, object]) -> None:
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(message).encode() + b"\n")


def main() -> None:
    """Keep server and worker until standard input closes."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    line = b""
    while not line.endswith(b"\n"):
        data = os.read(0, 65536)
        if not data:
            return
        line += data
    keeper = Keeper(json.loads(line))
    # Told to end by whoever ends everything (a machine that shuts down): the same as when pytest is gone.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        try:
            _tell({"ready": keeper.start()})
        except (StartError, OSError) as error:
            _tell({"failed": str(error)})
        keeper.watch()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        keeper.end()


if __name__ == "__main__":
    main()
