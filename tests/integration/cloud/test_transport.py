"""TLS and access rules: whole campaigns under the documented rules, and what is refused."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
import trustme
from oppcloud_worker.address import redis_url
from oppcloud_worker.messages import Cause, RunRequest
from oppcloud_worker.remote.connection import connect

from pytest_oppcloud.cloud.embedded import find_server

from .conftest import KEY, Server, eventually

if TYPE_CHECKING:
    from .conftest import Client, Processes, Project, Workers

Script = Callable[..., RunRequest]
WaitFor = Callable[[Callable[[], object], float, str], None]

RULES = Path(__file__).parents[3] / "docs" / "reference" / "security.md"
CLIENT, WORKER, ADMIN = "client-PaSs-1", "worker-PaSs-2", "admin-PaSs-3"


def rules() -> str:
    """Return the documented rules with passwords."""
    match = re.search(r"```\n(user default off\n.*?)```", RULES.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    return match[1].replace("CLIENT-PASSWORD", CLIENT).replace("WORKER-PASSWORD", WORKER)


def free_port() -> int:
    """Return a port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class TlsServer(Server):
    """A Redis that speaks TLS only, with the documented users."""

    port: int = 0
    authority: trustme.CA = field(default_factory=trustme.CA)

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def address(self, user: str, password: str, host: str = "127.0.0.1") -> str:
        return f"rediss://{user}:{password}@{host}:{self.port}/0"

    @property
    def url(self) -> str:
        return f"{self.address('oppcloud-client', CLIENT)}?ssl_ca_certs={self.ca}"

    @property
    def worker_url(self) -> str:
        """The worker is told the CA by OPPCLOUD_REDIS_CA."""
        return self.address("oppcloud-worker", WORKER)

    @property
    def connection(self) -> redis.Redis:
        """A connection that may do everything."""
        return connect(f"{self.address('admin', ADMIN)}?ssl_ca_certs={self.ca}")

    def start(self) -> None:
        self.authority.cert_pem.write_to_path(self.ca)
        certificate = self.authority.issue_cert("127.0.0.1", "redis.oppcloud.example")
        certificate.private_key_pem.write_to_path(self.folder / "server.key")
        certificate.cert_chain_pems[0].write_to_path(self.folder / "server.pem")
        users = self.folder / "users.acl"
        users.write_text(f"{rules()}user admin on >{ADMIN} ~* &* +@all\n", encoding="ascii")
        # A port that is free now may be somebody else's when the server begins.
        for _ in range(5):
            self._start_at(free_port(), users)
            if not self._ended():
                return
        why = (self.folder / "log").read_text(errors="replace")[-300:]
        pytest.skip(f"this Redis cannot do TLS (Debian's package redis-server can): {why}")

    def _start_at(self, port: int, users: Path) -> None:
        self.port = port
        arguments = {
            "port": 0, "tls-port": self.port, "bind": "127.0.0.1", "tls-auth-clients": "no",
            "tls-cert-file": self.folder / "server.pem", "tls-key-file": self.folder / "server.key",
            "tls-ca-cert-file": self.ca, "aclfile": users, "save": "", "dir": self.folder,
        }  # fmt: skip
        words = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen([find_server().path, *words], stdout=log, stderr=log)
        eventually(lambda: self._ended() or self._answers(), 60, "Redis answers")

    def _ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def denials(self) -> list[tuple[str, str, str]]:
        """Return what the rules refused: user, reason, and the command or key."""
        entries = self.connection.acl_log()
        return [(str(entry["username"]), str(entry["reason"]), str(entry["object"])) for entry in entries]


@pytest.fixture
def server(processes: Processes) -> Iterator[TlsServer]:  # noqa: ARG001  # those it starts are marked
    with tempfile.TemporaryDirectory(prefix="opp-test-", dir="/tmp") as folder:
        server = TlsServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(autouse=True)
