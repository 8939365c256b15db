"""The way to the queue: head started, tunnel opened, and the server's certificate checked."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import redis

from pytest_oppcloud.cloud.aws import Aws, AwsError
from pytest_oppcloud.cloud.fleet import Demand
from pytest_oppcloud.cloud.stack import access, control, credentials, deploy, names, status, tunnel
from pytest_oppcloud.cloud.stack.claim import Claim, Terms
from pytest_oppcloud.cloud.stack.clock import RealClock
from pytest_oppcloud.cloud.stack.cluster import find
from pytest_oppcloud.cloud.stack.tunnel import Tunnel

from .conftest import REGION, allowed_to_clients, gone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_oppcloud.cloud.stack.cluster import Cluster


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Start something that says hello to those who connect."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    script = (
        "import socket, sys\n"
        "listener = socket.socket(fileno=int(sys.argv[1]))\n"
        "while True:\n"
        "    connection, _ = listener.accept()\n"
        "    connection.sendall(b'hello')\n"
        "    connection.close()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(listener.fileno())], pass_fds=[listener.fileno()])
    listener.close()
    monkeypatch.setenv("FORWARD_TO", f"127.0.0.1:{port}")
    yield port
    process.kill()
    process.wait()


def hello(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        return connection.recv(100)


@pytest.mark.usefixtures("echo")
class TestTunnel:
    def test_leads_to_the_other_end(self, aws: Aws, plugin: Any) -> None:
        way = Tunnel(aws, "i-0123456789abcdef0", 6380, RealClock())
        port = way.open()
        assert hello(port) == b"hello"
        (start,) = plugin.starts()
        assert start["asked"]["Target"] == "i-0123456789abcdef0"
        assert start["asked"]["DocumentName"] == "AWS-StartPortForwardingSession"
        assert start["asked"]["Parameters"] == {"portNumber": ["6380"], "localPortNumber": [str(port)]}
        way.close()
        assert gone(start["pid"])

    def test_the_token_is_in_no_command_line(self, aws: Aws, plugin: Any) -> None:
        way = Tunnel(aws, "i-0123456789abcdef0", 6380, RealClock())
        way.open()
        (start,) = plugin.starts()
        assert start["session"]["TokenValue"].startswith("token of")
        assert "token" not in json.dumps(start["argv"])
        way.close()

    def test_opens_again_on_the_same_port(self, aws: Aws, plugin: Any) -> None:
        way = Tunnel(aws, "i-0123456789abcdef0", 6380, RealClock())
        port = way.open()
        way.keep()
        assert len(plugin.starts()) == 1
        os.kill(plugin.starts()[0]["pid"], signal.SIGKILL)
        assert way._process is not None
        way._process.wait(60)
        way.keep()
        assert way.port == port
        assert hello(port) == b"hello"
        assert len(plugin.starts()) == 2
        way.close()

    def test_goes_when_we_are_killed(self, amazon: str, plugin: Any) -> None:
        script = (
            "import os, signal\n"
            "from pytest_oppcloud.cloud.aws import connect\n"
            "from pytest_oppcloud.cloud.stack.clock import RealClock\n"
            "from pytest_oppcloud.cloud.stack.tunnel import Tunnel\n"
            "Tunnel(connect(), 'i-0123456789abcdef0', 6380, RealClock()).open()\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        del amazon
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
        (start,) = plugin.starts()
        assert gone(start["pid"])

    def test_tells_what_the_plugin_said(self, aws: Aws, plugin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PLUGIN_FAILS", "1")
        with pytest.raises(AwsError, match="TargetNotReady: the agent sleeps"):
            Tunnel(aws, "i-0123456789abcdef0", 6380, RealClock()).open()
        assert len(plugin.starts()) == 3

    def test_tells_where_the_plugin_comes_from(self, aws: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(AwsError) as caught:
            Tunnel(aws, "i-0123456789abcdef0", 6380, RealClock()).open()
        assert tunnel.WHERE in str(caught.value)
        assert "--client-cidr auto" in str(caught.value)


@pytest.mark.usefixtures("same_secrets", "plugin")
def test_a_stopped_cluster_is_started_and_reached(
    aws: Aws, cluster: Cluster, queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARD_TO", f"127.0.0.1:{queue.port}")
    assert control.stop_if_unwanted(aws, cluster, time.time())
    said: list[str] = []
    with access.opened(aws, cluster, RealClock(), said.append) as way:
        assert said == [f"starting the queue's instance {cluster.head} (it is stopped)"]
        (head,) = aws.instances.tagged(names.TAG, "default")
        assert head.state == "running"
        assert way.key.to_text() == queue.secrets["shared/key"]
        with redis.Redis.from_url(way.url) as connection:
            assert connection.ping()
        assert queue.secrets["client/password"] not in repr(way)
        authority = way.authority
    assert not authority.exists()


@pytest.mark.usefixtures("same_secrets", "plugin")
def test_the_policy_for_clients_allows_all_that_a_session_asks_for(
    amazon: str, queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moto answers to everybody; so what is asked is held against what the policy names."""
    monkeypatch.setenv("FORWARD_TO", f"127.0.0.1:{queue.port}")
    asked: set[str] = set()
    session = boto3.session.Session(region_name=REGION)
    session.events.register(
        "before-call", lambda model, **_: asked.add(f"{model.service_model.service_name}:{model.name}")
    )
    aws, clock = Aws(REGION, lambda service: session.client(service, endpoint_url=amazon)), RealClock()
    found = find(aws, "default")
    terms = Terms(holder="night", prices=deploy.present_prices(aws, found.worker_types))
    control.stop_if_unwanted(aws, found, clock.now())
    one = Claim(aws, found, terms, clock)
    one.begin()
    with access.opened(aws, found, clock, lambda _: None):
        one.step(Demand(runs=1000))
        idle = frozenset(one.id for one in aws.instances.tagged(names.TAG, "default") if one.id != found.head)
        one.step(Demand(runs=1, waiting=0, idle=idle))
    one.leave(Demand(runs=1), clock.now() + 3600)
    again = Claim(aws, found, terms, clock)
    again.begin()
    status.look(aws, found, clock.now())
    again.end()
    # What the log, the files and the end of a session take is asked for elsewhere.
    other = {"ssm:ResumeSession", "logs:FilterLogEvents", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"}
    asked = {"s3:ListBucket" if name == "s3:ListObjectsV2" else name for name in asked}
    assert asked | other | {"s3:AbortMultipartUpload"} == allowed_to_clients()


@pytest.mark.usefixtures("plugin")
def test_whoever_is_not_the_queue_is_not_talked_to(
    aws: Aws, cluster: Cluster, queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue on this machine has other secrets than the cluster."""
    monkeypatch.setenv("FORWARD_TO", f"127.0.0.1:{queue.port}")
    with (
        pytest.raises(AwsError, match="a certificate that is not its own"),
        access.opened(aws, cluster, RealClock(), lambda _: None),
    ):
        pytest.fail("it was talked to")


def test_missing_secrets_are_told(aws: Aws, cluster: Cluster) -> None:
    aws.parameters.delete([credentials.path("default", credentials.CLIENT_PASSWORD)])
    with pytest.raises(AwsError, match="/oppcloud/default/client/password"):
        access.secrets(aws, cluster)


def test_a_terminated_head_is_told(aws: Aws, cluster: Cluster, amazon: str) -> None:
    boto3.client("ec2", endpoint_url=amazon).terminate_instances(InstanceIds=[cluster.head])
    with (
        pytest.raises(AwsError, match=f"{cluster.head} was terminated"),
        access.opened(aws, cluster, RealClock(), lambda _: None),
    ):
        pytest.fail("there is no queue")
