"""The guardian: a small process that starts simulations, one at a time, and ends them with all their descendants.

It runs as a script of its own (`python -I -S -E guardian.py`), knows nothing of this package, and imports little so
that it starts fast: that is why it is one file. Its standard input is a socket to the process that uses it; when that
end closes, for whatever reason, everything that still runs is killed and the guardian exits. It obeys nothing but this
socket.

A message is four bytes of length and a marshalled value (faster to import than json, and bytes stay bytes; both ends
run the same interpreter). Towards the guardian: a job (see `Supervisor.serve`), sent together with the two file
descriptors that become its standard output and error, or `"stop"`. Back: one end per job.

Why no descendant escapes: on Linux the guardian is a child subreaper, so whatever loses its parent becomes its child,
also after setsid; it is done only when it has no children left. Elsewhere every descendant is recognised by its
parent, by its process group, or by a mark in its environment, as `ps` shows them.
"""

# No pathlib: it is slow to import.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import contextlib
import errno
import marshal
import os
import resource
import select
import signal
import socket
import sys
import time

TYPE_CHECKING = False  # importing typing would take as long as the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Name of the environment variable that marks the processes of one job.
MARK = "OPPCLOUD_RUN_MARK"
#: Seconds during which killed processes are waited for; one that hangs in the kernel for longer is reported.
PATIENCE = 3.0
#: The kernel's preferred victim when memory runs short is the simulation, not the worker beside it.
_OOM_SCORE = b"500"
_LINUX = sys.platform == "linux"
#: What prctl(2) is asked for (linux/prctl.h).
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
#: Of root's rights: to read everything, to load modules, raw devices, to trace others, to administrate, to reboot, to
#: look in by way of performance counters, kernel programs and checkpoints.
_CAPABILITIES = (2, 16, 17, 19, 21, 22, 38, 39, 40)
#: Seconds between two looks at what a whole tree uses.
_LOOK = 0.25
#: Seconds that are waited for in one go: the system counts them as milliseconds in 32 bits.
LONGEST_WAIT = 3600.0
#: What a terminal, a shell or a service manager may send to us; only the pipe counts.
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE)


class ControlClosed(Exception):  # noqa: N818  # an event, not an error
    """The process that uses this guardian is gone."""


def _load_prctl() -> Callable[[int, int, int, int, int], int]:
    """Return prctl(2); loaded before any fork, so that a child finds it ready."""
    if not _LINUX:
        return lambda *_: -1
    import ctypes  # noqa: PLC0415  # elsewhere it would only cost time

    function: Callable[[int, int, int, int, int], int] = ctypes.CDLL(None).prctl
    return function


_prctl = _load_prctl()


class Control:
    """The socket to the process that uses this guardian."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""
        self._descriptors: list[int] = []

    def fileno(self) -> int:
        """Return the descriptor, for poll."""
        return self._connection.fileno()

    def receive(self) -> list[tuple[object, list[int]]]:
        """Wait for data; return the messages that are complete now, each with the descriptors that came so far."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._connection, 65536, 2)
        except ConnectionError:
            data, descriptors = b"", []
        if not data:
            raise ControlClosed
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._descriptors += descriptors
        self._buffer += data
        messages = []
        while len(self._buffer) >= 4 and len(self._buffer) >= 4 + (size := int.from_bytes(self._buffer[:4], "big")):
            messages.append((marshal.loads(self._buffer[4 : 4 + size]), self._descriptors))  # noqa: S302  # our own
            self._buffer = self._buffer[4 + size :]
            self._descriptors = []
        return messages

    def send(self, message: dict[str, object]) -> None:
        """Send one message."""
        try:
            self._connection.sendall(pack(message))
        except OSError:
            raise ControlClosed from None


def pack(message: dict[str, object] | str) -> bytes:
    """Return `message` as it travels."""
    data = marshal.dumps(message)
    return len(data).to_bytes(4, "big") + data