def _authority(server: TlsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPPCLOUD_REDIS_CA", str(server.ca))


def test_a_campaign_with_faults_needs_no_more_than_the_documented_rules(
    make_client: Callable[..., Client],
    workers: Workers,
    processes: Processes,
    server: TlsServer,
    script: Script,
    tmp_path: Path,
    wait_for: WaitFor,
) -> None:
    client = make_client()
    worker = workers.start()
    assert client.run(script("echo first", name="first")).stdout == "first\n"

    # A slot dies, and its supervisor hands the run back.
    log = tmp_path / "log"
    request = script(f"echo started >> {log}; test $(wc -l < {log}) -gt 1 || sleep 60; echo survived", name="second")
    client.submit(request)
    wait_for(log.exists, 60, "the simulation runs")
    (slot,) = processes.running("oppcloud_worker.remote.slot")
    os.kill(slot, signal.SIGKILL)
    assert client.executor.result(request).stdout == "survived\n"

    # A worker is told to end, and another takes over.
    again = tmp_path / "again"
    request = script(f"echo started >> {again}; test $(wc -l < {again}) -gt 1 || sleep 60; echo moved", name="third")
    client.submit(request)
    wait_for(again.exists, 60, "the simulation runs")
    worker.terminate()
    worker.wait(60)
    workers.start()
    assert client.executor.result(request).stdout == "moved\n"

    # A session ends while something runs.
    client.submit(script(f"touch {tmp_path}/last; sleep 60", name="fourth"), script("echo never", name="fifth"))
    wait_for((tmp_path / "last").exists, 60, "the simulation runs")
    client.dispatcher.finish()
    wait_for(lambda: not processes.running("sleep"), 30, "the simulation is stopped")
    workers.end()
    assert server.denials() == []
    assert not list(server.connection.scan_iter(f"oppcloud:{client.session}:*"))


def test_pytest_runs_simulations_under_the_documented_rules(
    project: Project, workers: Workers, server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write('[Config Good]\n**.value = ${1, 2}\n[Config Crash]\n**.behaviour = "crash x"\n')
    project.record()
    workers.start(slots=2)
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", server.address("oppcloud-client", CLIENT))
    monkeypatch.setenv("OPPCLOUD_KEY", KEY.to_text())

    junit = project.pytester.path / "junit.xml"
    run = project.run("--oppcloud", f"--junitxml={junit}", "-rA")
    run.assert_outcomes(passed=3, failed=1)
    assert server.denials() == []
    # The password is nowhere to be seen, the CA and the user are nobody's secret.
    workers.end()
    for text in (run.stdout.str(), run.stderr.str(), junit.read_text()):
        assert CLIENT not in text
        assert WORKER not in text
        assert KEY.secret.hex() not in text


#: What somebody would try who has the password of a client or a worker.
FORBIDDEN = (
    "FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET *", "CONFIG SET dir /tmp", "ACL LIST", "ACL SETUSER x on",
    "SHUTDOWN", "EVAL return{redis.call('FLUSHALL')} 0", "EVAL return{redis.call('GET','other')} 0",
    "SAVE", "BGSAVE", "REPLICAOF NO ONE", "MODULE LIST", "MONITOR", "SCRIPT FLUSH",
    "GET other", "SET other x", "LPUSH other x", "PUBLISH other x", "SUBSCRIBE other", "CLIENT KILL x", "SCAN 0",
)  # fmt: skip


@pytest.mark.parametrize(("user", "password"), [("oppcloud-client", CLIENT), ("oppcloud-worker", WORKER)])
def test_nothing_else_is_allowed(server: TlsServer, user: str, password: str) -> None:
    connection = connect(f"{server.address(user, password)}?ssl_ca_certs={server.ca}", retries=0)

    for command in FORBIDDEN:
        with pytest.raises(redis.ResponseError, match=r"permission|user executing the script can't"):
            connection.execute_command(*command.split())  # type: ignore[no-untyped-call]  # redis-py's


def test_a_server_that_cannot_show_who_it_is_gets_no_password(server: TlsServer, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    address = server.address("oppcloud-client", CLIENT)
    wrong_name = server.address("oppcloud-client", CLIENT, host="localhost")
    for url in (address, f"{address}?ssl_ca_certs={other}", f"{wrong_name}?ssl_ca_certs={server.ca}"):
        with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
            connect(url, retries=0).ping()
    assert server.denials() == []


def test_others_do_not_get_in(server: TlsServer) -> None:
    plain = f"redis://oppcloud-client:{CLIENT}@127.0.0.1:{server.port}/0"
    with pytest.raises(redis.RedisError):
        connect(plain, retries=0).ping()
    for url in (
        server.address("oppcloud-client", "wrong"),
        server.address("nobody", CLIENT),
        f"rediss://127.0.0.1:{server.port}/0",
    ):
        with pytest.raises((redis.AuthenticationError, redis.exceptions.NoPermissionError)):
            connect(f"{url}?ssl_ca_certs={server.ca}", retries=0).ping()


def test_the_connection_is_of_a_present_day_version(server: TlsServer) -> None:
    context = ssl.create_default_context(cafile=str(server.ca))
    with (
        socket.create_connection(("127.0.0.1", server.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        assert secured.version() in {"TLSv1.2", "TLSv1.3"}


def test_a_wrong_password_is_an_error_that_does_not_show_it(
    server: TlsServer, workers: Workers, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = server.address("oppcloud-client", "wr0ng-PaSs")
    worker = workers.start(OPPCLOUD_REDIS_URL=wrong)
    _, said = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert b"oppcloud-client:***@127.0.0.1" in said
    assert b"wr0ng-PaSs" not in said

    project.write("[Config One]\n")
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", wrong)
    monkeypatch.setenv("OPPCLOUD_KEY", KEY.to_text())
    run = project.run("--oppcloud", "omnetpp.ini")
    run.assert_outcomes(errors=2)
    assert "wr0ng-PaSs" not in run.stdout.str() + run.stderr.str()


def test_the_authority_comes_from_the_environment(server: TlsServer) -> None:
    url = redis_url({"OPPCLOUD_REDIS_URL": server.worker_url, "OPPCLOUD_REDIS_CA": str(server.ca)})

    assert url is not None
    assert connect(url).ping()


def test_no_command_line_holds_a_secret(
    make_client: Callable[..., Client], workers: Workers, processes: Processes, script: Script
) -> None:
    workers.start()
    outcome = make_client().run(script("cat /proc/[0-9]*/cmdline | tr '\\0' ' '; ps axww -o command"))

    assert outcome.cause is not Cause.REQUEST_DAMAGED
    assert "oppcloud_worker" in outcome.stdout
    for secret in (CLIENT, WORKER, KEY.secret.hex()):
        assert secret not in outcome.stdout
    assert processes.running("oppcloud_worker.remote.slot")
