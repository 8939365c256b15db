"""All services together, for one region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oppcloud_worker.settings import amazon_region

from .account import Account
from .errors import AwsError, no_answer
from .instances import Instances
from .logs import Logs
from .parameters import Parameters
from .service import Service
from .stacks import Stacks
from .storage import Storage

if TYPE_CHECKING:
    from collections.abc import Callable

_INSTALL = "Install what is needed for Amazon's cloud: pip install 'pytest-oppcloud[aws]'"


class Aws:
    """The services of one region, made when they are first needed."""

    def __init__(self, region: str, make_client: Callable[[str], Any]) -> None:
        """`make_client` returns a boto3 client by the name of the service."""
        self.region = region
        self._make_client = make_client
        self._services: dict[str, Service] = {}

    def _service(self, name: str) -> Service:
        if name not in self._services:
            self._services[name] = Service(self._make_client(name))
        return self._services[name]

    @property
    def account(self) -> Account:
        """Who we are and what we may have."""
        return Account(self._service("sts"), self._service("service-quotas"), self._service("resourcegroupstaggingapi"))

    @property
    def stacks(self) -> Stacks:
        """CloudFormation."""
        return Stacks(self._service("cloudformation"))

    @property
    def instances(self) -> Instances:
        """EC2 and Auto Scaling."""
        return Instances(self._service("ec2"), self._service("autoscaling"))

    @property
    def parameters(self) -> Parameters:
        """SSM's parameters and sessions."""
        return Parameters(self._service("ssm"))

    @property
    def storage(self) -> Storage:
        """S3 and ECR."""
        return Storage(self._service("s3"), self._service("ecr"))

    @property
    def logs(self) -> Logs:
        """CloudWatch Logs."""
        return Logs(self._service("logs"))


def connect(region: str | None = None, profile: str | None = None) -> Aws:
    """Return the services of `region`, or of the region that is set up; nothing is sent yet.

    Raise `AwsError` when boto3 is not installed, no region is known, or the profile does not exist.
    """
    try:
        import boto3  # noqa: PLC0415  # only here, see the package
        from botocore.config import Config  # noqa: PLC0415  # late, as boto3
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415  # late, as boto3
    except ModuleNotFoundError as error:
        raise AwsError(f"{error.name} is not installed", advice=_INSTALL) from error
    config = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10, read_timeout=60)
    try:
        session = boto3.session.Session(region_name=amazon_region(region), profile_name=profile)
    except BotoCoreError as error:
        raise no_answer("", error) from error
    if session.region_name is None:
        raise AwsError("no region is given", advice="Use --region, or set AWS_REGION.")
    return Aws(session.region_name, lambda service: _client(session, service, config))


def _client(session: Any, service: str, config: object) -> Any:
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  # late, as boto3

    try:
        return session.client(service, config=config)
    except BotoCoreError as error:
        raise no_answer(service, error) from error
