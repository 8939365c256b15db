"""The compose file as a campaign server: `docker compose` where it is, else podman-compose."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from oppcloud_worker.signing import ClusterKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.image.conftest import Containers, StartCampaign

ROOT = Path(__file__).parents[2]
PROJECT = "oppcloud-test"
#: As `openssl rand -hex 24` makes them.
KEY = ClusterKey.generate().to_text()
PASSWORD = "0123456789abcdef" * 3


@dataclass(frozen=True, kw_only=True)
class Compose:
    """The compose file of this repository, in a project of the test's own."""

    command: list[str]
    #: What stands in .env.
    variables: dict[str, str] = field(default_factory=dict)

    def call(self, *arguments: str, without: str = "") -> subprocess.CompletedProcess[str]:
        settings = {name: value for name, value in self.variables.items() if name != without}
        environment = {name: value for name, value in os.environ.items() if name not in self.variables}
        return subprocess.run(
            [*self.command, "--file", str(ROOT / "docker-compose.yaml"), "--project-name", PROJECT, *arguments],
            env={**environment, **settings},
            capture_output=True,
            text=True,
            check=False,
        )

    def ok(self, *arguments: str) -> str:
        done = self.call(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _command(containers: Containers) -> list[str]:
    if containers.call("compose", "version", check=False).returncode == 0 and containers.name == "docker":
        return [containers.path, "compose"]
    packaged = Path(sys.executable).with_name("podman-compose")
    found = str(packaged) if packaged.exists() else shutil.which("podman-compose")
    if containers.name != "podman" or found is None:
        pytest.skip("neither `docker compose` nor podman-compose")
    return [found]


@pytest.fixture(scope="session")
def redis_image(containers: Containers, plain_base: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build a Redis of Debian's packages, in place of the official image, with the same user and folder."""
    name = "localhost/oppcloud-test-redis:1"
    folder = tmp_path_factory.mktemp("redis")
    (folder / "Dockerfile").write_text(
        f"FROM {plain_base}\n"
        "RUN apt-get update && apt-get install --yes --no-install-recommends redis-server"
        " && install --directory --owner=redis --group=redis /data && rm -rf /var/lib/apt/lists/*\n"
        "WORKDIR /data\n"
    )
    containers.call("build", "--tag", name, str(folder))
    return name


@pytest.fixture(scope="session")
def built(containers: Containers, plain_base: str, redis_image: str) -> Compose:
    """Build the images as the compose file says, under names of the tests' own."""
    found = Compose(
        command=_command(containers),
        variables={
            "REDIS_PASSWORD": PASSWORD,
            "OPPCLOUD_KEY": KEY,
            "REDIS_IMAGE": redis_image,
            "WORKER_IMAGE": "localhost/oppcloud-test-compose-worker:1",
            "DASHBOARD_IMAGE": "localhost/oppcloud-test-compose-dashboard:1",
            "BASE_IMAGE": plain_base,
            "REDIS_PUBLISH": f"127.0.0.1:{_free_port()}",
            "DASHBOARD_PUBLISH": f"127.0.0.1:{_free_port()}",
            "WORKER_MEMORY": "1g",
            "BUILDAH_FORMAT": "docker",
        },
    )
    found.ok("--profile", "dashboard", "build")
    return found


@pytest.fixture
def compose(containers: Containers, built: Compose) -> Iterator[Compose]:
    """Give the project, nothing of it running; nothing of it is left afterwards."""
    yield built
    built.call("--profile", "dashboard", "down", "--volumes")
    ours = f"label=com.docker.compose.project={PROJECT}"
    # podman-compose leaves what was scaled.
    for name in containers.call("ps", "--all", "--quiet", "--filter", ours).stdout.split():
        containers.call("rm", "--force", "--volumes", name, check=False)


@pytest.mark.parametrize("secret", ["REDIS_PASSWORD", "OPPCLOUD_KEY"])
def test_without_its_secrets_nothing_starts(compose: Compose, secret: str) -> None:
    done = compose.call("up", "--detach", without=secret)

    assert done.returncode != 0
    assert "is not set; the first lines of docker-compose.yaml tell how" in done.stdout + done.stderr


def test_three_workers_run_a_campaign(
    compose: Compose, containers: Containers, start_campaign: StartCampaign, eventually: Callable[..., None]
) -> None:
    compose.ok("up", "--detach", "--scale", "worker=3")
    url = f"redis://:{PASSWORD}@{compose.variables['REDIS_PUBLISH']}/0"
    with redis.Redis.from_url(url) as connection:
        eventually(lambda: connection.scard("oppcloud:slots:oppcloud") == 3)

    results = start_campaign("--opp-program=engine", url=url, key=KEY).results()

    hosts = {properties["host"] for properties in results.values()}
    assert len(results) > 10
    assert len(hosts) == 3
    assert socket.gethostname() not in hosts
    # Published to this machine, and to those who know the password.
    host, port = compose.variables["REDIS_PUBLISH"].split(":")
    with redis.Redis(host=host, port=int(port)) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    lines = containers.call("ps", "--filter", f"label=com.docker.compose.project={PROJECT}", "--format", "{{.Command}}")
    assert PASSWORD not in lines.stdout


def test_queue_survives_a_restart(compose: Compose, eventually: Callable[..., None]) -> None:
    compose.ok("up", "--detach", "redis")
    url = f"redis://:{PASSWORD}@{compose.variables['REDIS_PUBLISH']}/0"
    with redis.Redis.from_url(url) as connection:
        eventually(lambda: _pings(connection))
        connection.set("kept", "yes")
    compose.ok("down")

    compose.ok("up", "--detach", "redis")

    with redis.Redis.from_url(url) as connection:
        eventually(lambda: _pings(connection))
        assert connection.get("kept") == b"yes"
        assert connection.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"


def _pings(connection: redis.Redis) -> bool:
    try:
        return bool(connection.ping())
    except (redis.ConnectionError, redis.BusyLoadingError):
        return False


def test_dashboard_shows_the_queue(compose: Compose, eventually: Callable[..., None]) -> None:
    compose.ok("--profile", "dashboard", "up", "--detach", "--scale", "worker=1")
    address = f"http://{compose.variables['DASHBOARD_PUBLISH']}/0/data/workers.json"

    def shows_the_worker() -> bool:
        try:
            with urllib.request.urlopen(address) as answer:
                return b"oppcloud" in answer.read()
        except OSError:
            return False

    eventually(shows_the_worker)
