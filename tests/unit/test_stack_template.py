"""What the template promises, read from the template itself.

moto answers for Amazon in the integration tests, but keeps only part of what CloudFormation is told. Every test here
that covers such a gap says which one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from oppcloud_worker.settings import SIGNS_VARIABLE

from pytest_oppcloud.cloud.stack import credentials, names, prices, template

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = template.text()


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as the long ones."""


def _function(loader: Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        text = str(loader.construct_scalar(node))
        value: Any = text.split(".") if suffix == "GetAtt" else text
    else:
        assert isinstance(node, yaml.SequenceNode)
        value = loader.construct_sequence(node, deep=True)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", _function)
TEMPLATE: dict[str, Any] = yaml.load(TEXT, Loader)  # noqa: S506  # a safe loader
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]


def properties(name: str) -> dict[str, Any]:
    found: dict[str, Any] = RESOURCES[name].get("Properties", {})
    return found


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: properties(name) for name, resource in RESOURCES.items() if resource["Type"] == kind}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all statements that allow something to somebody of ours."""
    for name, role in of_type("AWS::IAM::Role").items():
        for policy in role.get("Policies", ()):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement
    for name, policy in of_type("AWS::IAM::ManagedPolicy").items():
        for statement in policy["PolicyDocument"]["Statement"]:
            yield name, statement


def test_fits_into_one_call() -> None:
    assert len(TEXT.encode()) < 51_200


def test_parameters_are_those_we_give() -> None:
    assert tuple(TEMPLATE["Parameters"]) == template.PARAMETERS


# ---- network


def test_nothing_is_open_to_the_world() -> None:
    groups = of_type("AWS::EC2::SecurityGroup").values()
    assert not any("SecurityGroupIngress" in group for group in groups), "rules stand by themselves, see below"
    ingress = of_type("AWS::EC2::SecurityGroupIngress")
    assert set(ingress) == {"QueueFromWorkers", "QueueFromClient"}
    assert ingress["QueueFromWorkers"]["SourceSecurityGroupId"] == {"Ref": "WorkerFirewall"}
    assert ingress["QueueFromClient"]["CidrIp"] == {"Ref": "ClientCidr"}
    for rule in ingress.values():
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 6380, 6380)


def test_a_client_gets_in_directly_only_where_asked_for_and_only_from_one_address() -> None:
    """Gap of moto: conditions are not looked at again in an update, so that this is not seen there."""
    assert RESOURCES["QueueFromClient"]["Condition"] == "DirectAccess"
    cidr = TEMPLATE["Parameters"]["ClientCidr"]
    assert cidr["Default"] == ""
    pattern = re.compile(cidr["AllowedPattern"])
    assert pattern.match("203.0.113.7/32")
    assert not any(map(pattern.match, ["0.0.0.0/0", "203.0.113.0/24", "203.0.113.7", "::/0"]))


def test_no_gateway_that_costs_by_the_hour() -> None:
    assert not of_type("AWS::EC2::NatGateway")
    (endpoint,) = of_type("AWS::EC2::VPCEndpoint").values()
    assert endpoint["VpcEndpointType"] == "Gateway"


# ---- storage


def test_the_bucket_is_private_encrypted_and_forgets() -> None:
    """Gap of moto: of a bucket it keeps the encryption only."""
    bucket = properties("Bucket")
    blocked = {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}
    assert bucket["PublicAccessBlockConfiguration"] == dict.fromkeys(blocked, True)
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    everything, uploads = bucket["LifecycleConfiguration"]["Rules"]
    assert everything["ExpirationInDays"] == {"Ref": "RetentionDays"}
    assert "Prefix" not in everything
    assert {everything["Status"], uploads["Status"]} == {"Enabled"}
    assert uploads["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 1


def test_the_bucket_speaks_tls_only() -> None:
    """Gap of moto: no bucket policies in CloudFormation, and elsewhere it ignores their conditions.

    This is the one statement for everybody, and it only forbids.
    """
    (policy,) = of_type("AWS::S3::BucketPolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_images_cannot_be_replaced_are_scanned_and_go_with_the_stack() -> None:
    repository = properties("Repository")
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert repository["EmptyOnDelete"] is True
    (rule,) = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert rule["selection"]["countNumber"] == 5


def test_logs_end_and_go_with_the_stack() -> None:
    groups = of_type("AWS::Logs::LogGroup")
    assert all(0 < group["RetentionInDays"] <= 30 for group in groups.values())
    assert all(RESOURCES[name]["DeletionPolicy"] == "Delete" for name in groups)
    # Without a group of its own Lambda makes one that nobody ends and that no stack removes.
    assert properties("Reaper")["LoggingConfig"] == {"LogGroup": {"Ref": "ReaperLogs"}}


# ---- rights


def test_nobody_may_do_everything() -> None:
    for name, statement in statements():
        assert statement["Effect"] == "Allow", name
        assert "Principal" not in statement, name
        for action in as_list(statement["Action"]):
            assert "*" not in action, (name, action)


def test_rights_on_everything_are_such_as_know_no_smaller_ones() -> None:
    allowed = re.compile(r"autoscaling:Describe|ec2:Describe|ssmmessages:|ssm:UpdateInstanceInformation$")
    for name, statement in statements():
        if "*" in as_list(statement["Resource"]):
            assert all(map(allowed.match, as_list(statement["Action"]))), (name, statement["Action"])


def test_no_role_can_be_taken_by_anybody() -> None:
    for name, role in of_type("AWS::IAM::Role").items():
        for statement in role["AssumeRolePolicyDocument"]["Statement"]:
            (service,) = as_list(statement["Principal"]["Service"])
            assert service.endswith(".amazonaws.com"), name
            if service.startswith("ecs-tasks"):
                assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_no_managed_policy_that_reads_secrets() -> None:
    arns = json.dumps([role.get("ManagedPolicyArns", []) for role in of_type("AWS::IAM::Role").values()])
    assert "AmazonSSMManagedInstanceCore" not in arns
    assert "Administrator" not in arns
    assert "FullAccess" not in arns


@pytest.mark.parametrize(
    ("who", "folders"),
    [
        ("QueueStartRole", {"client", "worker", "server"}),
        ("WorkerStartRole", {"worker", "shared"}),
        ("WorkerRole", set()),
        ("ClientPolicy", {"client", "shared"}),
        ("HeadRole", set()),
        ("WorkerInstanceRole", set()),
        ("ReaperRole", set()),
    ],
)
def test_who_reads_which_secrets(who: str, folders: set[str]) -> None:
    readable = {
        found[1]
        for name, statement in statements()
        if name == who and "ssm:GetParameters" in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
        if (found := re.search(r"parameter/oppcloud/\$\{Name\}/(\w+)/\*$", resource["Fn::Sub"]))
    }
    assert readable == folders


def test_workers_tell_that_they_have_work_where_the_timer_looks_and_write_no_lease() -> None:
    rights = {"WorkerRole": set[str](), "ReaperRole": set[str]()}
    for name, statement in statements():
        if name in rights:
            actions = as_list(statement["Action"])
            where = [resource.get("Fn::Sub", "bucket") for resource in as_list(statement["Resource"])]
            rights[name] |= {f"{action} {place.rpartition('}')[2]}" for action in actions for place in where}
            if name == "ReaperRole" and "s3:ListBucket" in actions:
                assert statement["Condition"] == {"StringEquals": {"s3:prefix": f"{names.SIGNS}/"}}
    assert f"s3:PutObject /{names.SIGNS}/*" in rights["WorkerRole"]
    assert all(right.startswith("s3:") for right in rights["WorkerRole"])
    assert not any(right.startswith(("s3:Get", "s3:Put", "ssm:Put")) for right in rights["ReaperRole"])
    variables = {item["Name"]: item["Value"] for item in properties("Worker")["ContainerDefinitions"][0]["Environment"]}
    assert variables[SIGNS_VARIABLE] == {"Fn::Sub": f"s3://${{Bucket}}/{names.SIGNS}?region=${{AWS::Region}}"}


def test_secrets_come_from_the_folders_that_are_written() -> None:
    """Gap of moto: a task definition loses its execution role, without which no secret is read."""
    for name, task in of_type("AWS::ECS::TaskDefinition").items():
        assert task["ExecutionRoleArn"] == {"Fn::GetAtt": [f"{name}StartRole", "Arn"]}
        for secret in task["ContainerDefinitions"][0]["Secrets"]:
            path = secret["ValueFrom"]["Fn::Sub"].partition("parameter/oppcloud/${Name}/")[2]
            assert path in credentials.ALL


def test_no_secret_in_the_template() -> None:
    for task in of_type("AWS::ECS::TaskDefinition").values():
        for variable in task["ContainerDefinitions"][0]["Environment"]:
            assert "PASSWORD" not in variable["Name"]
            assert "KEY" not in variable["Name"]


# ---- instances


def test_instances_keep_their_credentials_and_encrypt_their_volumes() -> None:
    """Gap of moto: an instance loses its metadata options."""
    described = [properties("Head"), properties("WorkerTemplate")["LaunchTemplateData"]]
    for instance in described:
        assert instance["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
        assert "KeyName" not in instance
        for device in instance["BlockDeviceMappings"]:
            assert device["Ebs"]["Encrypted"] is True
            assert device["Ebs"]["DeleteOnTermination"] is True
    sizes = [instance["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] for instance in described]
    assert sizes == [prices.HEAD_VOLUME, prices.WORKER_VOLUME]


def test_the_head_keeps_its_address_and_is_never_replaced_by_chance() -> None:
    assert properties("Head")["PrivateIpAddress"] == "10.71.0.10"
    assert TEMPLATE["Parameters"]["HeadAmi"]["Type"] == "AWS::EC2::Image::Id"


def test_workers_start_from_none_and_their_number_is_not_the_templates() -> None:
    """Gap of moto: an update sets the number back to none, and MaxSize is not enforced."""
    group = properties("WorkerGroup")
    assert group["MinSize"] == "0"
    assert "DesiredCapacity" not in group
    assert group["MaxSize"] == {"Ref": "MaxInstances"}
    assert TEMPLATE["Parameters"]["MaxInstances"]["MaxValue"] <= 200


def test_workers_are_spot_instances_with_a_slot_for_each_vcpu_unless_told_otherwise() -> None:
    policy = properties("WorkerGroup")["MixedInstancesPolicy"]["InstancesDistribution"]
    assert policy["OnDemandBaseCapacity"] == 0
    assert policy["OnDemandPercentageAboveBaseCapacity"] == {"Ref": "OnDemandPercentage"}
    assert TEMPLATE["Parameters"]["OnDemandPercentage"]["Default"] == 0
    # Without a number, a worker has as many slots as it has cores; the container may use all of them.
    (container,) = properties("Worker")["ContainerDefinitions"]
    assert not re.search(r"oppcloud_worker.*(-n|--slots)\b", "".join(container["Command"]))
    assert "Cpu" not in container
    assert "Memory" not in container


def test_workers_are_of_all_types_that_are_given() -> None:
    """Gap of moto: instances of a mixed group get no type."""
    overrides = properties("WorkerGroup")["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]
    assert overrides[0] == {"InstanceType": {"Ref": "WorkerType"}}
    for number, override in enumerate(overrides[1:], 2):
        parameter = {"Ref": f"WorkerType{number}"}
        given = {"InstanceType": parameter}
        assert override == {"Fn::If": [f"HasType{number}", given, {"Ref": "AWS::NoValue"}]}
        assert TEMPLATE["Conditions"][f"HasType{number}"] == {"Fn::Not": [{"Fn::Equals": [parameter, ""]}]}
    assert len(overrides) == len(template.WORKER_TYPES)


def test_everything_that_costs_by_the_hour_is_tagged() -> None:
    tag = {"Key": "oppcloud:stack", "Value": {"Ref": "Name"}}
    assert tag in properties("Head")["Tags"]
    assert properties("Head")["PropagateTagsToVolumeOnCreation"] is True
    specifications = properties("WorkerTemplate")["LaunchTemplateData"]["TagSpecifications"]
    assert {one["ResourceType"] for one in specifications if tag in one["Tags"]} == {"instance", "volume"}
    assert {**tag, "PropagateAtLaunch": True} in properties("WorkerGroup")["Tags"]


# ---- tasks


@pytest.mark.parametrize(
    ("service", "task", "role"), [("QueueService", "Queue", "head"), ("WorkerService", "Worker", "worker")]
)
def test_one_task_on_each_instance_of_its_kind(service: str, task: str, role: str) -> None:
    """Gap of moto: a service loses its scheduling strategy and constraints, and keeps an old task in an update."""
    described = properties(service)
    assert described["SchedulingStrategy"] == "DAEMON"
    assert described["TaskDefinition"] == {"Ref": task}
    assert described["PlacementConstraints"] == [{"Type": "memberOf", "Expression": f"attribute:role == {role}"}]
    instance = properties("Head") if role == "head" else properties("WorkerTemplate")["LaunchTemplateData"]
    data = instance["UserData"]["Fn::Base64"]["Fn::Sub"]
    assert f'ECS_INSTANCE_ATTRIBUTES={{"role":"{role}"}}' in data
    # A reference and not a name: the cluster is then removed after its instances, which it must be.
    assert "ECS_CLUSTER=${Cluster}" in data


def test_containers_have_no_more_rights_than_they_need() -> None:
    """Gap of moto: a task definition loses its health check, and its keys break in an update."""
    for task in of_type("AWS::ECS::TaskDefinition").values():
        (container,) = task["ContainerDefinitions"]
        assert container["DockerSecurityOptions"] == ["no-new-privileges"]
        assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
        assert container.get("Privileged", False) is False
        assert not container["User"].startswith(("0", "root"))
    assert properties("Queue")["ContainerDefinitions"][0]["HealthCheck"]["Command"][1].endswith(" 6380")


def test_the_first_process_of_a_container_shows_no_secrets() -> None:
    """ECS's init process has the secrets in its environment, and lets every process of its user read that."""
    queue, worker = (properties(task)["ContainerDefinitions"][0] for task in ("Queue", "Worker"))
    # Nobody but the server, which has none of them, runs there.
    assert queue["LinuxParameters"]["InitProcessEnabled"] is True
    assert "exec env -i" in queue["Command"][0]
    # The image's own cannot be read (see Dockerfile), and simulations run beside it.
    assert "InitProcessEnabled" not in worker["LinuxParameters"]
    assert worker["Command"][0].rstrip().splitlines()[-1].startswith("exec $(command -v tini > /dev/null && echo tini")


