"""What `oppcloud up` can be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_oppcloud.errors import SettingsError

from . import names, prices, template

#: Five types of eight vCPUs: the more there are, the fewer spot instances are taken away.
DEFAULT_WORKER_TYPES = ("c7i.2xlarge", "c6i.2xlarge", "c7a.2xlarge", "c6a.2xlarge", "m7i.2xlarge")
DEFAULT_HEAD_TYPE = "t3.small"
DEFAULT_MAX_INSTANCES = 4
DEFAULT_LEASE_MINUTES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The wishes; None for "as it is", or the default for a new cluster."""

    name: str = names.DEFAULT_NAME
    max_instances: int | None = None
    worker_types: tuple[str, ...] | None = None
    on_demand: bool | None = None
    head_type: str | None = None
    #: The workers' image; "" for the cluster's own repository.
    image: str | None = None
    #: The address that may reach the queue directly; "" for none.
    client_cidr: str | None = None
    retention_days: int | None = None
    lease_minutes: int | None = None
    renew_secrets: bool = False

    def __post_init__(self) -> None:
        """Raise `SettingsError` for what cannot be had."""
        names.checked(self.name)
        if self.head_type is not None:
            prices.checked(self.head_type)
        if self.worker_types is not None:
            _check_types(self.worker_types)


def _check_types(types: tuple[str, ...]) -> None:
    if not 1 <= len(types) <= len(template.WORKER_TYPES) or len(set(types)) != len(types):
        raise SettingsError(
            f"instance types: {', '.join(types) or 'none'}",
            advice=f"Between one and {len(template.WORKER_TYPES)} different ones are possible.",
        )
    architectures = {prices.architecture(prices.checked(instance_type)) for instance_type in types}
    if len(architectures) > 1:
        raise SettingsError(
            f"instance types of different architectures: {', '.join(types)}",
            advice="An image runs on one of them; take either Graviton types (c7g) or others.",
        )