class Job:
    """One simulation while it runs."""

    def __init__(self, order: dict[str, Any], descriptors: list[int]) -> None:
        self.order = order
        self.stdout, self.stderr = descriptors
        self.mark: str = order["mark"]
        self.pid = 0
        self.status: int | None = None
        self.cpu = 0.0
        self.peak = 0
        #: Why we ended it: "", "stop", "timeout", or the limit of the tree that was passed.
        self.ended_by = ""
        #: Process groups that are known to belong to it; only where ps is used.
        self.groups: set[int] = set()
        #: Descendants that had to be killed, the program itself left out.
        self.killed: set[int] = set()

    def start(self) -> dict[str, object] | None:
        """Start the program; return None, or what kept it from starting."""
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._become_the_program(writer)
        os.close(writer)
        os.close(self.stdout)
        os.close(self.stderr)
        self.groups.add(self.pid)
        with os.fdopen(reader, "rb") as stream:
            trouble = stream.read()
        return marshal.loads(trouble) if trouble else None  # noqa: S302  # written a few lines below

    def _become_the_program(self, writer: int) -> None:
        """In the child: set everything up and execute the program; report through `writer` what fails."""
        phase = "prepare"
        try:
            os.setsid()
            if _LINUX:
                score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
                os.write(score, _OOM_SCORE)
                os.close(score)
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(self.stdout, 1)
            os.dup2(self.stderr, 2)
            # Ignored signals and the mask would be inherited across exec.
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            for number in (*_IGNORED, signal.SIGCHLD, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            phase = "limit"
            self._set_limits()
            if self.order["confined"] and _LINUX:
                _confine()
            if self.order["account"] is not None:
                _become(*self.order["account"])
            if _LINUX:
                # Late, as whoever becomes another user loses it.
                _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            phase = "directory"
            os.chdir(self.order["directory"])
            phase = "program"
            command = self.order["command"]
            os.execvpe(  # noqa: S606  # a list of words, no shell
                command[0], command, {**self.order["environment"], os.fsencode(MARK): os.fsencode(self.mark)}
            )
        except OSError as error:
            trouble = {"phase": phase, "errno": error.errno, "text": os.strerror(error.errno or 0)}
            os.write(writer, marshal.dumps(trouble))
        except Exception as error:  # noqa: BLE001  # whatever it is, the child must not run on as a second guardian
            os.write(writer, marshal.dumps({"phase": phase, "errno": 0, "text": repr(error)}))
        finally:
            os._exit(127)

    def _set_limits(self) -> None:
        limits = self.order["limits"]
        _limit(resource.RLIMIT_CORE, 0, 0)
        if limits["cpu_time"]:
            # At the soft limit SIGXCPU, for those who ignore it SIGKILL two seconds later.
            _limit(resource.RLIMIT_CPU, limits["cpu_time"], limits["cpu_time"] + 2)
        if limits["file_size"]:
            _limit(resource.RLIMIT_FSIZE, limits["file_size"], limits["file_size"])
        if limits["memory"]:
            try:
                _limit(resource.RLIMIT_AS, limits["memory"], limits["memory"])
            except (OSError, ValueError):
                # macOS knows the limit but refuses most values; there the machine's own memory is the limit.
                if _LINUX:
                    raise

    def reap(self) -> bool:
        """Collect the children that have ended; return whether there are any left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self.cpu += usage.ru_utime + usage.ru_stime
            self.peak = max(self.peak, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
            if pid == self.pid:
                self.status = status

    def signal_group(self, number: int) -> None:
        """Send a signal to the process group that the program started with."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def _confine() -> None:
    """Give up what no simulation needs: more rights through a program, and as root those to look into others."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.geteuid() == 0:
        for capability in _CAPABILITIES:
            _prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def _become(uid: int, gid: int, groups: list[int]) -> None:
    """Become another user for good."""
    os.setgroups(groups)
    os.setgid(gid)
    os.setuid(uid)


def _limit(kind: int, soft: int, hard: int) -> None:
    """Set a limit, but never above the one that holds for the guardian itself."""
    _, highest = resource.getrlimit(kind)
    if highest != resource.RLIM_INFINITY:
        soft, hard = min(soft, highest), min(hard, highest)
    resource.setrlimit(kind, (soft, hard))


class Supervisor:
    """Serves one job after the other."""

    def __init__(self, control: Control, *, use_ps: bool) -> None:
        self._control = control
        #: Whether descendants are looked for with ps, for want of a subreaper.
        self._use_ps = use_ps
        self._wake, wake_writer = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake_writer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)

    def serve(self) -> None:
        """Serve until the other end closes.

        A job is an object with `command`, `directory`, `environment`, `limits` (cpu_time, memory, file_size,
        processes, tree_memory), `confined`, `account` (user id, group id and groups to start it with, or None),
        `timeout` (seconds or 0), `grace` (seconds between SIGTERM and SIGKILL) and `mark`; words, names and values are
        bytes, the mark is text.
        """
        while True:
            for message, descriptors in self._control.receive():
                # A stop that comes when the job has just ended finds nothing to stop.
                if isinstance(message, dict):
                    self._control.send(self._run(Job(message, descriptors)))

    def _run(self, job: Job) -> dict[str, object]:
        oom_before = _oom_kills()
        begin = time.monotonic()
        trouble = job.start()
        try:
            if trouble is None:
                self._watch(job, begin)
        except ControlClosed:
            self._end_the_rest(job)
            raise
        wall = time.monotonic() - begin
        left = self._end_the_rest(job)
        return {
            "trouble": trouble,
            "exit_code": None if trouble or job.status is None else os.waitstatus_to_exitcode(job.status),
            "ended_by": job.ended_by,
            "out_of_memory": _oom_kills() > oom_before,
            "wall_time": wall,
            "cpu_time": job.cpu,
            "peak_memory": job.peak,
            "descendants_ended": len(job.killed - {job.pid}),
            "descendants_left": left,
        }

    def _watch(self, job: Job, begin: float) -> None:
        """Wait until the program has ended, end it when asked to or when its time is up."""
        deadline = begin + job.order["timeout"] if job.order["timeout"] else None
        limits = job.order["limits"]
        bounded = not self._use_ps and bool(limits["processes"] or limits["tree_memory"])
        while job.reap() and job.status is None:
            now = time.monotonic()
            passed = _passed(limits) if bounded and now >= begin + _LOOK else ""
            if passed:
                # At once and without a warning: what grows without bounds would use the time to grow.
                job.ended_by = job.ended_by or passed
                self._end_the_rest(job)
                return
            if deadline is not None and now >= deadline:
                if job.ended_by:
                    self._end_the_rest(job)
                    return
                job.ended_by = "timeout"
                deadline = now + job.order["grace"]
                job.signal_group(signal.SIGTERM)
                job.signal_group(signal.SIGCONT)
            patience = None if deadline is None else max(0.0, deadline - now) * 1000 + 1
            if patience is not None:
                patience = min(patience, LONGEST_WAIT * 1000)
            if bounded:
                patience = _LOOK * 1000 if patience is None else min(patience, _LOOK * 1000)
            if self._wait(patience) and not job.ended_by:
                job.ended_by = "stop"
                deadline = time.monotonic() + job.order["grace"]
                job.signal_group(signal.SIGTERM)
                job.signal_group(signal.SIGCONT)

    def _wait(self, milliseconds: float | None) -> bool:
        """Wait for a child, a message or the time; return whether we are asked to stop the job."""
        stop = False
        for descriptor, _ in self._poll.poll(milliseconds):
            if descriptor == self._wake:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake, 4096)
            else:
                stop = any(message == "stop" for message, _ in self._control.receive())
        return stop

    def _end_the_rest(self, job: Job) -> int:
        """Kill what is left of the job; return how many would not die."""
        deadline = time.monotonic() + PATIENCE
        pause = 0.001
        while True:
            children = job.reap()
            if not children and not self._use_ps:
                return 0
            alive = self._descendants(job)
            if not alive and not children:
                return 0
            # Stop first and kill afterwards: a process that forks faster than we look is caught in one go.
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for pid in alive:
                    _kill(pid, number)
            job.killed |= alive
            if time.monotonic() > deadline:
                return len(alive)
            if self._use_ps or alive == self._descendants(job):
                self._poll_children(pause)
                pause = min(pause * 2, 0.05)

    def _poll_children(self, seconds: float) -> None:
        """Wait for the next child to end, at most `seconds`."""
        if select.select([self._wake], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 4096)

    def _descendants(self, job: Job) -> set[int]:
        return by_ps(job.mark, job.groups) if self._use_ps else _by_proc()


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _by_proc() -> set[int]:
    """Return all descendants of this process that still run, as /proc tells; zombies are none."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    # The name of the program stands in parentheses and may hold anything.
                    state, parent = file.read().rpartition(b")")[2].split()[:2]
            except OSError as error:
                if error.errno not in {errno.ENOENT, errno.ESRCH}:
                    raise
                continue
            if state not in {b"Z", b"X"}:
                parents[int(name)] = int(parent)
    return _below(parents, {os.getpid()})


def _passed(limits: dict[str, int]) -> str:
    """Return which limit of the whole tree is passed, "" for none."""
    tree = _by_children()
    if limits["processes"] and len(tree) > limits["processes"]:
        return "processes"
    if limits["tree_memory"] and sum(map(_own_memory, tree)) > limits["tree_memory"]:
        return "tree_memory"
    return ""


def _by_children() -> set[int]:
    """Return all descendants of this process, as they tell of their children: cheaper than to look at all there are."""
    found: set[int] = set()
    new = [os.getpid()]
    while new:
        pid = new.pop()
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                    children = set(map(int, file.read().split())) - found
                found |= children
                new += children
        except OSError:
            if not new and not found:
                # A kernel that does not tell.
                return _by_proc()
    return found


def _own_memory(pid: int) -> int:
    """Return the bytes of memory that a process shares with nobody, 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            _, resident, shared = map(int, file.read().split()[:3])
    except OSError:
        return 0
    return (resident - shared) * resource.getpagesize()


def by_ps(mark: str, groups: set[int]) -> set[int]:
    """Return all processes of a job as ps tells them: by mark, process group or parent; add to `groups`."""
    import subprocess  # noqa: PLC0415  # slow to import, and needed where there is no subreaper only

    # Both show the environment after the command, for the user's own processes.
    options = ["axeww"] if _LINUX else ["-axwwE"]
    output = subprocess.run(
        ["ps", *options, "-o", "pid=,ppid=,pgid=,stat=,command="],  # noqa: S607  # wherever the system has it
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    ).stdout
    parents: dict[int, int] = {}
    found: set[int] = set()
    sign = f"{MARK}={mark}".encode()
    for line in output.splitlines():
        words = line.split(None, 4)
        if len(words) < 4 or words[3].startswith(b"Z"):
            continue
        pid, parent, group = map(int, words[:3])
        parents[pid] = parent
        if pid != os.getpid() and (group in groups or (len(words) == 5 and sign in words[4])):
            found.add(pid)
            # What has a group of its own may have children that lost their mark.
            groups.add(group)
    return found | _below(parents, found)


def by_environment(mark: str) -> set[int]:
    """Return all processes that bear the mark in their environment, as Linux's /proc tells."""
    sign = f"{MARK}={mark}".encode()
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if sign in file.read().split(b"\0"):
                        found.add(int(name))
            except OSError:
                # Gone, or another user's.
                continue
    return found


def end_marked(mark: str) -> None:
    """Kill all that bears the mark: for the near side, when the guardian itself was killed."""
    deadline = time.monotonic() + PATIENCE
    while alive := by_environment(mark) if _LINUX else by_ps(mark, set()):
        for pid in alive:
            _kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(0.005)


def _below(parents: dict[int, int], roots: set[int]) -> set[int]:
    """Return what descends from `roots`, given the parent of each process."""
    known = set(roots)
    found: set[int] = set()
    while new := {pid for pid, parent in parents.items() if parent in known and pid not in known}:
        known |= new
        found |= new
    return found


def _oom_kills() -> int:
    """Return how many processes of our cgroup the kernel has killed for want of memory, as far as it tells."""
    if not _LINUX:
        return 0
    try:
        with open("/proc/self/cgroup") as file:
            group = next((line.rstrip("\n")[3:] for line in file if line.startswith("0::")), None)
        with open(f"/sys/fs/cgroup{group}/memory.events") as file:
            counts = dict(line.split() for line in file)
        return int(counts.get("oom_kill", 0))
    except (OSError, ValueError):
        return 0


def main() -> None:
    """Serve the socket on standard input until it closes."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    control = Control(socket.socket(fileno=os.dup(0)))
    subreaper = "--ps" not in sys.argv and _LINUX and _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    with contextlib.suppress(ControlClosed):
        Supervisor(control, use_ps=not subreaper).serve()


if __name__ == "__main__":
    main()
