"""The tools that people have for RQ show our queue: rq-dashboard and rq-exporter, really started."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oppcloud_worker.messages import RunRequest

    from .conftest import Client, Server, Workers

#: Where `make install` puts rq-exporter, and the version of RQ that it wants.
EXPORTER = Path(sys.prefix) / "exporter"
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "watch.md"

WaitFor = Callable[[Callable[[], object], float, str], None]
Serve = Callable[..., str]


@pytest.fixture
def serve(processes: object, wait_for: WaitFor) -> Iterator[Serve]:  # noqa: ARG001  # those it starts are marked
    """Start a tool that serves HTTP on the port it is given; return its address."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str, **variables: str) -> str:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        words = [sys.executable, "-m", *command, "--port", str(port)]
        environment = {**os.environ, **variables}
        started.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, cwd="/", env=environment))
        address = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            assert started[-1].poll() is None, f"{command[0]} has ended"
            try:
                return bool(read(address + "/"))
            except OSError:
                return False

        wait_for(answers, 30, f"{command[0]} answers")
        return address

    yield start
    for process in started:
        process.terminate()
        process.wait()


def read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310  # it is ours
        return str(answer.read().decode())


@pytest.fixture
def busy(
    client: Client, workers: Workers, script: Callable[..., RunRequest], tmp_path: Path, wait_for: WaitFor
) -> Iterator[Client]:
    """Give a session with one run at work and two that wait."""
    workers.start()
    for number in range(3):
        client.submit(
            script(f"touch {tmp_path}/begun; until test -e {tmp_path}/go; do sleep 0.1; done", f"run {number}")
        )
    wait_for((tmp_path / "begun").exists, 30, "a run begins")
    yield client
    (tmp_path / "go").touch()


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """Give the URL of a user who may do what docs/how-to/watch.md says; nothing more may have been tried in the end."""
    (rule,) = re.findall(r"^user oppcloud-watcher on >PASSWORD (.*)$", PAGE.read_text(), re.MULTILINE)
    server.connection.execute_command("ACL", "SETUSER", "watcher", "on", ">secret", *rule.split())  # type: ignore[no-untyped-call]  # redis-py's
    yield server.url.replace("unix://", "unix://watcher:secret@")
    # How a client calls itself is its own business; a Redis that does not let it is no trouble.
    tried = [str(entry["object"]) for entry in server.connection.acl_log()]
    assert [word for word in tried if not word.startswith("client")] == []


def test_rq_dashboard(busy: Client, url: str, serve: Serve) -> None:
    address = serve("rq_dashboard", "--json", "--disable-delete", "--redis-url", url)

    (queue,) = json.loads(read(f"{address}/0/data/queues.json"))["queues"]
    assert (queue["name"], queue["count"], queue["started_job_registry_count"]) == ("oppcloud", 2, 1)
    (worker,) = json.loads(read(f"{address}/0/data/workers.json"))["workers"]
    assert (worker["queues"], worker["state"]) == (["oppcloud"], "busy")
    (job,) = json.loads(read(f"{address}/0/data/jobs/oppcloud/started/10/asc/1.json"))["jobs"]
    assert (job["description"], job["id"].partition("-")[0]) == ("run 0", busy.session)
    jobs = json.loads(read(f"{address}/0/data/jobs/oppcloud/queued/10/asc/1.json"))["jobs"]
    assert [job["description"] for job in jobs] == ["run 1", "run 2"]
    details = json.loads(read(f"{address}/0/data/job/{jobs[0]['id']}.json"))
    assert (details["origin"], details["status"]) == ("oppcloud", "queued")


@pytest.mark.usefixtures("busy")
def test_rq_exporter(url: str, serve: Serve) -> None:
    if not EXPORTER.is_dir():
        pytest.skip(f"rq-exporter is not in {EXPORTER}: make install")
    address = serve("rq_exporter", "--host", "127.0.0.1", "--redis-url", url, PYTHONPATH=str(EXPORTER))
    numbers = figures(read(f"{address}/metrics"))

    jobs = {status: numbers["rq_jobs", "oppcloud", status] for status in ("queued", "started", "failed")}
    assert jobs == {"queued": 2, "started": 1, "failed": 0}
    # Each slot is a worker of RQ's.
    assert numbers["rq_workers", "oppcloud", "busy"] == 1


def figures(text: str) -> dict[tuple[str, str, str], float]:
    """Return what stands in lines as `rq_jobs{queue="oppcloud",status="queued"} 2.0`: by name, queue and state."""
    found: dict[tuple[str, str, str], float] = {}
    for name, labels, value in re.findall(r"^(rq_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
        told = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        key = name, told.get("queue") or told["queues"], told.get("status") or told.get("state", "")
        found[key] = found.get(key, 0.0) + float(value)
    return found