@pytest.mark.parametrize("user", ["client", "worker"])
def test_users_of_the_queue_may_what_the_documentation_says(user: str) -> None:
    """The rules there are the ones that whole campaigns are run under."""
    page = (Path(__file__).parents[2] / "docs/reference/security.md").read_text(encoding="utf-8")
    (documented,) = re.findall(rf"^user oppcloud-{user} on >\S+ (.+)$", page, re.MULTILINE)
    command = properties("Queue")["ContainerDefinitions"][0]["Command"][0]
    rules = dict(re.findall(r"^(everybody|client|worker)='([^']*)'", command, re.MULTILINE))
    assert f"{rules['everybody']} {rules[user]}".split() == documented.split()


def test_spot_instances_have_time_to_hand_their_runs_back() -> None:
    data = properties("WorkerTemplate")["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"]
    assert "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true" in data
    # Amazon's notice comes two minutes ahead.
    assert properties("Worker")["ContainerDefinitions"][0]["StopTimeout"] < 120


def test_the_timer_runs_the_reaper() -> None:
    timer = properties("ReaperTimer")
    assert (timer["ScheduleExpression"], timer["State"]) == ("rate(5 minutes)", "ENABLED")
    assert timer["Targets"] == [{"Id": "reaper", "Arn": {"Fn::GetAtt": ["Reaper", "Arn"]}}]
    assert len(properties("Reaper")["Code"]["ZipFile"]) <= 4096
