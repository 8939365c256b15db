"""A whole session in a cluster: Amazon's services answered by moto, queue and worker as their tasks start them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_oppcloud.cloud.stack import control, names

if TYPE_CHECKING:
    from pytest_oppcloud.cloud.aws import Aws
    from pytest_oppcloud.cloud.stack.cluster import Cluster

EXAMPLES = Path(__file__).parents[3] / "example_sims"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with an example and its engine."""
    folder = tmp_path / "project"
    for name in ("engine", "ring"):
        shutil.copytree(EXAMPLES / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pytest.ini").write_text("[pytest]\n")
    return folder


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    process = start(project, *arguments, stderr=subprocess.PIPE)
    stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def start(project: Path, *arguments: str, stderr: int = subprocess.STDOUT) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--opp-config", "Sizes", *arguments, "ring"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True)


def workers(aws: Aws, cluster: Cluster) -> list[str]:
    return [one.id for one in aws.instances.tagged(names.TAG, "default") if one.id != cluster.head]


@pytest.mark.usefixtures("same_secrets", "worker")
@pytest.mark.parametrize("more", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_from_a_stopped_cluster_to_a_receipt(  # all of it together is the point
    aws: Aws,
    cluster: Cluster,
    queue: Any,
    plugin: Any,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
) -> None:
    monkeypatch.setenv("FORWARD_TO", f"127.0.0.1:{queue.port}")
    control.stop_if_unwanted(aws, cluster, 0.0)
    result = run(project, "--oppcloud", "--oppcloud-stack", "default", "--oppcloud-max-cost", "5", *more)
    assert result.returncode == 0, result.stdout + result.stderr
    if not more:
        assert "simulations run in the cluster 'default' in Amazon's cloud" in result.stdout
        # The controller of xdist learns from its second look what its workers sent, when all may be done here.
        assert "1 x worker c7i.2xlarge" in result.stdout
    assert " passed" in result.stdout
    assert "x queue t3.small on demand" in result.stdout
    assert "total" in result.stdout
    # Everything was let go: no lease, no worker wanted, no way in. The queue's instance is the timer's.
    assert control.leases(aws, cluster) == ()
    assert aws.instances.group(cluster.group).desired == 0
    assert workers(aws, cluster) == []
    (start,) = plugin.starts()
    with pytest.raises(ProcessLookupError):
        os.kill(start["pid"], 0)


@pytest.mark.usefixtures("same_secrets", "plugin")
@pytest.mark.parametrize("more", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_what_would_cost_too_much_is_not_run(
    aws: Aws,
    cluster: Cluster,
    queue: Any,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
) -> None:
    monkeypatch.setenv("FORWARD_TO", f"127.0.0.1:{queue.port}")
    monkeypatch.setenv("OPPCLOUD_STACK", "default")
    result = run(project, "--oppcloud", "--oppcloud-max-cost", "0.000001", *more)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "stopped: it may cost $0.00 and has cost" in result.stdout
    assert "3 errors" in result.stdout
    assert "--oppcloud-max-cost" in result.stdout
    assert workers(aws, cluster) == []


@pytest.mark.usefixtures("same_secrets", "plugin")
@pytest.mark.parametrize("more", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_what_needs_more_memory_than_any_instance_has_does_not_wait_for_one(
    aws: Aws,
    cluster: Cluster,
    queue: Any,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
) -> None:
    monkeypatch.setenv("FORWARD_TO", f"127.0.0.1:{queue.port}")
    # One of the types has twice as much, but which one comes is not ours to say.
    with (project / "ring" / "oppcloud.toml").open("a") as settings:
        settings.write('\n[needs]\nmemory = "16GiB"\n')
    result = run(project, "--oppcloud", "--oppcloud-stack", "default", "--oppcloud-wait", "60", *more)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "3 errors" in result.stdout
    text = " ".join(result.stdout.split())
    assert "it needs 16 GiB of memory" in text
    assert "the instances of the cluster 'default' (c7i.2xlarge, " in text
    assert "have 14.9 GiB for runs: `oppcloud up --instance-types`" in text
    assert workers(aws, cluster) == []


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--oppcloud-stack", "none"), "there is no cluster 'none' in eu-central-1"),
        (("--oppcloud-stack", "No Name"), "a cluster cannot be called 'No Name'"),
        (("--oppcloud-stack", "none", "--oppcloud-region", "eu-west-3"), "there is no cluster 'none' in eu-west-3"),
        (("--oppcloud-max-cost", "1"), "name one with --oppcloud-stack"),
        (("--oppcloud-stack", "none", "--oppcloud-max-cost", "-1"), "more than 0 was expected"),
        (("--oppcloud-stack", "none", "--oppcloud-workers", "2"), "there is --oppcloud-workers, too"),
    ],
)
def test_what_cannot_be_is_told(
    pytester: pytest.Pytester, project: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = pytester.runpytest_inprocess("--oppcloud", *arguments, project / "ring")
    assert result.ret != 0
    shown = str(result.stdout) + str(result.stderr)
    assert message in shown
    assert "Traceback" not in shown


@pytest.mark.usefixtures("aws")
def test_an_amazon_that_does_not_let_us_in_is_told_in_a_line(
    pytester: pytest.Pytester, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    result = pytester.runpytest_inprocess("--oppcloud", "--oppcloud-stack", "none", project / "ring")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines(["*Exit: no region is given*"])
    result.stdout.no_fnmatch_line("INTERNALERROR*")
