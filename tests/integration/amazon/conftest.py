"""Amazon without Amazon: a moto server as a process of its own, asked by the real boto3."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from pytest_oppcloud.cloud.aws import Aws
from pytest_oppcloud.cloud.stack import deploy
from pytest_oppcloud.cloud.stack.cluster import Cluster, find
from pytest_oppcloud.cloud.stack.options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-central-1"


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
    with urllib.request.urlopen(request) as answer:  # noqa: S310
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
