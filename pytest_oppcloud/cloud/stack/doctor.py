"""Looks at everything that a campaign needs, and says what to do where something is missing."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from oppcloud_worker import __version__

from pytest_oppcloud.cloud.aws import AwsError, CredentialsError

from . import credentials, names, options, prices, status, template, tunnel
from .cluster import Cluster, from_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_oppcloud.cloud.aws import Aws

#: Seconds by which a clock may be wrong; Amazon refuses signatures that are five minutes off.
_CLOCK_FINE, _CLOCK_BAD = 30.0, 240.0


class Health(Enum):
    """How it is."""

    #: As it should be.
    GOOD = "ok"
    #: It works, but look at it.
    DOUBTFUL = "warn"
    #: A campaign will not run like this.
    BAD = "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a look at one thing showed."""

    subject: str
    health: Health
    message: str
    #: What to do.
    advice: str = ""

    def text(self) -> str:
        """Return it for people."""
        advice = f"\n      -> {self.advice}" if self.advice else ""
        return f"{self.health.value:<4}  {self.subject}: {self.message}{advice}"


def examine(aws: Aws, name: str) -> Iterator[Finding]:
    """Look at one thing after the other."""
    try:
        identity = aws.account.identity()
    except CredentialsError as error:
        yield Finding(subject="credentials", health=Health.BAD, message=error.message, advice=error.advice)
        return
    yield Finding(subject="credentials", health=Health.GOOD, message=f"{identity.arn}, region {aws.region}")
    yield clock(identity.clock_ahead)
    found = _found(aws, name)
    if isinstance(found, Finding):
        yield found
    cluster = found if isinstance(found, Cluster) else None
    looks: list[tuple[str, Callable[[], Finding]]] = [("quota", lambda: _quota(aws, cluster))]
    if cluster is not None:
        looks += [
            ("cluster", lambda: version(cluster)),
            ("secrets", lambda: _secrets(aws, cluster)),
            ("image", lambda: _image(aws, cluster)),
            ("capacity", lambda: _capacity(aws, cluster)),
        ]
    for subject, look in looks:
        yield _answered(subject, look)
    if cluster is None or not cluster.direct:
        yield plugin()


def _answered(subject: str, look: Callable[[], Finding]) -> Finding:
    """Return what a look shows; where Amazon does not let us look, that is a finding, too."""
    try:
        return look()
    except AwsError as error:
        return Finding(subject=subject, health=Health.DOUBTFUL, message=str(error))


def clock(ahead: float | None) -> Finding:
    """Judge how far this machine's clock is off."""
    if ahead is None:
        return Finding(subject="clock", health=Health.DOUBTFUL, message="Amazon did not tell its time")
    off = abs(ahead)
    health = Health.GOOD if off <= _CLOCK_FINE else Health.DOUBTFUL if off <= _CLOCK_BAD else Health.BAD
    advice = "" if health is Health.GOOD else "set it (`timedatectl set-ntp true`); signatures hold for minutes only"
    way = "ahead of" if ahead > 0 else "behind"
    return Finding(subject="clock", health=health, message=f"{off:.0f} s {way} Amazon's", advice=advice)


def _found(aws: Aws, name: str) -> Cluster | Finding:
    try:
        stack = aws.stacks.describe(names.stack(name))
        if stack is None:
            advice = f"`oppcloud up --name {name}` makes it"
            message = f"there is none called {name} in {aws.region}"
            return Finding(subject="cluster", health=Health.DOUBTFUL, message=message, advice=advice)
        return from_stack(stack, aws.region)
    except AwsError as error:
        return Finding(subject="cluster", health=Health.BAD, message=error.message, advice=error.advice)


