"""The near side of the guardian: start one, have it run a job, collect the output, know how the job ended.

Standard library only. A guardian costs some 30 ms to start and then serves any number of jobs, one at a time;
`guardian()` lends one out of a pool, so that each thread that runs simulations has its own.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import marshal
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import guardian as far_side
from .confinement import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .account import Account
    from .messages import Limits

#: Seconds between SIGTERM and SIGKILL: OMNeT++ needs a moment to call finish() and write its files.
GRACE = 1.5
#: Seconds within which everything must be gone after a timeout or a stop; then the guardian itself is given up.
LAST_RESORT = GRACE + far_side.PATIENCE + 3.0
_READ = 256 * 1024
#: Bytes that a pipe holds where the system allows it: a model that prints much waits less for us.
_PIPE_SIZE = 256 * 1024
_F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", None)


class GuardianLostError(Exception):
    """The guardian died or did not answer: the job's fate is unknown, its processes have been killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run."""

    command: tuple[str, ...]
    #: Absolute.
    directory: Path
    #: All of its environment.
    environment: Mapping[str, str]
    limits: Limits
    #: Whether it gets no more rights than it begins with, and none to look into processes of others (Linux only).
    confined: bool = False
    #: Whom it runs as; None: as ourselves.
    account: Account | None = None

    def order(self, mark: str) -> dict[str, object]:
        """Return the job as the guardian takes it."""
        limits = self.limits
        return {
            "command": [os.fsencode(word) for word in self.command],
            "directory": os.fsencode(self.directory),
            "environment": {os.fsencode(name): os.fsencode(value) for name, value in self.environment.items()},
            "limits": {
                "cpu_time": limits.cpu_time,
                "memory": limits.memory,
                "file_size": limits.file_size,
                "processes": limits.processes,
                "tree_memory": limits.tree_memory,
            },
            "confined": self.confined,
            "account": None
            if self.account is None
            else [self.account.uid, self.account.gid, list(self.account.groups)],
            "timeout": limits.timeout,
            "grace": GRACE,
            "mark": mark,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What kept the program from starting."""

    #: "directory", "limit", "program" or "prepare".
    phase: str
    errno: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEnd:
    """How a process ended."""

    #: Why it never started, or None.
    trouble: Trouble | None
    #: Exit code, negative for a signal; None if it never started or would not die.
    exit_code: int | None
    #: Why we ended it: "", "timeout", "stop", "processes" or "tree_memory".
    ended_by: str
    #: The kernel killed a process of our cgroup for want of memory meanwhile.
    out_of_memory: bool
    #: Seconds; CPU time of the whole tree.
    wall_time: float
    cpu_time: float
    #: Bytes, of the largest process.
    peak_memory: int
    #: Descendants that were still alive at the end and were killed, and those that would not die.
    descendants_ended: int
    descendants_left: int


class Stop:
    """A switch that ends running simulations; may be thrown from any thread and from a signal handler.

    One switch may serve any number of jobs, also later ones: they end at once while it is thrown.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self._finalizer = weakref.finalize(self, _close_all, self._reader, self._writer)
        self._thrown = False

    def set(self) -> None:
        """Throw the switch."""
        if not self._thrown:
            self._thrown = True
            os.write(self._writer, b"!")

    def is_set(self) -> bool:
        """Tell whether the switch has been thrown."""
        return self._thrown

    def fileno(self) -> int:
        """Return a descriptor that is readable once the switch is thrown; nobody may read from it."""
        return self._reader


def _close_all(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


#: Also those that run a job: a fork must let go of every one.
_all_guardians: weakref.WeakSet[Guardian] = weakref.WeakSet()


class Guardian:
    """One guardian process and the socket to it."""

    def __init__(self, *, use_ps: bool = False) -> None:
        """Start the process; `use_ps` has it find descendants as on systems without subreapers."""
        self._socket, far = socket.socketpair()
        with far:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-E", far_side.__file__, *(["--ps"] if use_ps else [])],
                stdin=far.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # What it watches may look into it; a job brings an environment of its own.
                env=without_secrets(os.environ),
                cwd="/",
                start_new_session=True,
            )
        self._owner = os.getpid()
        _all_guardians.add(self)

    @property
    def pid(self) -> int:
        """Return the process id of the guardian."""
        return int(self._process.pid)

    @property
    def usable(self) -> bool:
        """Tell whether it is alive, and this process's own."""
        return self._owner == os.getpid() and self._socket.fileno() >= 0 and self._process.poll() is None

    def run(
        self,
        program: Program,
        *,
        on_stdout: Callable[[bytes], None],
        on_stderr: Callable[[bytes], None],
        stop: Stop | None = None,
    ) -> ProcessEnd:
        """Run a program to its end, handing its output on as it comes.

        Raises `GuardianLostError`. Whatever else is raised meanwhile (KeyboardInterrupt above all), the guardian is
        closed and everything it watched is killed before the exception goes on.
        """
        mark = f"{os.getpid()}-{os.urandom(8).hex()}"
        try:
            with contextlib.ExitStack() as stack:
                stdout, far_stdout = _pipe(stack)
                stderr, far_stderr = _pipe(stack)
                try:
                    self._send(far_side.pack(program.order(mark)), [far_stdout, far_stderr])
                finally:
                    os.close(far_stdout)
                    os.close(far_stderr)
                consumers = {stdout: on_stdout, stderr: on_stderr}
                end = self._attend(consumers, program.limits.timeout, stop)
                # No process is left that could write: what is in the pipes now is all there will be.
                for descriptor, consumer in consumers.items():
                    with contextlib.suppress(BlockingIOError):
                        while _pass_on(descriptor, consumer):
                            pass
                return end
        except GuardianLostError:
            self.close()
            far_side.end_marked(mark)
            raise
        except BaseException:
            self.close()
            raise

    def _send(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        try:
            sent = socket.send_fds(self._socket, [data], list(descriptors)) if descriptors else 0
            self._socket.sendall(data[sent:])
        except OSError as error:
            raise GuardianLostError(f"the guardian of the simulations is gone: {error}") from error

    def _attend(self, consumers: dict[int, Callable[[bytes], None]], timeout: float, stop: Stop | None) -> ProcessEnd:
        """Pass output on until the guardian tells the end."""
        answer = b""
        deadline = time.monotonic() + timeout + LAST_RESORT if timeout else None
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            for descriptor in consumers:
                selector.register(descriptor, selectors.EVENT_READ)
            if stop is not None:
                selector.register(stop, selectors.EVENT_READ)
            while not _complete(answer):
                patience = None if deadline is None else deadline - time.monotonic()
                if patience is not None and patience <= 0:
                    raise GuardianLostError("the guardian of the simulations does not answer")
                for key, _ in selector.select(patience and min(patience, far_side.LONGEST_WAIT)):
                    if key.fileobj is self._socket:
                        answer += self._receive()
                    elif key.fileobj is stop:
                        selector.unregister(key.fileobj)
                        deadline = time.monotonic() + LAST_RESORT
                        self._send(far_side.pack("stop"))
                    else:
                        with contextlib.suppress(BlockingIOError):
                            if not _pass_on(key.fd, consumers[key.fd]):
                                selector.unregister(key.fd)
        return _process_end(answer[4:])

    def _receive(self) -> bytes:
        try:
            data = self._socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise GuardianLostError("the guardian of the simulations died")
        return data

    def close(self) -> None:
        """End everything it watches and the guardian itself; may be called twice."""
        self._socket.close()
        if self._owner != os.getpid():
            # A fork of its owner: not our child, and none of our business.
            self._process.returncode = 0
            return
        try:
            self._process.wait(LAST_RESORT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _complete(answer: bytes) -> bool:
    """Tell whether a message is complete."""
    return len(answer) >= 4 and len(answer) >= 4 + int.from_bytes(answer[:4], "big")


def _pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
    """Return a pipe whose reading end does not block and is closed by `stack`."""
    reader, writer = os.pipe()
    stack.callback(os.close, reader)
    os.set_blocking(reader, False)
    if _F_SETPIPE_SZ is not None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(reader, _F_SETPIPE_SZ, _PIPE_SIZE)
    return reader, writer


def _pass_on(descriptor: int, consumer: Callable[[bytes], None]) -> bool:
    """Pass on what can be read now; return False at the end of the stream."""
    data = os.read(descriptor, _READ)
    if data:
        consumer(data)
    return bool(data)


def _process_end(data: bytes) -> ProcessEnd:
    values = marshal.loads(data)  # noqa: S302  # our own guardian wrote it
    trouble = values.pop("trouble")
    return ProcessEnd(trouble=None if trouble is None else Trouble(**trouble), **values)


class _Pool:
    """Guardians that wait for a job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Guardian] = []

    def take(self) -> Guardian:
        with self._lock:
            while self._idle:
                candidate = self._idle.pop()
                if candidate.usable:
                    return candidate
                candidate.close()
        return Guardian()

    def give_back(self, used: Guardian) -> None:
        with self._lock:
            self._idle.append(used)

    def close(self) -> None:
        """End all of them; a later `take` starts anew."""
        with self._lock:
            idle, self._idle = self._idle, []
        for waiting in idle:
            waiting.close()

    def forget_in_fork(self) -> None:
        """In the child of a fork: let go of the parent's guardians, or they would outlive the parent."""
        self._lock = threading.Lock()
        self._idle = []
        for inherited in list(_all_guardians):
            inherited.close()


_pool = _Pool()
atexit.register(_pool.close)
os.register_at_fork(after_in_child=_pool.forget_in_fork)


@contextlib.contextmanager
def guardian() -> Iterator[Guardian]:
    """Lend a guardian from the pool."""
    lent = _pool.take()
    try:
        yield lent
    finally:
        if lent.usable:
            _pool.give_back(lent)
        else:
            lent.close()
