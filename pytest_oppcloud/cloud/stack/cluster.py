"""A cluster that is there: what its stack says about it."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_oppcloud.cloud.aws import Aws, AwsError, Stack

from . import names, plan, prices


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where everything is."""

    name: str
    region: str
    stack: Stack
    bucket: str
    repository: str
    #: Id of the instance that holds the queue.
    head: str
    #: Auto Scaling group of the workers.
    group: str
    #: The queue's address inside the cluster's network.
    address: str
    port: int
    #: Whether clients reach the queue directly rather than through SSM.
    direct: bool
    #: Seconds that a lease holds at most.
    longest_lease: float
    head_type: str
    worker_types: tuple[str, ...]
    spot: bool
    max_instances: int

    @property
    def store(self) -> str:
        """Return the URL of the store: everything below one folder, so that the worker's rights can say which."""
        return f"s3://{self.bucket}/{names.FILES}?region={self.region}"

    @property
    def slots(self) -> int:
        """Return how many slots an instance has at least."""
        return min(map(prices.vcpus, self.worker_types))

    @property
    def memory(self) -> int:
        """Return the bytes of memory that an instance has for runs at least: which type comes is Amazon's choice."""
        return min(map(prices.memory, self.worker_types))


def from_stack(stack: Stack, region: str) -> Cluster:
    """Return what a stack describes; raise `AwsError` if it is not finished."""
    if not stack.usable:
        reason = f": {stack.reason}" if stack.reason else ""
        raise AwsError(
            f"the stack {stack.name} is in {stack.status}{reason}",
            advice="`oppcloud up` finishes it or makes it anew, `oppcloud down` removes it.",
        )
    outputs, parameters = stack.outputs, stack.parameters
    return Cluster(
        name=parameters["Name"],
        region=region,
        stack=stack,
        bucket=outputs["Bucket"],
        repository=outputs["Repository"],
        head=outputs["Head"],
        group=outputs["WorkerGroup"],
        address=outputs["QueueAddress"],
        port=int(outputs["QueuePort"]),
        direct=outputs["Access"] == "direct",
        longest_lease=60.0 * int(parameters["LeaseMinutes"]),
        head_type=parameters["HeadType"],
        worker_types=plan.worker_types(parameters),
        spot=parameters["OnDemandPercentage"] != "100",
        max_instances=int(parameters["MaxInstances"]),
    )


def find(aws: Aws, name: str) -> Cluster:
    """Return the cluster of this name; raise `AwsError` if there is none."""
    stack = aws.stacks.describe(names.stack(names.checked(name)))
    if stack is None:
        raise AwsError(
            f"there is no cluster {name!r} in {aws.region}",
            advice=f"`oppcloud up --name {name}` makes one; `oppcloud ps` lists those that there are.",
        )
    return from_stack(stack, aws.region)
