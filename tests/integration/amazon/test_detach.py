"""Sessions in a cluster that go on without pytest, and pytest that comes back to them."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from pytest_oppcloud.cli import main
from pytest_oppcloud.cloud.stack import control, names

from .test_session import project, run, start, workers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_oppcloud.cloud.aws import Aws
    from pytest_oppcloud.cloud.stack.cluster import Cluster

__all__ = ["project"]


@pytest.fixture(autouse=True)
def way_in(queue: Any, plugin: Any, same_secrets: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del plugin, same_secrets
    monkeypatch.setenv("FORWARD_TO", f"127.0.0.1:{queue.port}")
    monkeypatch.setenv("OPPCLOUD_STACK", "default")


def detach(project: Path, *arguments: str) -> str:
    """Detach a session of three runs; return its id."""
    result = run(project, "--oppcloud-detach", *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 runs submitted as session " in result.stdout
    assert "keeps 1 instance while there is work, until " in result.stdout
    match = re.search(r"pytest --oppcloud-attach (\w+) --oppcloud-stack default ", result.stdout)
    assert match is not None, result.stdout
    assert f"oppcloud cancel {match[1]} --stack default" in result.stdout
    return match[1]


def said(capsys: pytest.CaptureFixture[str], *command: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(list(command)) == code
    return capsys.readouterr().out


def test_leaves_and_is_stopped_when_all_is_done_and_judged_later(  # all of it together is the point
    aws: Aws,
    cluster: Cluster,
    reaper: Callable[[], str],
    start_worker: Callable[..., Any],
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    session = detach(project, "--oppcloud-max-cost", "5")
    assert len(workers(aws, cluster)) == 1
    assert reaper() == "in use"
    assert f"{session} detached: 1 instance while there is work, until" in said(capsys, "status")
    assert f"{session} detached: 1 instance while there is work, until" in said(capsys, "ps")
    capsys.readouterr()
    assert main(["down", "--yes"]) == 2
    assert f"a campaign is running ({session} detached: 1 instance while there is work" in capsys.readouterr().err

    start_worker(cluster.bucket)
    deadline = time.monotonic() + 120
    # The signs of the workers are all that the timer knows of it.
    while reaper() == "in use":
        assert time.monotonic() < deadline, aws.storage.dates(cluster.bucket, names.SIGNS)
        time.sleep(0.3)
    assert set(aws.storage.dates(cluster.bucket, names.SIGNS)) == {
        names.sign(session, "working"),
        names.sign(session, "done"),
    }
    assert workers(aws, cluster) == []
    assert f"{session} detached: its runs are done; pytest --oppcloud-attach {session}" in said(capsys, "status")
    assert f"what came out of the session {session} detached" in said(capsys, "down", code=2)

    # The queue is woken, and no worker is, to hear what came out; nothing of that is left in the cluster.
    assert f"results of 3 runs in {tmp_path}/results" in said(capsys, "results", session, "--to", f"{tmp_path}/results")
    assert " 3/3 " in said(capsys, "sessions", "--stack", "default")
    result = run(project, "--oppcloud-attach", session, "--oppcloud-stack", "default")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 of 3 runs had ended before" in result.stdout
    assert "3 passed" in result.stdout
    assert "1 x worker" not in result.stdout or "0.00 h" in result.stdout
    assert control.leases(aws, cluster) == ()
    assert workers(aws, cluster) == []


def test_what_is_left_is_simulated_when_somebody_comes_back(
    aws: Aws,
    cluster: Cluster,
    reaper: Callable[[], str],
    start_worker: Callable[..., Any],
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = detach(project)
    # No instance was to be had for too long.
    with monkeypatch.context() as patched:
        patched.setenv("LEASE_MINUTES", "0")
        assert reaper() == "stopped"
    assert workers(aws, cluster) == []
    attached = start(project, "--oppcloud-attach", session)
    deadline = time.monotonic() + 120
    while not workers(aws, cluster):
        assert attached.poll() is None, attached.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.3)
    start_worker(cluster.bucket)
    output, _ = attached.communicate(timeout=120)
    assert attached.returncode == 0, output
    assert "0 of 3 runs had ended before" in output
    assert "3 passed" in output
    assert control.leases(aws, cluster) == ()
    assert workers(aws, cluster) == []


def test_a_cancelled_session_keeps_no_instance(
    aws: Aws, cluster: Cluster, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = detach(project)
    assert said(capsys, "cancel", session).startswith(f"cancelled session {session} of ")
    assert control.leases(aws, cluster) == ()
    assert workers(aws, cluster) == []
    result = run(project, "--oppcloud-attach", session)
    assert result.returncode == 4
    assert f"there is no session {session} at this queue" in result.stderr
    assert control.leases(aws, cluster) == ()


def test_a_client_that_was_killed_is_followed_by_another(
    aws: Aws, cluster: Cluster, start_worker: Callable[..., Any], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = start(project, "--oppcloud", "--oppcloud-max-cost", "5")
    deadline = time.monotonic() + 60
    while not workers(aws, cluster):
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.3)
    listed = said(capsys, "sessions", "--stack", "default")
    while " 0/3 " not in listed:
        assert time.monotonic() < deadline, listed
        listed = said(capsys, "sessions", "--stack", "default")
    first.kill()
    first.communicate()
    (session,) = re.findall(r"^(\w+) .* 0/3 ", listed, re.MULTILINE)
    # What it rented stays rented for those who come back, until its lease ends.
    assert len(workers(aws, cluster)) == 1
    start_worker(cluster.bucket)
    result = run(project, "--oppcloud-attach", session, "--oppcloud-max-cost", "5")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 passed" in result.stdout
    assert control.leases(aws, cluster) == ()
    assert workers(aws, cluster) == []
