"""What Amazon may answer instead: faults by botocore's stubber, where moto would always say yes."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from pytest_oppcloud.cloud.aws import AccessDeniedError, Aws, AwsError, CredentialsError, QuotaError, connect
from pytest_oppcloud.cloud.stack import deploy, teardown
from pytest_oppcloud.cloud.stack.deploy import LiveExecutor, StackFailedError
from pytest_oppcloud.cloud.stack.plan import Await, Create

if TYPE_CHECKING:
    from collections.abc import Iterator

ARN = "arn:aws:cloudformation:eu-central-1:123456789012:stack/oppcloud-default/1"
TIME = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


@pytest.fixture
def stubbed() -> Iterator[tuple[Aws, dict[str, Stubber]]]:
    """Make clients that answer what they are told, and nothing else."""
    stubbers: dict[str, Stubber] = {}

    def make(service: str) -> Any:
        client = boto3.client(service, "eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106  # nobody's
        stubbers[service] = Stubber(client)
        stubbers[service].activate()
        return client

    aws = Aws("eu-central-1", make)
    for service in (aws.account, aws.stacks, aws.instances, aws.parameters, aws.storage, aws.logs):
        assert service is not None
    yield aws, stubbers
    for stubber in stubbers.values():
        stubber.assert_no_pending_responses()


def described(status: str, reason: str = "") -> dict[str, Any]:
    stack = {"StackId": ARN, "StackName": "oppcloud-default", "CreationTime": TIME, "StackStatus": status}
    return {"Stacks": [stack | ({"StackStatusReason": reason} if reason else {})]}


def events(*happened: tuple[str, str, str]) -> dict[str, Any]:
    """Return the answer to "what happened", given in the order of time."""
    return {
        "StackEvents": [
            {
                "StackId": ARN, "StackName": "oppcloud-default", "EventId": f"{number}", "Timestamp": TIME,
                "LogicalResourceId": resource, "ResourceType": "AWS::Some::Thing", "ResourceStatus": status,
                "ResourceStatusReason": reason,
            }
            for number, (resource, status, reason) in reversed(list(enumerate(happened)))
        ]
    }  # fmt: skip


BEGUN = ("oppcloud-default", "CREATE_IN_PROGRESS", "User Initiated")
HEAD = ("Head", "CREATE_FAILED", "You have requested more vCPU capacity than your current vCPU limit of 0 allows")
CANCELLED = ("Bucket", "CREATE_FAILED", "Resource creation cancelled")
ROLLING_BACK = ("oppcloud-default", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Head].")
ROLLED_BACK = ("oppcloud-default", "ROLLBACK_COMPLETE", "")


def test_the_reason_of_a_failure_is_shown(stubbed: Any, clock: Any) -> None:
    aws, stubs = stubbed
    cloudformation = stubs["cloudformation"]
    cloudformation.add_response("create_stack", {"StackId": ARN})
    cloudformation.add_response("describe_stacks", described("CREATE_IN_PROGRESS"))
    for status, happened in (
        ("CREATE_IN_PROGRESS", (BEGUN,)),
        ("ROLLBACK_IN_PROGRESS", (BEGUN, HEAD, CANCELLED, ROLLING_BACK)),
        ("ROLLBACK_COMPLETE", (BEGUN, HEAD, CANCELLED, ROLLING_BACK, ROLLED_BACK)),
    ):
        cloudformation.add_response("describe_stacks", described(status), {"StackName": ARN})
        cloudformation.add_response("describe_stack_events", events(*happened), {"StackName": ARN})
    cloudformation.add_response("describe_stack_events", events(BEGUN, HEAD, CANCELLED, ROLLING_BACK, ROLLED_BACK))
    said: list[str] = []
    with pytest.raises(StackFailedError) as caught:
        LiveExecutor(aws, "default", clock, said.append).perform(Create(parameters={}))
    assert "ROLLBACK_COMPLETE: Head (AWS::Some::Thing): You have requested more vCPU capacity" in str(caught.value)
    # Every event once, in the order of time, as it comes.
    assert [line.split("(")[0].split()[-1] for line in said] == [
        "oppcloud-default", "Head", "Bucket", "oppcloud-default", "oppcloud-default",
    ]  # fmt: skip
    assert clock.slept == [deploy.PACE] * 2


def test_what_somebody_else_began_is_waited_for(stubbed: Any, clock: Any) -> None:
    aws, stubs = stubbed
    cloudformation = stubs["cloudformation"]
    cloudformation.add_response("describe_stacks", described("CREATE_IN_PROGRESS"))
    cloudformation.add_response("describe_stacks", described("CREATE_IN_PROGRESS"))
    cloudformation.add_response("describe_stack_events", events(BEGUN))
    cloudformation.add_response("describe_stacks", described("CREATE_COMPLETE"))
    cloudformation.add_response("describe_stack_events", events(BEGUN, ("oppcloud-default", "CREATE_COMPLETE", "")))
    said: list[str] = []
    LiveExecutor(aws, "default", clock, said.append).perform(Await(status="CREATE_IN_PROGRESS"))
    assert len(said) == 2


def test_an_update_with_nothing_to_do_is_no_error(stubbed: Any) -> None:
    aws, stubs = stubbed
    stubs["cloudformation"].add_client_error("update_stack", "ValidationError", "No updates are to be performed.")
    assert aws.stacks.update("oppcloud-default", "{}", {}, {}) is False


def test_a_bucket_that_fills_again_is_emptied_again(stubbed: Any, clock: Any) -> None:
    """Gap of moto: it removes a stack although its bucket is not empty; Amazon answers DELETE_FAILED."""
    aws, stubs = stubbed
    cloudformation, s3, ssm = stubs["cloudformation"], stubs["s3"], stubs["ssm"]
    made = described("CREATE_COMPLETE")
    failed = described("DELETE_FAILED")
    for answer in (made, failed):
        answer["Stacks"][0]["Outputs"] = [{"OutputKey": "Bucket", "OutputValue": "the-bucket"}]
    begun = ("oppcloud-default", "DELETE_IN_PROGRESS", "User Initiated")
    stuck = ("Bucket", "DELETE_FAILED", "The bucket you tried to delete is not empty")
    cloudformation.add_response("describe_stacks", made)
    for before, end, happened in ((made, failed, [begun, stuck]), (failed, described("DELETE_COMPLETE"), [begun])):
        s3.add_response("head_bucket", {})
        s3.add_response("list_object_versions", {"Versions": [{"Key": "late", "VersionId": "null"}]})
        s3.add_response("list_object_versions", {})
        s3.add_response("delete_objects", {})
        cloudformation.add_response("describe_stacks", before)
        cloudformation.add_response("describe_stack_events", events())
        cloudformation.add_response("delete_stack", {})
        cloudformation.add_response("describe_stacks", end)
        cloudformation.add_response("describe_stack_events", events(*happened))
    ssm.add_response("get_parameters_by_path", {"Parameters": []})
    said: list[str] = []
    teardown.remove(aws, "default", clock, said.append)
    assert said.count("deleted 1 objects in the-bucket") == 2


def test_objects_that_may_not_be_deleted_are_told(stubbed: Any) -> None:
    aws, stubs = stubbed
    stubs["s3"].add_response("head_bucket", {})
    stubs["s3"].add_response("list_object_versions", {"Versions": [{"Key": "locked", "VersionId": "null"}]})
    stubs["s3"].add_response("list_object_versions", {})
    refused = {"Errors": [{"Key": "locked", "Code": "AccessDenied", "Message": "Access Denied"}]}
    stubs["s3"].add_response("delete_objects", refused)
    with pytest.raises(AwsError, match="locked: Access Denied"):
        aws.storage.empty("the-bucket")


@pytest.mark.parametrize(
    ("code", "message", "kind", "advice"),
    [
        ("AccessDenied", "User is not authorized", AccessDeniedError, '"cloudformation:DescribeStacks" is missing'),
        ("UnauthorizedOperation", "You are not authorized", AccessDeniedError, "is missing"),
        ("ExpiredToken", "The security token is expired", CredentialsError, "Log in"),
        ("InvalidClientTokenId", "The token is invalid", CredentialsError, "Log in"),
        ("SignatureDoesNotMatch", "Signature not yet current: 2026", CredentialsError, "clock is wrong"),
        ("RequestTimeTooSkewed", "too large", CredentialsError, "clock is wrong"),
        ("LimitExceededException", "Limit for stack has been exceeded", QuotaError, "Service Quotas"),
        ("VcpuLimitExceeded", "You have requested more", QuotaError, "Service Quotas"),
        ("MaxSpotInstanceCountExceeded", "Max spot", QuotaError, "Service Quotas"),
        ("Throttling", "Rate exceeded", AwsError, ""),
    ],
)
def test_answers_say_what_to_do(stubbed: Any, code: str, message: str, kind: type[AwsError], advice: str) -> None:
    aws, stubs = stubbed
    stubs["cloudformation"].add_client_error("describe_stacks", code, message)
    with pytest.raises(AwsError) as caught:
        aws.stacks.describe("oppcloud-default")
    assert type(caught.value) is kind
    assert "cloudformation:DescribeStacks" in str(caught.value)
    assert message in str(caught.value)
    assert advice in str(caught.value)


def test_without_credentials(amazon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del amazon
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(CredentialsError, match="Log in"):
        connect().account.identity()


def test_without_a_region(amazon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del amazon
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    with pytest.raises(AwsError, match="no region"):
        connect()
    assert connect("eu-north-1").region == "eu-north-1"
    # As all of Amazon's own tools have it, boto3 excepted.
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert (connect().region, connect("eu-north-1").region) == ("eu-west-3", "eu-north-1")


def test_with_a_profile_that_does_not_exist(amazon: str) -> None:
    del amazon
    with pytest.raises(CredentialsError, match="nobody"):
        connect(profile="nobody")


def test_without_an_answer(amazon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del amazon
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(AwsError, match=r"(?i)could not connect"):
        connect().account.identity()


def activity(description: str, status: str, message: str = "done") -> dict[str, Any]:
    return {
        "ActivityId": "1", "AutoScalingGroupName": "group", "Cause": "a wish", "StartTime": TIME, "EndTime": TIME,
        "Description": description, "StatusCode": status, "StatusMessage": message,
    }  # fmt: skip


def test_what_a_group_did(stubbed: Any) -> None:
    """Gap of moto: it remembers no activities."""
    aws, stubs = stubbed
    lack = "There is no Spot capacity available that matches your request."
    answer = [
        activity("Launching a new EC2 instance.  Status Reason: " + lack, "Failed", lack),
        activity("Terminating EC2 instance: i-0123456789abcdef0", "Successful"),
        activity("Launching a new EC2 instance: i-0123456789abcdef0", "Successful"),
        activity("Updating the load balancer", "Successful"),
    ]
    stubs["autoscaling"].add_response("describe_scaling_activities", {"Activities": answer})
    failed, ended, launched = aws.instances.activities("group")
    assert (failed.instance, failed.launch, failed.succeeded, failed.message) == ("", True, False, lack)
    assert (ended.instance, ended.launch, ended.succeeded) == ("i-0123456789abcdef0", False, True)
    assert (launched.instance, launched.launch, launched.succeeded) == ("i-0123456789abcdef0", True, True)


def test_logs_are_those_that_are_wanted(stubbed: Any) -> None:
    """Gap of moto: it looks at all streams of a group."""
    aws, stubs = stubbed
    wanted = {
        "logGroupName": "/oppcloud/default", "startTime": 5000, "logStreamNamePrefix": "worker/",
        "filterPattern": '"a \\"b\\""',
    }  # fmt: skip
    event = {"logStreamName": "worker/worker/1", "timestamp": 6000, "message": 'a "b"\n', "eventId": "1"}
    stubs["logs"].add_response("filter_log_events", {"events": [event]}, wanted)
    (line,) = aws.logs.lines("/oppcloud/default", since=5.0, prefix="worker/", containing='a "b"')
    assert (line.time, line.stream, line.text) == (6.0, "worker/worker/1", 'a "b"')


def test_the_quota_is_that_of_vcpus(stubbed: Any) -> None:
    aws, stubs = stubbed
    for spot, code in ((True, "L-34B43A08"), (False, "L-1216C47A")):
        wanted = {"ServiceCode": "ec2", "QuotaCode": code}
        stubs["service-quotas"].add_response("get_service_quota", {"Quota": {"Value": 64.0}}, wanted)
        assert aws.account.vcpu_quota(spot=spot) == 64


def test_present_spot_prices_are_those_of_the_dearest_zone(stubbed: Any) -> None:
    aws, stubs = stubbed

    def price(kind: str, zone: str, hours: int, amount: str) -> dict[str, Any]:
        when = TIME + dt.timedelta(hours=hours)
        return {"InstanceType": kind, "AvailabilityZone": zone, "Timestamp": when, "SpotPrice": amount}

    history = [
        price("c7i.large", "a", 2, "0.02"),
        price("c7i.large", "a", 1, "0.09"),
        price("c7i.large", "b", 1, "0.03"),
        price("c6i.large", "b", 1, "0.01"),
    ]
    stubs["ec2"].add_response("describe_spot_price_history", {"SpotPriceHistory": history})
    assert aws.instances.spot_prices(["c7i.large", "c6i.large"]) == {"c7i.large": 0.03, "c6i.large": 0.01}
