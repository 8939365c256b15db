"""Who we are, what we may have, and what carries our tag."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from .values import Identity

if TYPE_CHECKING:
    from collections.abc import Callable

    from .service import Service

#: Service Quotas' codes of "vCPUs of standard instances running at a time".
_SPOT_QUOTA, _ON_DEMAND_QUOTA = "L-34B43A08", "L-1216C47A"


class Account:
    """STS, Service Quotas and the tagging API."""

    def __init__(self, sts: Service, quotas: Service, tagging: Service) -> None:
        self._sts = sts
        self._quotas = quotas
        self._tagging = tagging

    def identity(self, now: Callable[[], float] = time.time) -> Identity:
        """Return who is logged in."""
        answer = self._sts.call("get_caller_identity")
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        ahead = now() - parsedate_to_datetime(date).timestamp() if date else None
        return Identity(account=answer["Account"], arn=answer["Arn"], clock_ahead=ahead)

    def vcpu_quota(self, *, spot: bool) -> int:
        """Return how many vCPUs the account may run at the same time."""
        code = _SPOT_QUOTA if spot else _ON_DEMAND_QUOTA
        answer = self._quotas.call("get_service_quota", ServiceCode="ec2", QuotaCode=code)
        return int(answer["Quota"]["Value"])

    def tagged(self, key: str, value: str) -> tuple[str, ...]:
        """Return the ARNs of all that carries a tag, or did until lately: the index lags behind by minutes."""
        filters = [{"Key": key, "Values": [value]}]
        found = self._tagging.items("get_resources", "ResourceTagMappingList", TagFilters=filters)
        return tuple(sorted(item["ResourceARN"] for item in found))
