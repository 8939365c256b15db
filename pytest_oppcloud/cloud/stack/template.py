"""The template as it is shipped: plain YAML, here only as text."""

from __future__ import annotations

import hashlib
from importlib import resources

#: The parameters of the template, in its order.
PARAMETERS = (
    "Name", "Image", "ImageTag", "QueueImage", "HeadType", "HeadAmi", "WorkerAmi", "WorkerType", "WorkerType2",
    "WorkerType3", "WorkerType4", "WorkerType5", "MaxInstances", "OnDemandPercentage", "ClientCidr", "RetentionDays",
    "LeaseMinutes",
)  # fmt: skip
#: Those that hold the workers' instance types.
WORKER_TYPES = tuple(name for name in PARAMETERS if name.startswith("WorkerType"))


def text() -> str:
    """Return the template."""
    return resources.files(__package__).joinpath("template.yaml").read_text(encoding="utf-8")


def digest() -> str:
    """Return what tells one template from another."""
    return hashlib.sha256(text().encode()).hexdigest()[:16]
