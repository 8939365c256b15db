"""Amazon without Amazon: a moto server as a process of its own, asked by the real boto3."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import types
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import psutil
import pytest
import redis
import yaml
from faultkit.ports import free_port

from pytest_oppcloud.cloud.aws import Aws
from pytest_oppcloud.cloud.stack import credentials, deploy, names, template
from pytest_oppcloud.cloud.stack.cluster import Cluster, find
from pytest_oppcloud.cloud.stack.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REGION = "eu-central-1"
#: What the one worker on this machine takes its instance to be called.
INSTANCE = "i-0123456789abcdef0"
#: Set by `make image-test`: the image that workers run in, and what runs it.
WORKER_IMAGE, CONTAINER_ENGINE = "OPPCLOUD_TEST_WORKER_IMAGE", "OPPCLOUD_TEST_CONTAINER_ENGINE"


@dataclass
class FakeClock:
    """A clock that stands still but for sleeping."""

    time: float = 1_800_000_000.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def amazon_url() -> Iterator[str]:
    """Start the server; return its address."""
    script = Path(__file__).with_name("server.py")
    process = subprocess.Popen(
        [sys.executable, "-I", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin is not None
    assert process.stdout is not None
    yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.stdin.close()
    process.stdout.close()
    process.wait(30)


@pytest.fixture
def amazon(amazon_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Empty the account, and let every AWS client of this test use it; return the server's address."""
    request = urllib.request.Request(f"{amazon_url}/moto-api/reset", method="POST")  # noqa: S310  # our own server
    with urllib.request.urlopen(request) as answer:  # noqa: S310  # a server of ours
        assert answer.status == 200
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": amazon_url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "OPPCLOUD_STACK"):
        monkeypatch.delenv(name, raising=False)
    return amazon_url


@pytest.fixture(scope="session")
def shared_aws(amazon_url: str) -> Aws:
    """Return our client; making boto3's clients takes longer than most of the tests."""
    session = boto3.session.Session("testing", "testing", region_name=REGION)
    return Aws(REGION, lambda service: session.client(service, endpoint_url=amazon_url))


@pytest.fixture
def aws(amazon: str, shared_aws: Aws) -> Aws:
    """Return our client in the empty account."""
    del amazon
    return shared_aws


@pytest.fixture
def cluster(aws: Aws, clock: FakeClock) -> Cluster:
    """Make a cluster called "default"."""
    executor = deploy.LiveExecutor(aws, "default", clock, lambda _: None)
    deploy.run(aws, Options(), executor, lambda _: True)
    return find(aws, "default")


def tls_server() -> str | None:
    """Return a Redis server that speaks TLS, or None; those from the package index do not."""
    candidates = (os.environ.get("OPPCLOUD_TEST_TLS_SERVER"), *map(shutil.which, ("valkey-server", "redis-server")))
    for server in filter(None, candidates):
        # With no certificate at all it ends at once, either way; only what it says differs.
        tried = subprocess.run(
            [server, "--port", "0", "--tls-port", "1", "--dir", "/"], capture_output=True, text=True, check=False
        )
        if "Failed finding TLS support" not in tried.stdout + tried.stderr:
            return server
    return None


def _container(task: str) -> dict[str, Any]:
    """Return the one container of a task of the template."""
    resources = yaml.load(template.text(), _Loader)["Resources"]  # noqa: S506  # a safe loader
    found: dict[str, Any] = resources[task]["Properties"]["ContainerDefinitions"][0]
    return found


def allowed_to_clients() -> set[str]:
    """Return the actions that the stack's policy for clients allows."""
    described = yaml.load(template.text(), _Loader)["Resources"]["ClientPolicy"]["Properties"]  # noqa: S506  # a safe loader
    statements = described["PolicyDocument"]["Statement"]
    actions = (statement["Action"] for statement in statements)
    return {action for some in actions for action in ([some] if isinstance(some, str) else some)}


