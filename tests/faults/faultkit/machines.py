"""The machines of a cluster, as processes that can be killed, frozen and started again.

They are a Redis server, and hosts with a worker each.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from pytest_oppcloud.cloud.embedded import find_server

from .ports import free_port
from .processes import Processes, eventually, is_running, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psutil
    from oppcloud_worker.signing import ClusterKey

#: Where `sitecustomize` lies that changes the product's parts in a process (see there), and this package.
INJECTED = Path(__file__).parents[1] / "injected"
#: Tells the processes of a host from those of others.
HOST = "FAULTS_HOST"
#: What `sitecustomize` is to change.
CHANGES = "FAULTS_CHANGES"

_SLOT = "oppcloud_worker.remote.slot"


def injected(*changes: str) -> dict[str, str]:
    """Return the variables that have `changes` made in a process (see `injected/sitecustomize.py`)."""
    path = os.pathsep.join([str(INJECTED), str(INJECTED.parent)])
    return {"PYTHONPATH": path, CHANGES: " ".join(changes)}


@dataclass
class RedisServer:
    """A server that others reach by TCP; started again, it is at the same port."""

    processes: Processes
    folder: Path
    #: Whether it writes what it holds to disk after each command.
    persistent: bool = False
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def connection(self) -> redis.Redis:
        """A connection that passes no network."""
        return redis.Redis(port=self.port, socket_timeout=30)

    def start(self) -> None:
        """Start it, with the data that it finds."""
        self.folder.mkdir(exist_ok=True)
        append = ("--appendonly", "yes", "--appendfsync", "always") if self.persistent else ("--appendonly", "no")
        self.process = subprocess.Popen(
            [
                *(find_server().path, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
                *("--dir", str(self.folder), *append),
            ],
            stdout=subprocess.DEVNULL,
            env=self.processes.environment(),
        )
        eventually(self._answers, 60, "Redis answers")

    def _answers(self) -> bool:
        try:
            return bool(self.connection.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End it without a chance to write anything."""
        self._signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def end(self) -> None:
        """End it if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def pause(self) -> None:
        """Have it answer nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it answer again."""
        self._signal(signal.SIGCONT)

    def forget(self) -> None:
        """Remove its data from the disk."""
        shutil.rmtree(self.folder)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Have it answer nothing meanwhile."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def memory(self) -> int:
        """Return the bytes that its data takes."""
        information = self.connection.info("memory")
        assert isinstance(information, dict)
        return int(information["used_memory"])


@dataclass
class Host:
    """A machine with a worker: its processes, its own cache, its own folder for temporary files."""

    processes: Processes
    folder: Path
    url: str
    key: ClusterKey
    slots: int = 1
    changes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    worker: subprocess.Popen[bytes] | None = None

    @property
    def _log(self) -> Path:
        # Beside the folder, whose disk may be full.
        return self.folder.with_name(f"{self.folder.name}.log")

    def start(self) -> None:
        """Start the worker."""
        for name in ("cache", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        environment = self.processes.environment(
            **injected(*self.changes),
            **{HOST: self.name, "OPPCLOUD_REDIS_URL": self.url, "OPPCLOUD_KEY": self.key.to_text()},
            TMPDIR=str(self.folder / "tmp"),
        )
        command = [sys.executable, "-m", "oppcloud_worker", "--slots", str(self.slots), *self.options]
        with self._log.open("ab") as log:
            self.worker = subprocess.Popen(
                [*command, "--cache", str(self.folder / "cache")], env=environment, stderr=log, stdin=subprocess.DEVNULL
            )

    def log(self) -> str:
        """Return what the worker has said."""
        return self._log.read_text(errors="replace")

    def all_processes(self) -> list[psutil.Process]:
        """Return what runs there."""
        return self.processes.running(**{HOST: self.name})

    def slot_processes(self) -> list[psutil.Process]:
        """Return the slots of its worker."""
        return [process for process in self.all_processes() if is_running(process, _SLOT)]

    def _signal(self, number: signal.Signals) -> None:
        # Its supervisor first: it would react to what becomes of the others.
        for process in self.all_processes():
            send(process, number)

    def lose_power(self) -> None:
        """End all that runs there at once."""
        self.freeze()
        self._signal(signal.SIGKILL)
        if self.worker is not None:
            self.worker.wait()

    def freeze(self) -> None:
        """Stop the time there."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have the time go on."""
        self._signal(signal.SIGCONT)

    def end(self, seconds: float = 15) -> int | None:
        """Tell the worker to end, as an operator does; return its exit code, None if it had to be killed."""
        assert self.worker is not None
        self.thaw()
        self.worker.terminate()
        try:
            return self.worker.wait(seconds)
        except subprocess.TimeoutExpired:
            self.lose_power()
            return None
