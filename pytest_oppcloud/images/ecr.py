"""Amazon's container registry (ECR): making a repository, and a password for it.

boto3 is imported when it is needed, as only this registry needs it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from oppcloud_worker.settings import amazon_region

from pytest_oppcloud.errors import MachineryError, SettingsError

if TYPE_CHECKING:
    from .reference import Reference

#: What stands on all that this project makes at Amazon's.
TAGS = ({"Key": "oppcloud", "Value": "image"},)
#: Untagged images, which nothing can name any more, are kept for so many days.
_UNTAGGED_DAYS = 14
_LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "what no tag names any more",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": _UNTAGGED_DAYS,
            },
            "action": {"type": "expire"},
        }
    ]
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """User and password for a registry, good for some hours."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r}, password=***)"


def own_registry(region: str | None = None) -> str:
    """Return the registry of the account whose credentials boto3 finds; raise `SettingsError` or `MachineryError`."""
    session = _session(region)
    if session.region_name is None:
        raise SettingsError("no region for Amazon's registry", advice="Give --region, or set AWS_REGION.")
    account = _ask(session, "sts", "get_caller_identity")["Account"]
    ending = "amazonaws.com.cn" if session.region_name.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{session.region_name}.{ending}"


def ensure_repository(name: Reference) -> bool:
    """Create the repository of an image unless it is there; return whether it was missing.

    What is created scans images as they are pushed, and forgets those that no tag names any more. Tags may be
    overwritten, as the tag `latest` lives from that. Raises `SettingsError` or `MachineryError`.
    """
    session = _session(name.ecr_region)
    client = session.client("ecr")
    owner = {"registryId": name.ecr_account}
    try:
        client.describe_repositories(repositoryNames=[name.repository], **owner)
    except client.exceptions.RepositoryNotFoundException:
        pass
    except _errors() as error:
        _explain(error)
    else:
        return False
    try:
        client.create_repository(
            repositoryName=name.repository,
            imageScanningConfiguration={"scanOnPush": True},
            encryptionConfiguration={"encryptionType": "AES256"},
            tags=list(TAGS),
            **owner,
        )
        client.put_lifecycle_policy(repositoryName=name.repository, lifecyclePolicyText=json.dumps(_LIFECYCLE), **owner)
    except client.exceptions.RepositoryAlreadyExistsException:
        # Somebody else was faster, which is as good.
        return False
    except _errors() as error:
        _explain(error)
    return True


def credentials(name: Reference) -> Credentials:
    """Return user and password for the registry of an image; raise `SettingsError` or `MachineryError`."""
    answer = _ask(_session(name.ecr_region), "ecr", "get_authorization_token")
    token = answer["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    return Credentials(user=user, password=password)


def _session(region: str | None) -> Any:
    try:
        import boto3  # noqa: PLC0415  # late, see above
    except ImportError as error:
        raise SettingsError(
            "Amazon's registry needs boto3, which is not installed", advice="pip install 'pytest-oppcloud[aws]'"
        ) from error
    return boto3.Session(region_name=amazon_region(region))


def _errors() -> tuple[type[Exception], ...]:
    """Return all that boto3 may raise: refused, not reached, no credentials."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # late, as boto3

    return (BotoCoreError, ClientError)


def _ask(session: Any, service: str, question: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = getattr(session.client(service), question)()
    except _errors() as error:
        _explain(error)
    return answer


def _explain(error: Exception) -> NoReturn:
    from botocore.exceptions import NoCredentialsError  # noqa: PLC0415  # late, as boto3

    if isinstance(error, NoCredentialsError):
        raise SettingsError(
            "Amazon's registry needs credentials, and boto3 finds none",
            advice="Log in (aws sso login, aws configure), or set AWS_PROFILE.",
        ) from error
    raise MachineryError(f"Amazon's registry: {error}") from error
