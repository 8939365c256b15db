"""The subcommands, as people call them."""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from pytest_oppcloud.cli import main
from pytest_oppcloud.cli.logs import duration
from pytest_oppcloud.cli.up import client_cidr
from pytest_oppcloud.cloud.stack import control, names, template
from pytest_oppcloud.cloud.stack.cluster import find
from pytest_oppcloud.cloud.stack.lease import Lease
from pytest_oppcloud.errors import SettingsError

INDEX = "application/vnd.oci.image.index.v1+json"

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_oppcloud.cloud.aws import Aws
    from pytest_oppcloud.cloud.stack.cluster import Cluster


def test_from_nothing_to_nothing(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--yes", "--workers", "2", "--instance-types", "c7g.large", "--on-demand", "--name", "ci"]) == 0
    said = capsys.readouterr().out
    assert "per hour (2 instances, 4 slots)" in said
    assert "create complete" in said
    assert "pytest --oppcloud --oppcloud-stack ci" in said
    assert find(aws, "ci").worker_types == ("c7g.large",)
    assert main(["up", "--yes", "--name", "ci"]) == 0
    assert "nothing: all is as wished" in capsys.readouterr().out
    assert main(["down", "--yes", "--name", "ci"]) == 0
    assert "Nothing with the tag oppcloud:stack=ci is left in eu-central-1." in capsys.readouterr().out
    assert main(["down", "--yes", "--name", "ci"]) == 0
    assert "Nothing of a cluster ci is there" in capsys.readouterr().out


def test_a_dry_run_prints_plan_and_template(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "would create the stack" in said
    assert template.text() in said
    assert aws.stacks.describe("oppcloud-default") is None


def test_a_dry_run_needs_no_login(
    aws: Aws, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it costs is a question of people who have no account yet."""
    del aws
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert main(["up", "--dry-run", "--workers", "3"]) == 0
    said = capsys.readouterr().out
    assert "account unknown" in said
    assert "costs at rest" in said
    assert "nobody could look (Unable to locate credentials" in said
    assert template.text() in said
    assert main(["up", "--yes"]) == 1
    assert "Unable to locate credentials" in capsys.readouterr().err


def test_nothing_is_done_where_nobody_agrees(
    aws: Aws, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: PTH123, SIM115  # the end of the test closes it
    assert main(["up"]) == 2
    assert "give --yes" in capsys.readouterr().err
    assert aws.stacks.describe("oppcloud-default") is None
    sys.stdin.close()


def test_a_running_campaign_is_not_removed(aws: Aws, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    control.hold(aws, cluster, Lease(holder="night", until=time.time() + 600, instances=1))
    assert main(["down", "--yes"]) == 2
    assert "a campaign is running (night until" in capsys.readouterr().err
    assert find(aws, "default") == cluster
    assert main(["down", "--yes", "--force"]) == 0


def test_status(
    aws: Aws, cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPPCLOUD_STACK", "default")
    control.hold(aws, cluster, Lease(holder="night", until=time.time() + 600, instances=2))
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert "cluster   default in eu-central-1: CREATE_COMPLETE" in said
    assert re.search(rf"queue     {cluster.head}  t3\.small on demand, running for \d+ min", said)
    assert "workers   0 running (0 slots), 0 wanted, 4 at most" in said
    assert "leases    night until" in said
    assert re.search(r"costs     \$0\.\d+ per hour now; instances so far since .*: \$0\.\d+", said)


def test_status_of_what_is_not_there(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    del aws
    assert main(["status", "--name", "other"]) == 1
    said = capsys.readouterr().err
    assert "there is no cluster 'other' in eu-central-1" in said
    assert "oppcloud up --name other" in said


def test_scale(aws: Aws, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    control.stop_if_unwanted(aws, cluster, time.time())
    assert main(["scale", "3"]) == 0
    assert capsys.readouterr().out.startswith("3 worker instances until ")
    assert aws.instances.group(cluster.group).desired == 3
    assert aws.instances.tagged(names.TAG, "default")[0].state == "running"
    assert main(["scale", "99"]) == 0
    assert "the most there may be: 4" in capsys.readouterr().out
    assert main(["scale", "0"]) == 0
    assert capsys.readouterr().out == "0 worker instances, and the queue is stopped\n"
    assert aws.instances.group(cluster.group).desired == 0
    assert control.leases(aws, cluster) == ()


def test_scale_leaves_campaigns_alone(aws: Aws, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    control.hold(aws, cluster, Lease(holder="night", until=time.time() + 600, instances=2))
    assert main(["scale", "1"]) == 0
    assert aws.instances.group(cluster.group).desired == 3
    assert main(["scale", "0"]) == 0
    assert "2 worker instances; a campaign is running" in capsys.readouterr().out


def test_logs_of_what_is_not_there(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    del aws
    assert main(["logs", "--name", "other"]) == 1
    assert "no cluster 'other' has written logs in eu-central-1" in capsys.readouterr().err


def test_logs(cluster: Cluster, amazon: str, capsys: pytest.CaptureFixture[str]) -> None:
    del cluster
    client = boto3.client("logs", endpoint_url=amazon)
    now = int(time.time() * 1000)
    for stream, lines in {
        "worker/worker/0123456789abcdef": [(now - 7_200_000, "long ago"), (now - 2000, "one"), (now, "three")],
        "queue/queue/fedcba9876543210": [(now - 1000, "two")],
    }.items():
        client.create_log_stream(logGroupName="/oppcloud/default", logStreamName=stream)
        events = [{"timestamp": time, "message": text} for time, text in lines]
        client.put_log_events(logGroupName="/oppcloud/default", logStreamName=stream, logEvents=events)

    def last_words(*arguments: str) -> list[str]:
        assert main(["logs", *arguments]) == 0
        return [line.split("  ")[-1].strip() for line in capsys.readouterr().out.splitlines()]

    assert last_words() == ["one", "two", "three"]
    assert last_words("--since", "1d") == ["long ago", "one", "two", "three"]
    assert last_words("reaper") == []


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30.0), ("10m", 600.0), ("2h", 7200.0), ("1d", 86400.0)])
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


def test_ps_and_reap(aws: Aws, cluster: Cluster, amazon: str, capsys: pytest.CaptureFixture[str]) -> None:
    ec2 = boto3.client("ec2", endpoint_url=amazon)
    image = aws.parameters.public("/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id")
    tags = [{"Key": names.TAG, "Value": "lost"}]
    orphan = ec2.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, InstanceType="c7i.large",
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )["Instances"][0]["InstanceId"]  # fmt: skip
    aws.instances.scale(cluster.group, 2)
    assert main(["ps"]) == 0
    said = capsys.readouterr().out
    assert "default: CREATE_COMPLETE, not leased" in said
    assert "lost: no stack" in said
    assert orphan in said

    control.hold(aws, cluster, Lease(holder="night", until=time.time() + 600, instances=2))
    assert main(["reap", "--dry-run"]) == 0
    assert capsys.readouterr().out == f"terminate {orphan} (c7i.large): the cluster lost does not exist\n"
    control.release(aws, cluster, "night")

    assert main(["reap", "--yes"]) == 0
    assert "stop the instances of default: nobody holds a lease" in capsys.readouterr().out
    assert aws.instances.group(cluster.group).desired == 0
    assert [(one.id, one.state) for one in aws.instances.tagged(names.TAG)] == [(cluster.head, "stopped")]
    assert main(["reap", "--yes"]) == 0
    assert "nothing to reap" in capsys.readouterr().out


def test_reap_forgets_parameters_of_no_cluster_but_not_at_once(
    aws: Aws, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.parameters.write("/oppcloud/lost/client/password", "x", tags={}, secret=True)
    assert main(["reap", "--yes"]) == 0
    assert "nothing to reap" in capsys.readouterr().out
    later = time.time() + 7200
    monkeypatch.setattr("pytest_oppcloud.cli.amazon.CLOCK.now", lambda: later)
    assert main(["reap", "--yes"]) == 0
    assert aws.parameters.below("/oppcloud") == ()


def test_doctor_finds_what_is_missing(
    cluster: Cluster, amazon: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, plugin: Any
) -> None:
    del plugin
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "ok    credentials: arn:aws" in said
    assert "ok    clock:" in said
    assert "ok    cluster: CREATE_COMPLETE, made by version" in said
    assert "ok    secrets:" in said
    assert f"FAIL  image: there is no {cluster.repository}:" in said
    assert "session-manager-plugin 1.2.999.0" in said

    tag = cluster.stack.parameters["ImageTag"]
    manifest = json.dumps(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"platform": {"architecture": "arm64"}}]}
    )
    ecr = boto3.client("ecr", endpoint_url=amazon)
    ecr.put_image(
        repositoryName=names.repository("default"), imageManifest=manifest, imageTag=tag, imageManifestMediaType=INDEX
    )
    assert main(["doctor"]) == 1
    assert "is for arm64, the instances are amd64" in capsys.readouterr().out

    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["doctor"]) == 1
    assert "FAIL  way in: session-manager-plugin is not on the PATH" in capsys.readouterr().out


def test_doctor_without_a_cluster(aws: Aws, capsys: pytest.CaptureFixture[str], plugin: Any) -> None:
    del aws, plugin
    main(["doctor", "--name", "none"])
    assert "warn  cluster: there is none called none" in capsys.readouterr().out


@pytest.fixture
def address_service() -> Iterator[str]:
    """Start something that tells everybody the same address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"203.0.113.7\n" if self.path == "/" else b"<html>")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_address_that_may_come_in(address_service: str) -> None:
    assert client_cidr(None) is None
    assert client_cidr("none") == ""
    assert client_cidr("198.51.100.3") == client_cidr("198.51.100.3/32") == "198.51.100.3/32"
    assert client_cidr("auto", f"{address_service}/") == "203.0.113.7/32"
    for wrong in ("0.0.0.0/0", "198.51.100.0/24", "example.org", "::1"):
        with pytest.raises(SettingsError, match="--client-cidr"):
            client_cidr(wrong)
    with pytest.raises(SettingsError, match="--client-cidr auto"):
        client_cidr("auto", f"{address_service}/other")
    with pytest.raises(SettingsError, match="did not tell"):
        client_cidr("auto", "http://127.0.0.1:9/")


def test_as_a_program(amazon: str) -> None:
    del amazon
    script = [sys.executable, "-c", "import sys; from pytest_oppcloud.cli import main; sys.exit(main(['ps']))"]
    result = subprocess.run(script, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "nothing of ours is there in eu-central-1\n", "")
