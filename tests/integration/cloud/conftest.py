"""A real Redis, real workers, and the proof that nothing is left of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from oppcloud_worker.messages import RunOutcome, RunRequest
from oppcloud_worker.remote import pending, presence
from oppcloud_worker.signing import ClusterKey
from oppcloud_worker.ticket import Ticket
from rq import Queue

from pytest_oppcloud.cloud.campaign import QueueAddress, Submission
from pytest_oppcloud.cloud.dispatcher import Dispatcher
from pytest_oppcloud.cloud.embedded import find_server
from pytest_oppcloud.cloud.executor import QueueExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Marks all processes that descend from a test, whatever session or group they moved to.
MARK = "OPPCLOUD_TEST_MARK"

#: Beginnings of variables that no test inherits.
FOREIGN = ("OPPCLOUD_", "PYTEST_ADDOPTS", "AWS_")

#: The cluster key of all tests.
KEY = ClusterKey.generate()
#: Found before a test changes the PATH.
PS = shutil.which("ps") or "ps"


def eventually(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until `condition` holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


@pytest.fixture
def wait_for() -> Callable[[Callable[[], object], float, str], None]:
    return eventually


@dataclass
class Processes:
    """The processes that a test started, directly or not."""

    mark: str
    #: Children that pytest had before, such as a server for the whole session: none of the test's.
    others: frozenset[int] = frozenset()

    def running(self, word: str = "") -> dict[int, str]:
        """Return pid and command of those that run and have `word` in their command line."""
        options = ["-axwwE"] if sys.platform == "darwin" else ["axeww"]
        output = subprocess.run(
            [PS, *options, "-o", "pid=,ppid=,stat=,command="],
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            env={"PATH": os.defpath},
        ).stdout
        found: dict[int, str] = {}
        me = os.getpid()
        ours = {me}
        # A parent may have a higher number than its child, so those whom it hides are looked for twice.
        for line in output.splitlines() * 2:
            pid, parent, stat, command = line.split(None, 3)
            marked = f"{MARK}={self.mark}" in command
            # Workers let nobody see their environment: they are known by whom they descend from.
            hidden = int(parent) in ours and " PATH=" not in command
            if (marked or hidden) and int(pid) not in {me, *self.others} and not stat.startswith("Z"):
                ours.add(int(pid))
                own = command.partition(" ")[0] + command.partition(" ")[2].partition(f"{MARK}=")[0]
                if word in own:
                    found[int(pid)] = own[:200]
        return found

    def kill(self, word: str) -> None:
        """Kill all that have `word` in their command line, as if at one moment: none sees another die."""
        pids = list(self.running(word))
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                os.kill(pid, number)

    def none_left(self, seconds: float = 30.0) -> None:
        """Fail if any still runs after `seconds`."""
        try:
            eventually(lambda: not self.running(), seconds, "all processes gone")
        except pytest.fail.Exception:
            pytest.fail(f"still running: {self.running()}")


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    """Mark all processes of the test; whatever it leaves is killed, and the test fails."""
    mark = uuid.uuid4().hex
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(MARK, mark)
    found = Processes(mark=mark, others=frozenset(Processes(mark=mark).running()))
    yield found
    # What a guardian watches ends a moment after the slot that was killed, and nobody waits for that.
    with contextlib.suppress(pytest.fail.Exception):
        found.none_left(10)
    left = found.running()
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left


@dataclass
class Server:
    """A Redis server on a unix socket."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/s"

    @property
    def worker_url(self) -> str:
        """The URL for workers, where it is another."""
        return self.url

    @property
    def connection(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        arguments = ["--port", "0", "--unixsocket", f"{self.folder}/s", "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen([find_server().path, *arguments], stdout=subprocess.DEVNULL)
        eventually(self._answers, 60, "Redis answers")

    def _answers(self) -> bool:
        try:
            return bool(self.connection.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(processes: Processes) -> Iterator[Server]:  # noqa: ARG001  # those it starts are marked
    """Start a server of the test's own; its path is short, as unix sockets want it."""
    with tempfile.TemporaryDirectory(prefix="opp-test-", dir="/tmp") as folder:
        server = Server(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def slip_in(server: Server, function: str, *arguments: object, serializer: str = "json", **options: Any) -> None:
    """Queue a job of any kind, as somebody does who can write to Redis."""
    connection, session = server.connection, uuid.uuid4().hex[:8]
    job = Queue("oppcloud", connection=connection, serializer=serializer).enqueue(
        function, *arguments, job_id=f"{session}-r1-1", **options
    )
    pipeline = connection.pipeline()
    ticket = Ticket(session=session, run="r1", queue="oppcloud", request=shell(""))
    assert ticket.job_id == job.id
    pending.offer(pipeline, "oppcloud", [ticket])
    pipeline.execute()


@dataclass
class Workers:
    """Workers of the test's server."""

    server: Server
    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *options: str, slots: int = 1, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker with the tests' key; `environment` is added to, or taken in place of, the usual variables."""
        command = [
            sys.executable,
            "-m",
            "oppcloud_worker",
            "--slots",
            str(slots),
            "--cache",
            str(self.folder / "cache"),
        ]
        environment = {
            **os.environ,
            "OPPCLOUD_REDIS_URL": self.server.worker_url,
            "OPPCLOUD_KEY": KEY.to_text(),
            **environment,
        }
        process = subprocess.Popen([*command, *options], env=environment, stderr=subprocess.PIPE, cwd=self.folder)
        self.started.append(process)
        return process

    def serve(self, *options: str, slots: int = 1, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker, as `start` does, and return when one serves: for sessions that do not wait for long."""
        process = self.start(*options, slots=slots, **environment)
        queue = options[options.index("--queue") + 1] if "--queue" in options else "oppcloud"
        eventually(lambda: presence.present(self.server.connection, queue), 60, "a worker serves")
        return process

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.terminate()
        for process in self.started:
            process.communicate(timeout=60)


@pytest.fixture
def workers(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """Start workers of the test's server; pytest, where the test starts it, has their key."""
    monkeypatch.setenv("OPPCLOUD_KEY", KEY.to_text())
    found = Workers(server, tmp_path)
    yield found
    found.end()


@dataclass
class Client:
    """A session without pytest around it."""

    server: Server
    patience: float = 30.0
    key: ClusterKey | None = KEY
    store: str = ""
    notices: list[str] = field(default_factory=list)
    dispatcher: Dispatcher = field(init=False)
    executor: QueueExecutor = field(init=False)

    def __post_init__(self) -> None:
        address = QueueAddress(
            url=self.server.url,
            queue="oppcloud",
            session=uuid.uuid4().hex[:12],
            patience=self.patience,
            key=self.key,
            store=self.store,
        )
        self.dispatcher = Dispatcher(address, owner=True)
        self.executor = QueueExecutor(description="", open_queue=lambda: self.dispatcher, notify=self.notices.append)
        self.dispatcher.start()

    @property
    def session(self) -> str:
        return self.dispatcher.address.session

    def submit(self, *requests: RunRequest) -> None:
        self.executor.submit([Submission(request=request, content=None) for request in requests])

    def run(self, request: RunRequest) -> RunOutcome:
        self.submit(request)
        return self.executor.result(request)


@pytest.fixture
def make_client(server: Server) -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def make(patience: float = 30.0, key: ClusterKey | None = KEY, store: str = "") -> Client:
        clients.append(Client(server, patience=patience, key=key, store=store))
        return clients[-1]

    yield make
    for client in clients:
        client.executor.close()
        client.dispatcher.finish()


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    return make_client()


def shell(script: str, name: str = "run", **changes: Any) -> RunRequest:
    """Return a request that runs a shell script."""
    values: dict[str, Any] = {
        "name": name,
        "program": ("/bin/sh", "-c", script, "sh"),
        "arguments": (),
        "directory": "/",
        "config": "General",
        "run_number": 0,
        "repetition": 0,
    }
    return RunRequest(**{**values, **changes})


@pytest.fixture
def script() -> Callable[..., RunRequest]:
    return shell


#: A model on the engine of the examples that behaves as its ini file says.
TINY = """
import os, signal, sys, time
sys.path.insert(0, {examples!r})
from engine import Parameter, SimpleModule, main

class Tiny(SimpleModule):
    parameters = (Parameter("behaviour", "string"), Parameter("value", "double", default="1"))

    def initialize(self):
        word, _, path = self.par("behaviour").partition(" ")
        if word == "touch":
            open(path, "w").close()
        elif word == "wait":
            open(path + ".started", "a").write("x")
            while not os.path.exists(path):
                time.sleep(0.02)
        elif word == "crash":
            open(path, "w").close()
            os.kill(os.getpid(), signal.SIGSEGV)
        elif word == "crash-after":
            while not os.path.exists(path):
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGSEGV)

    def handle_message(self, message):
        pass

    def finish(self):
        self.record_scalar("value", self.par("value"))

if __name__ == "__main__":
    raise SystemExit(main(Tiny))
"""

HEAD = """
[General]
network = Tiny
sim-time-limit = 1s
**.behaviour = "ok"
"""


@dataclass
class Project:
    """A folder with simulations, and pytest in it."""

    pytester: pytest.Pytester

    def write(self, ini: str) -> None:
        """Write the ini file; what stands there comes after a section that makes all runs pass."""
        (self.pytester.path / "omnetpp.ini").write_text(HEAD + ini)

    def run(self, *arguments: str) -> pytest.RunResult:
        return self.pytester.runpytest_subprocess(*arguments)

    def record(self) -> None:
        """Record the baselines of all runs, at the desk."""
        self.run("-q", "-p", "no:oppcloud", "--opp-update-baselines=all")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start pytest and return while it runs."""
        process: subprocess.Popen[bytes] = self.pytester.popen(
            [sys.executable, "-m", "pytest", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return process


@pytest.fixture
def project(processes: Processes, pytester: pytest.Pytester) -> Project:  # noqa: ARG001  # those it starts are marked
    examples = str(Path(__file__).parents[3] / "example_sims")
    (pytester.path / "tiny.py").write_text(TINY.format(examples=examples))
    (pytester.path / "oppcloud.toml").write_text(
        # pytester writes its own files here, and while they are being sent.
        'program = "{python} tiny.py"\n[files]\ninclude = ["tiny.py", "*.ini"]\n'
    )
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    return Project(pytester)
