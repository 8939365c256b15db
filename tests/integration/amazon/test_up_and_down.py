"""From nothing to a cluster and back, with the real boto3 against a moto server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest

from pytest_oppcloud.cloud.stack import credentials, deploy, names, plan, teardown
from pytest_oppcloud.cloud.stack.cluster import Cluster, find
from pytest_oppcloud.cloud.stack.deploy import DisplayExecutor, LiveExecutor
from pytest_oppcloud.cloud.stack.options import Options
from pytest_oppcloud.cloud.stack.plan import Create, Plan, Update, WriteSecrets

if TYPE_CHECKING:
    from pytest_oppcloud.cloud.aws import Aws
    from pytest_oppcloud.cloud.stack.clock import Clock


def up(aws: Aws, clock: Clock, wished: Options | None = None) -> tuple[Plan, list[str]]:
    said: list[str] = []
    wished = wished or Options()
    executor = LiveExecutor(aws, wished.name, clock, said.append)
    return deploy.run(aws, wished, executor, lambda _: True), said


def test_makes_everything_that_the_template_describes(aws: Aws, clock: Clock) -> None:
    done, said = up(aws, clock)
    assert [type(step) for step in done.steps] == [WriteSecrets, Create]
    assert any("create complete" in line for line in said)
    made = find(aws, "default")
    assert made.address == "10.71.0.10"
    assert (made.slots, made.max_instances, made.spot, made.direct) == (8, 4, True, False)
    head, *workers = aws.instances.tagged(names.TAG, "default")
    assert (head.id, head.type, head.name) == (made.head, "t3.small", "oppcloud-default-head")
    assert workers == []
    group = aws.instances.group(made.group)
    assert (group.desired, group.maximum) == (0, 4)


def test_a_second_time_there_is_nothing_to_do(aws: Aws, clock: Clock, cluster: Cluster) -> None:
    before = aws.parameters.read([credentials.path("default", secret) for secret in credentials.ALL])
    done, said = up(aws, clock)
    assert done.steps == ()
    assert said == []
    assert aws.parameters.read(list(before)) == before
    assert find(aws, "default") == cluster


def test_changes_what_is_wished_and_keeps_the_rest(aws: Aws, clock: Clock) -> None:
    up(aws, clock, Options(max_instances=2, lease_minutes=45))
    done, _ = up(aws, clock, Options(max_instances=9))
    (step,) = done.steps
    assert isinstance(step, Update)
    assert [str(change) for change in step.changes] == ["MaxInstances: 2 -> 9"]
    changed = find(aws, "default")
    assert (changed.max_instances, changed.longest_lease) == (9, 45 * 60)
    assert aws.instances.group(changed.group).maximum == 9
    assert up(aws, clock)[0].steps == ()


def test_secrets_can_be_renewed(aws: Aws, clock: Clock, cluster: Cluster) -> None:
    del cluster
    paths = [credentials.path("default", secret) for secret in credentials.ALL]
    before = aws.parameters.read(paths)
    up(aws, clock, Options(renew_secrets=True))
    after = aws.parameters.read(paths)
    assert before.keys() == after.keys()
    assert all(before[path] != after[path] for path in paths)


def test_goes_on_where_it_was_interrupted(aws: Aws, clock: Clock) -> None:
    class Interrupted(LiveExecutor):
        def perform(self, step: plan.Step) -> None:
            if isinstance(step, Create):
                raise KeyboardInterrupt
            super().perform(step)

    with pytest.raises(KeyboardInterrupt):
        deploy.run(aws, Options(), Interrupted(aws, "default", clock, lambda _: None), lambda _: True)
    assert aws.stacks.describe("oppcloud-default") is None
    done, _ = up(aws, clock)
    assert [type(step) for step in done.steps] == [Create]
    assert find(aws, "default").stack.usable


def test_what_was_half_made_can_be_removed(aws: Aws, clock: Clock) -> None:
    for secret, value in credentials.make("default", credentials.ALL).items():
        aws.parameters.write(credentials.path("default", secret), value, tags={names.TAG: "default"}, secret=True)
    assert len(teardown.remains(aws, "default")) == len(credentials.ALL)
    teardown.remove(aws, "default", clock, lambda _: None)
    assert teardown.remains(aws, "default") == ()


def test_a_dry_run_changes_nothing(aws: Aws) -> None:
    said: list[str] = []
    deploy.run(aws, Options(), DisplayExecutor(said.append), lambda _: True)
    assert said[0].startswith("would write 6 secrets")
    assert said[1].startswith("would create the stack")
    assert teardown.remains(aws, "default") == ()


def test_down_leaves_nothing_and_empties_the_bucket(aws: Aws, clock: Clock, cluster: Cluster, amazon: str) -> None:
    s3 = boto3.client("s3", endpoint_url=amazon)
    for number in range(3):
        s3.put_object(Bucket=cluster.bucket, Key=f"content/{number}", Body=b"x")
    aws.instances.scale(cluster.group, 2)
    left = teardown.remains(aws, "default")
    for kind in ("stack", "instance", "Auto Scaling group", "parameter", "log group", "repository", "vpc/"):
        assert any(kind in text for text in left), kind
    said: list[str] = []
    teardown.remove(aws, "default", clock, said.append)
    assert f"deleted 3 objects in {cluster.bucket}" in said
    assert teardown.prove(aws, "default", clock, said.append) == ()
    assert not aws.storage.has_bucket(cluster.bucket)
    # And again, when there is nothing.
    teardown.remove(aws, "default", clock, said.append)
    assert teardown.remains(aws, "default") == ()


def test_down_tells_what_is_left(aws: Aws, clock: Clock, cluster: Cluster, amazon: str) -> None:
    ec2 = boto3.client("ec2", endpoint_url=amazon)
    tags = [{"Key": names.TAG, "Value": "default"}]
    volume = ec2.create_volume(
        AvailabilityZone="eu-central-1a", Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}]
    )["VolumeId"]
    teardown.remove(aws, cluster.name, clock, lambda _: None)
    left = teardown.prove(aws, cluster.name, clock, lambda _: None, patience=teardown.PACE)
    assert left == (f"volume {volume}",)


def test_two_clusters_do_not_touch_each_other(aws: Aws, clock: Clock, cluster: Cluster) -> None:
    up(aws, clock, Options(name="other"))
    teardown.remove(aws, "other", clock, lambda _: None)
    assert teardown.remains(aws, "other") == ()
    assert find(aws, "default") == cluster
