"""A worker: several slots in one process tree, each a process of its own.

The pool starts the slots, starts a new one in place of one that died, and hands back the run that died with it, at
once. It ends with its slots when it is told to, when it has been idle for long enough, or when nothing works.

Redis is imported late, when the slots are at work: they are what people wait for.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oppcloud_worker import machine
from oppcloud_worker.address import redacted
from oppcloud_worker.health import SCRATCH_PREFIX
from oppcloud_worker.messages import Cause, RunOutcome
from oppcloud_worker.settings import SIGNS_VARIABLE, SlotSettings
from oppcloud_worker.ticket import Ticket
from oppcloud_worker.wire import encode

from .channel import GRACE

if TYPE_CHECKING:
    from oppcloud_worker.messages import Limits
    from oppcloud_worker.signing import ClusterKey

_log = logging.getLogger("oppcloud_worker")

#: Slots that fail one after the other before the pool gives up, and seconds without one that works, if any ever did:
#: longer than a network is usually cut, or a server restarted.
_FAILURES = 3
_PATIENCE = 180.0
#: Seconds before a slot is started in place of one that came to nothing, doubled with each failure up to the last.
_PAUSE, _LONGEST_PAUSE = 0.5, 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """What a worker is told to be."""

    #: With password and CA file.
    url: str
    key: ClusterKey | None
    queue: str
    slots: int
    #: Folder for unpacked content, and its limit in bytes.
    cache: str
    cache_limit: int
    #: What no run may exceed, whatever it asks for.
    bounds: Limits
    #: Bytes of memory that all its runs together may use.
    memory: int
    #: Name of the user that simulations run as, "" for the worker's own.
    account: str = ""
    #: Seconds without a run after which the worker ends; 0: never.
    max_idle_time: float = 0.0
    #: Whether the worker ends when its standard input closes.
    until_stdin_closes: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class _Slot:
    """A slot as the pool sees it."""

    name: str
    process: subprocess.Popen[bytes]
    buffer: bytes = b""
    ready: bool = False
    #: The run that it is busy with.
    ticket: Ticket | None = None


@dataclass(slots=True, kw_only=True)
class Pool:
    """The slots of one worker."""

    settings: PoolSettings
    name: str = field(default_factory=lambda: f"{machine.name()}-{os.getpid()}-{os.urandom(3).hex()}")
    _slots: list[_Slot] = field(default_factory=list)
    _started: int = 0
    _failures: int = 0
    #: When a slot was last at work (monotonic): a queue that could be reached once may come back.
    _last_ready: float = -math.inf
    #: Why the pool ends: None as long as it does not, "" for no reason to complain.
    _ending: str | None = None
    #: When slots are to be started in place of those that ended (monotonic).
    _due: list[float] = field(default_factory=list)
    #: Whether all slots were ready once.
    _serving: bool = False
    _last_work: float = field(default_factory=time.monotonic)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self) -> int:
        """Serve until told to end; return the exit code of the worker."""
        scratch = tempfile.mkdtemp(prefix=SCRATCH_PREFIX)
        if self.settings.account:
            # To be entered, but not looked around in.
            os.chmod(scratch, 0o711)  # noqa: PTH101, S103
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._selector.register(reader, selectors.EVENT_READ, lambda: reader.recv(4096))
        if self.settings.until_stdin_closes:
            self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ, self._on_stdin)
        try:
            for _ in range(self.settings.slots):
                self._start(scratch)
            while self._ending is None:
                self._turn(scratch)
            return 1 if self._ending else 0
        finally:
            self._end_slots()
            shutil.rmtree(scratch, ignore_errors=True)
            if self._ending:
                _log.error("%s", self._ending)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._ending = ""

    def _on_stdin(self) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            self._ending = ""

    def _turn(self, scratch: str) -> None:
        """Wait for something to happen, and do what follows from it."""
        now = time.monotonic()
        for _ in [due for due in self._due if due <= now]:
            self._start(scratch)
        self._due = [due for due in self._due if due > now]
        for key, _ in self._selector.select(self._patience()):
            if isinstance(key.data, _Slot):
                self._read(key.data)
            else:
                key.data()
        limit = self.settings.max_idle_time
        if limit and self._idle() and time.monotonic() - self._last_work >= limit:
            _log.warning("idle for %g seconds, ending", limit)
            self._ending = ""

    def _idle(self) -> bool:
        # A slot that is still starting, or is going to, is busy with that.
        return not self._due and all(slot.ready and slot.ticket is None for slot in self._slots)

    def _patience(self) -> float | None:
        """Return the seconds until there is something to do though nothing happens; None for never."""
        moments = list(self._due)
        if self.settings.max_idle_time and self._idle():
            moments.append(self._last_work + self.settings.max_idle_time)
        return max(0.0, min(moments) - time.monotonic()) + 0.01 if moments else None

    def _start(self, scratch: str) -> None:
        """Start another slot."""
        self._started += 1
        settings = SlotSettings(
            name=f"{self.name}-{self._started}",
            worker=self.name,
            url=self.settings.url,
            key="" if self.settings.key is None else self.settings.key.to_text(),
            queue=self.settings.queue,
            cache=self.settings.cache,
            cache_limit=self.settings.cache_limit,
            scratch=scratch,
            bounds=self.settings.bounds,
            account=self.settings.account,
            image=os.environ.get(machine.IMAGE_VARIABLE, ""),
            system=machine.system(),
            omnetpp=machine.omnetpp(),
            memory=self.settings.memory,
            work_signs=os.environ.get(SIGNS_VARIABLE, ""),
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "oppcloud_worker.remote.slot"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Not where somebody keeps a module that is called like one of Python's.
            cwd=scratch,
            # Ctrl-C at a terminal is the pool's to handle.
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101  # a pipe, see above
        assert process.stdout is not None  # noqa: S101  # a pipe, too
        slot = _Slot(name=settings.name, process=process)
        self._slots.append(slot)
        self._selector.register(process.stdout, selectors.EVENT_READ, slot)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(encode(settings)).encode() + b"\n")
            process.stdin.flush()

    def _read(self, slot: _Slot) -> None:
        """Hear what a slot tells; when it has ended, start another in its place."""
        if not self._hear(slot):
            self._bury(slot)
            if self._failures >= _FAILURES and time.monotonic() - self._last_ready > _PATIENCE:
                self._ending = self._ending or f"{self._failures} slots failed one after the other, giving up"
            elif self._ending is None:
                self._due.append(time.monotonic() + self._pause())

    def _pause(self) -> float:
        """Return the seconds to wait before another slot is started: none in place of one that had worked."""
        # All slots fail for the same reason. Where none ever worked, the pool gives up before it needs patience.
        rounds = self._failures // self.settings.slots
        if not rounds or self._last_ready == -math.inf:
            return 0.0
        return min(_PAUSE * 2.0 ** (rounds - 1), _LONGEST_PAUSE)

    def _hear(self, slot: _Slot) -> bool:
        """Take in what a slot has written; return False at its end."""
        assert slot.process.stdout is not None  # noqa: S101  # a pipe, see `_start`
        data = os.read(slot.process.stdout.fileno(), 65536)
        *lines, slot.buffer = (slot.buffer + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "ticket" in message:
                slot.ticket = None if message["ticket"] is None else Ticket.from_json(message["ticket"])
                self._last_work = time.monotonic()
            elif "ready" in message:
                slot.ready, self._failures = True, 0
                self._say_that_it_serves()
                self._last_work = self._last_ready = time.monotonic()
                # Now that the slots are at work there is time for what handing back a run will need.
                from . import rescue  # noqa: F401, PLC0415
            else:
                _log.error("slot %s: %s", slot.name, message.get("failed", message))
        return bool(data)

    def _say_that_it_serves(self) -> None:
        """Log, once, that all slots are there."""
        if not self._serving and all(slot.ready for slot in self._slots):
            self._serving = True
            settings = self.settings
            slots = f"{settings.slots} slot{'' if settings.slots == 1 else 's'}"
            _log.info("serving the queue %r at %s with %s", settings.queue, redacted(settings.url), slots)

    def _bury(self, slot: _Slot) -> None:
        """Clear away a slot that has ended, and hand back the run that it was busy with."""
        assert slot.process.stdout is not None  # noqa: S101  # a pipe, see `_start`
        self._selector.unregister(slot.process.stdout)
        self._slots.remove(slot)
        code = slot.process.wait()
        _close(slot)
        if slot.ready:
            self._last_ready = time.monotonic()
        else:
            self._failures += 1
        if code == 0 and slot.ticket is None:
            return
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        # At the end, a slot that takes too long is killed, which is nobody's concern unless a run was in it.
        level = logging.INFO if self._ending == "" and slot.ticket is None else logging.WARNING
        busy = f", busy with {slot.ticket.job_id}" if slot.ticket else ""
        _log.log(level, "slot %s was %s%s", slot.name, how, busy)
        if slot.ready:
            self._hand_back(slot, f"its worker slot {slot.name} was {how}")

    def _hand_back(self, slot: _Slot, why: str) -> None:
        from redis import RedisError  # noqa: PLC0415  # late, see above

        from . import presence, rescue, runs  # noqa: PLC0415  # late, as redis
        from .connection import connect  # noqa: PLC0415  # late, as redis

        try:
            connection = connect(self.settings.url)
            pipeline = connection.pipeline()
            presence.withdraw(pipeline, self.settings.queue, slot.name)
            pipeline.execute()
            if slot.ticket is not None:
                outcome = RunOutcome(cause=Cause.WORKER_LOST, message=why, host=machine.name())
                runs.settle(connection, slot.ticket, outcome, key=self.settings.key, slot=slot.name)
            # What it had taken and not yet told.
            rescue.hand_back_of(connection, self.settings.queue, slot.name, why, key=self.settings.key)
            connection.close()
        except RedisError as error:
            # Whoever wants the outcome notices when the slot's lease ends.
            _log.warning("slot %s: cannot hand back its run: %s", slot.name, error)

    def _end_slots(self) -> None:
        """Tell all slots to end, wait for them, kill those that take too long."""
        for slot in self._slots:
            slot.process.terminate()
        deadline = time.monotonic() + GRACE
        while self._slots and (left := deadline - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                if isinstance(key.data, _Slot) and not self._hear(key.data):
                    self._bury(key.data)
        for slot in list(self._slots):
            slot.process.kill()
            while self._hear(slot):
                pass
            self._bury(slot)


def _close(slot: _Slot) -> None:
    for stream in (slot.process.stdin, slot.process.stdout):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
