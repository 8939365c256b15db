"""Amazon's services, as far as we need them: typed methods named after our need.

    aws = connect(region="eu-central-1")
    aws.stacks.describe("oppcloud-default")

No other package of the client knows boto3; it is imported when `connect` is called, not before. Each service has a
module; all of them call through `Service`, which turns botocore's errors into ours.
"""

from __future__ import annotations

from .client import Aws, connect
from .errors import AccessDeniedError, AwsError, CredentialsError, QuotaError
from .values import (
    Group,
    Identity,
    Instance,
    LogLine,
    Parameter,
    PushedImage,
    ScalingActivity,
    Stack,
    StackEvent,
)

__all__ = [
    "AccessDeniedError",
    "Aws",
    "AwsError",
    "CredentialsError",
    "Group",
    "Identity",
    "Instance",
    "LogLine",
    "Parameter",
    "PushedImage",
    "QuotaError",
    "ScalingActivity",
    "Stack",
    "StackEvent",
    "connect",
]
