"""What Amazon's services tell, as values. Times are seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who is logged in."""

    account: str
    arn: str
    #: Seconds by which this machine's clock is ahead of Amazon's; None if the answer did not say.
    clock_ahead: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A CloudFormation stack."""

    #: Its ARN, by which it can still be asked for when it is gone.
    id: str
    name: str
    #: CREATE_COMPLETE and so on.
    status: str
    reason: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    created: float = 0.0

    @property
    def busy(self) -> bool:
        """Whether CloudFormation is at work on it."""
        return self.status.endswith("_IN_PROGRESS")

    @property
    def usable(self) -> bool:
        """Whether all that it describes is there."""
        return self.status in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StackEvent:
    """One line of what CloudFormation does."""

    id: str
    time: float
    resource: str
    #: AWS::EC2::VPC and so on.
    type: str
    status: str
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether it tells of a failure."""
        return self.status.endswith("_FAILED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An EC2 instance that is not terminated."""

    id: str
    type: str
    #: pending, running, stopping, stopped, shutting-down.
    state: str
    spot: bool
    #: When it was last started.
    launched: float
    #: The cluster that it belongs to, by its tag; "" if it has none.
    cluster: str = ""
    #: Its name, by its tag.
    name: str = ""
    public_address: str = ""

    @property
    def running(self) -> bool:
        """Whether it costs something."""
        return self.state in {"pending", "running"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """An Auto Scaling group."""

    name: str
    desired: int
    maximum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingActivity:
    """That an Auto Scaling group started or ended an instance, or tried to."""

    #: "" if none was got.
    instance: str
    launch: bool
    succeeded: bool
    #: When it was begun, and when it was done.
    start: float
    end: float | None
    #: What it says when it failed, such as that there is no spot capacity.
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """An SSM parameter."""

    name: str
    value: str = field(repr=False)
    modified: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line of a log."""

    id: str
    time: float
    #: worker/worker/0123456789abcdef and so on.
    stream: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedImage:
    """An image in a repository."""

    digest: str
    #: "amd64" or "arm64"; several for an image of several.
    architectures: frozenset[str]