def _quota(aws: Aws, cluster: Cluster | None) -> Finding:
    types = cluster.worker_types if cluster else options.DEFAULT_WORKER_TYPES
    spot = cluster.spot if cluster else True
    count = cluster.max_instances if cluster else options.DEFAULT_MAX_INSTANCES
    needed = count * max(map(prices.vcpus, types))
    allowed = aws.account.vcpu_quota(spot=spot)
    kind = "spot" if spot else "on-demand"
    message = f"{allowed} vCPUs of {kind} instances allowed, {needed} needed at full size"
    if allowed >= needed:
        return Finding(subject="quota", health=Health.GOOD, message=message)
    advice = f"ask for more under Service Quotas (EC2, standard {kind} instances), or `oppcloud up --workers` fewer"
    health = Health.BAD if allowed < min(map(prices.vcpus, types)) else Health.DOUBTFUL
    return Finding(subject="quota", health=health, message=message, advice=advice)


def version(cluster: Cluster) -> Finding:
    """Judge whether the cluster is one of this version."""
    tags = cluster.stack.tags
    made_by = tags.get(names.VERSION_TAG, "unknown")
    message = f"{cluster.stack.status}, made by version {made_by}, this is {__version__}"
    if made_by == __version__ and tags.get(names.TEMPLATE_TAG) == template.digest():
        return Finding(subject="cluster", health=Health.GOOD, message=message)
    advice = f"`oppcloud up --name {cluster.name}` brings it up to date"
    return Finding(subject="cluster", health=Health.DOUBTFUL, message=message, advice=advice)


def _secrets(aws: Aws, cluster: Cluster) -> Finding:
    # Whoever runs campaigns may read only these; `oppcloud up` looks after the others.
    wanted = (credentials.CLIENT_PASSWORD, credentials.AUTHORITY, credentials.KEY)
    there = aws.parameters.read([credentials.path(cluster.name, secret) for secret in wanted])
    if len(there) == len(wanted):
        return Finding(subject="secrets", health=Health.GOOD, message="those of a client can be read")
    advice = f"`oppcloud up --name {cluster.name}` writes them anew"
    return Finding(subject="secrets", health=Health.BAD, message="some are gone", advice=advice)


def _image(aws: Aws, cluster: Cluster) -> Finding:
    parameters = cluster.stack.parameters
    if parameters.get("Image"):
        message = f"{parameters['Image']}, which is not looked at"
        return Finding(subject="image", health=Health.GOOD, message=message)
    tag = parameters["ImageTag"]
    image = aws.storage.image(names.repository(cluster.name), tag)
    where = f"{cluster.repository}:{tag}"
    if image is None:
        advice = f"`oppcloud image build`, then `oppcloud image push --ecr {names.repository(cluster.name)}:{tag}`"
        return Finding(subject="image", health=Health.BAD, message=f"there is no {where}", advice=advice)
    wanted = "arm64" if prices.architecture(cluster.worker_types[0]) == "arm64" else "amd64"
    if image.architectures and wanted not in image.architectures:
        message = f"{where} is for {', '.join(sorted(image.architectures))}, the instances are {wanted}"
        advice = "build it on such a machine, or choose other --instance-types"
        return Finding(subject="image", health=Health.BAD, message=message, advice=advice)
    return Finding(subject="image", health=Health.GOOD, message=f"{where}, {image.digest[:19]}")


def _capacity(aws: Aws, cluster: Cluster) -> Finding:
    message = status.trouble(tuple(aws.instances.activities(cluster.group)))
    if not message:
        return Finding(subject="capacity", health=Health.GOOD, message="the last instance could be started")
    advice = "more --instance-types help against a lack of spot instances; --on-demand against its interruptions"
    return Finding(subject="capacity", health=Health.DOUBTFUL, message=message, advice=advice)


def plugin() -> Finding:
    """Look for the program that opens tunnels."""
    program = shutil.which(tunnel.PLUGIN)
    if program is None:
        message = f"{tunnel.PLUGIN} is not on the PATH; without it the queue cannot be reached through SSM"
        advice = f"install it ({tunnel.WHERE}), or `oppcloud up --client-cidr auto` for a direct way in"
        return Finding(subject="way in", health=Health.BAD, message=message, advice=advice)
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=30).stdout
    return Finding(subject="way in", health=Health.GOOD, message=f"{program} {said.strip()}")
