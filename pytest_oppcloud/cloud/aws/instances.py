"""EC2 instances and the Auto Scaling group that makes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .errors import AwsError
from .values import Group, Instance, ScalingActivity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .service import Service

#: How Auto Scaling describes its activities.
_INSTANCE = re.compile(r"(Launching|Terminating) (?:a new )?EC2 instance(?:: (i-[0-9a-f]+))?")


def _instance(answer: Mapping[str, Any], cluster_tag: str) -> Instance:
    tags = {item["Key"]: item["Value"] for item in answer.get("Tags", ())}
    return Instance(
        id=answer["InstanceId"],
        type=answer["InstanceType"],
        state=answer["State"]["Name"],
        spot=answer.get("InstanceLifecycle") == "spot",
        launched=answer["LaunchTime"].timestamp(),
        cluster=tags.get(cluster_tag, ""),
        name=tags.get("Name", ""),
        public_address=answer.get("PublicIpAddress", ""),
    )


class Instances:
    """EC2 and Auto Scaling."""

    def __init__(self, ec2: Service, scaling: Service) -> None:
        self._ec2 = ec2
        self._scaling = scaling

    def tagged(self, key: str, value: str | None = None) -> tuple[Instance, ...]:
        """Return the instances that carry a tag, with this value or with any, unless they are terminated."""
        wanted = {"Name": "tag-key", "Values": [key]} if value is None else {"Name": f"tag:{key}", "Values": [value]}
        states = {
            "Name": "instance-state-name",
            "Values": ["pending", "running", "stopping", "stopped", "shutting-down"],
        }
        reservations = self._ec2.items("describe_instances", "Reservations", Filters=[wanted, states])
        found = (_instance(answer, key) for reservation in reservations for answer in reservation["Instances"])
        return tuple(sorted(found, key=lambda instance: (instance.cluster, instance.launched, instance.id)))

    def start(self, instance: str) -> None:
        """Start a stopped instance; raise `AwsError` (IncorrectInstanceState) while it is still stopping."""
        self._ec2.call("start_instances", InstanceIds=[instance])

    def stop(self, instance: str) -> None:
        """Stop an instance; its volume stays."""
        self._ec2.call("stop_instances", InstanceIds=[instance])

    def terminate(self, instances: Sequence[str]) -> None:
        """End instances for good."""
        self._ec2.call("terminate_instances", InstanceIds=list(instances))

    def volumes_tagged(self, key: str, value: str) -> tuple[str, ...]:
        """Return the ids of the volumes that carry a tag."""
        found = self._ec2.items("describe_volumes", "Volumes", Filters=[{"Name": f"tag:{key}", "Values": [value]}])
        return tuple(sorted(answer["VolumeId"] for answer in found if answer["State"] != "deleting"))

    def spot_prices(self, types: Sequence[str]) -> Mapping[str, float]:
        """Return what each type costs now as a spot instance, in USD per hour, in the dearest zone."""
        found: dict[str, dict[str, tuple[float, float]]] = {}
        for answer in self._spot_history(types):
            zones = found.setdefault(answer["InstanceType"], {})
            latest = (answer["Timestamp"].timestamp(), float(answer["SpotPrice"]))
            zones[answer["AvailabilityZone"]] = max(latest, zones.get(answer["AvailabilityZone"], latest))
        return {type_: max(price for _, price in zones.values()) for type_, zones in found.items()}

    def _spot_history(self, types: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        # One page holds the present prices of five types in all zones several times over.
        yield from self._ec2.call(
            "describe_spot_price_history",
            InstanceTypes=list(types),
            ProductDescriptions=["Linux/UNIX"],
            MaxResults=300,
        )["SpotPriceHistory"]

    def group(self, name: str) -> Group:
        """Return the Auto Scaling group; raise `AwsError` if there is none."""
        found = self._scaling.call("describe_auto_scaling_groups", AutoScalingGroupNames=[name])["AutoScalingGroups"]
        if not found:
            raise AwsError(f"there is no Auto Scaling group {name}", action="autoscaling:DescribeAutoScalingGroups")
        return Group(name=name, desired=found[0]["DesiredCapacity"], maximum=found[0]["MaxSize"])

    def groups_tagged(self, key: str, value: str) -> tuple[str, ...]:
        """Return the names of the Auto Scaling groups that carry a tag."""
        found = self._scaling.items(
            "describe_auto_scaling_groups", "AutoScalingGroups", Filters=[{"Name": f"tag:{key}", "Values": [value]}]
        )
        return tuple(sorted(answer["AutoScalingGroupName"] for answer in found))

    def scale(self, group: str, count: int) -> None:
        """Let a group have so many instances."""
        self._scaling.call(
            "set_desired_capacity", AutoScalingGroupName=group, DesiredCapacity=count, HonorCooldown=False
        )

    def dismiss(self, instance: str) -> None:
        """End one instance of an Auto Scaling group, which has one less from then on."""
        self._scaling.call(
            "terminate_instance_in_auto_scaling_group", InstanceId=instance, ShouldDecrementDesiredCapacity=True
        )

    def activities(self, group: str) -> Iterator[ScalingActivity]:
        """Yield what a group did, the latest first; Amazon remembers six weeks."""
        for answer in self._scaling.items("describe_scaling_activities", "Activities", AutoScalingGroupName=group):
            match = _INSTANCE.match(answer.get("Description", ""))
            if match is None:
                continue
            end = answer.get("EndTime")
            yield ScalingActivity(
                instance=match[2] or "",
                launch=match[1] == "Launching",
                succeeded=answer["StatusCode"] == "Successful",
                start=answer["StartTime"].timestamp(),
                end=None if end is None else end.timestamp(),
                message=answer.get("StatusMessage", ""),
            )