class _Loader(yaml.SafeLoader):
    """Reads a template and forgets its functions."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, node: str(node.value))


@dataclass(frozen=True)
class Queue:
    """The queue of a cluster, as its task starts it, on this machine."""

    port: int
    secrets: Mapping[str, str]
    folder: Path
    start: Callable[[], None]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    def url(self, user: str = "client", password: str | None = None) -> str:
        given = self.secrets[f"{user}/password"] if password is None else password
        return f"rediss://{user}:{given}@127.0.0.1:{self.port}/0?ssl_ca_certs={self.authority}"


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as connection:
            return bool(connection.ping())
    except redis.ConnectionError:
        return False


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    """Start the queue with the very command of the template."""
    server = tls_server()
    if server is None:
        pytest.skip("no valkey-server or redis-server with TLS (apt-get install redis-server)")
    described = _container("Queue")
    secrets = credentials.make("default", credentials.ALL)
    for folder in ("bin", "run", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bin" / "redis-server").symlink_to(server)
    (tmp_path / "ca.pem").write_text(secrets[credentials.AUTHORITY])
    port = free_port()
    environment = {variable["Name"]: variable["Value"] for variable in described["Environment"]}
    environment |= {
        secret["Name"]: secrets[secret["ValueFrom"].partition("/oppcloud/${Name}/")[2]]
        for secret in described["Secrets"]
    }
    environment |= {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "RUN_DIR": str(tmp_path / "run"),
        "DATA_DIR": str(tmp_path / "data"),
        "PORT": str(port),
        "MEMORY": "100mb",
    }
    log = (tmp_path / "queue.log").open("ab")

    def start() -> None:
        command = [*described["EntryPoint"], *described["Command"]]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        made.processes.append(process)
        deadline = time.monotonic() + 60
        while not _answers(made.url()):
            assert process.poll() is None, (tmp_path / "queue.log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "queue.log").read_text()
            time.sleep(0.05)

    made = Queue(port=port, secrets=secrets, folder=tmp_path, start=start)
    try:
        start()
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.wait()
        log.close()


@dataclass(frozen=True)
class Plugin:
    """The stand-in for session-manager-plugin."""

    log: Path

    def starts(self) -> list[dict[str, Any]]:
        """Return what it was called with, each time."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    """Put a stand-in for session-manager-plugin on the PATH."""
    folder = tmp_path / "plugin"
    folder.mkdir()
    program = folder / "session-manager-plugin"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I {Path(__file__).with_name("plugin.py")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PLUGIN_LOG", str(folder / "log"))
    return Plugin(log=folder / "log")


def gone(pid: int) -> bool:
    """Tell whether a process has ended, or does so soon."""
    deadline = time.monotonic() + 60
    while _alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _alive(pid: int) -> bool:
    try:
        # A zombie is gone for all that matters: its new parent is not ours to wait for.
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def same_secrets(aws: Aws, cluster: Cluster, queue: Queue) -> None:
    """Let the queue on this machine be the one of the cluster."""
    for secret, value in queue.secrets.items():
        aws.parameters.write(credentials.path(cluster.name, secret), value, tags={}, secret=True)


@dataclass(frozen=True)
class Worker:
    """A worker as its task starts it, on this machine."""

    process: subprocess.Popen[bytes]
    log: Path


def _in_a_container(engine: str, image: str, environment: Mapping[str, str], folder: Path) -> list[str]:
    """Return the beginning of the command that runs something in a container, as the task has it run."""
    return [
        *(engine, "run", "--rm", "--network=host", "--entrypoint="),
        *(["--no-healthcheck"] if Path(engine).name == "podman" else []),
        *(f"--user={_container('Worker')['User']}", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
        f"--volume={folder}:/etc/oppcloud:ro",
        # The values come from our environment: command lines can be read by everybody.
        *(f"--env={name}" for name in environment),
        image,
    ]


@pytest.fixture
def start_worker(queue: Queue, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Start a worker with the very command of the template, and wait until it serves the queue; once.

    With `bucket`, it leaves its signs there, as the template says.
    """
    described = _container("Worker")
    folder, told = tmp_path / "worker", tmp_path / "told"
    started: list[Worker] = []

    def start(bucket: str = "") -> Worker:
        for each in (folder, told):
            each.mkdir()
        (told / "instance").write_text(f"{INSTANCE}\n")
        # Amazon's services are moto's, and the task's role is the one user that it has.
        environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")} | {
            "QUEUE_ADDRESS": f"127.0.0.1:{queue.port}",
            "QUEUE_PASSWORD": queue.secrets[credentials.WORKER_PASSWORD],
            "QUEUE_CA": queue.secrets[credentials.AUTHORITY],
            "OPPCLOUD_KEY": queue.secrets[credentials.KEY],
        }
        if bucket:
            (signs,) = (v["Value"] for v in described["Environment"] if v["Name"] == "OPPCLOUD_WORK_SIGNS")
            environment["OPPCLOUD_WORK_SIGNS"] = signs.replace("${Bucket}", bucket).replace("${AWS::Region}", REGION)
        command = [*described["EntryPoint"], *described["Command"]]
        image = os.environ.get(WORKER_IMAGE)
        if image:
            here = {"RUN_DIR": "/tmp", "INSTANCE": "/etc/oppcloud/instance", "CACHE_DIR": "/var/cache/oppcloud"}  # noqa: S108  # as it stands in the script
            environment |= here
            command = [*_in_a_container(os.environ[CONTAINER_ENGINE], image, environment, told), *command]
            environment = dict(os.environ) | environment
        else:
            environment |= {
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
                "HOME": str(folder),
                "RUN_DIR": str(folder),
                "INSTANCE": str(told / "instance"),
                "CACHE_DIR": str(folder / "cache"),
            }
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        started.append(Worker(process=process, log=log))
        deadline = time.monotonic() + 60
        with redis.Redis.from_url(queue.url()) as connection:
            while not connection.smembers("oppcloud:slots:oppcloud"):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        return started[0]

    try:
        yield start
    finally:
        for worker in started:
            worker.process.terminate()
            worker.process.wait(60)


@pytest.fixture
def worker(start_worker: Callable[..., Worker]) -> Worker:
    """Return a worker that serves the queue."""
    return start_worker()


@dataclass(frozen=True)
class Timer:
    """The code of the stack's timer; to call it is what Amazon does every five minutes."""

    module: Any

    def __call__(self) -> str:
        return str(self.module.handler({}, None))


def timer_of_the_template() -> tuple[Timer, set[str]]:
    """Return the code of the timer, and the variables that the template gives it."""
    described = yaml.load(template.text(), _Loader)["Resources"]["Reaper"]["Properties"]  # noqa: S506  # a safe loader
    module = types.ModuleType("index")
    exec(described["Code"]["ZipFile"], module.__dict__)  # noqa: S102  # our own code
    return Timer(module), set(described["Environment"]["Variables"])


@pytest.fixture
def reaper(aws: Aws, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Timer:
    """Return the timer's function, taken out of the template, in the environment that the template gives it."""
    del aws
    values = {
        "LEASES": names.leases("default"),
        "LEASE_MINUTES": cluster.stack.parameters["LeaseMinutes"],
        "GROUP": cluster.group,
        "HEAD": cluster.head,
        "BUCKET": cluster.bucket,
        "MAX_INSTANCES": cluster.stack.parameters["MaxInstances"],
    }
    timer, variables = timer_of_the_template()
    assert variables == set(values)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return timer
