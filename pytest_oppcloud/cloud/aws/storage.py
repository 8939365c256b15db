"""The bucket, and the repository of images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .errors import AwsError
from .values import PushedImage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .service import Service

#: How many objects one call deletes.
_AT_ONCE = 1000
_LISTS = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    *sorted(_LISTS),
)


class Storage:
    """S3 and ECR."""

    def __init__(self, s3: Service, ecr: Service) -> None:
        self._s3 = s3
        self._ecr = ecr

    def has_bucket(self, bucket: str) -> bool:
        """Tell whether there is such a bucket that we may see."""
        try:
            self._s3.call("head_bucket", Bucket=bucket)
        except AwsError as error:
            if error.code in {"404", "NoSuchBucket"}:
                return False
            raise
        return True

    def empty(self, bucket: str) -> int:
        """Delete everything in a bucket, all versions; return how many objects that were."""
        if not self.has_bucket(bucket):
            return 0
        count = 0
        for some in _chunks(self._versions(bucket)):
            answer = self._s3.call("delete_objects", Bucket=bucket, Delete={"Objects": some, "Quiet": True})
            for failed in answer.get("Errors", ()):
                raise AwsError(
                    f"{failed['Key']}: {failed.get('Message', '')}",
                    action="s3:DeleteObjects",
                    code=failed.get("Code", ""),
                )
            count += len(some)
        return count

    def _versions(self, bucket: str) -> Iterator[dict[str, str]]:
        for key in ("Versions", "DeleteMarkers"):
            for item in self._s3.items("list_object_versions", key, Bucket=bucket):
                yield {"Key": item["Key"], "VersionId": item["VersionId"]}

    def dates(self, bucket: str, folder: str) -> Mapping[str, float]:
        """Return when each object in a folder was written, by its key."""
        found = self._s3.items("list_objects_v2", "Contents", Bucket=bucket, Prefix=f"{folder}/")
        return {item["Key"]: item["LastModified"].timestamp() for item in found}

    def has_repository(self, repository: str) -> bool:
        """Tell whether there is such a repository of images."""
        try:
            self._ecr.call("describe_repositories", repositoryNames=[repository])
        except AwsError as error:
            if error.code == "RepositoryNotFoundException":
                return False
            raise
        return True

    def image(self, repository: str, tag: str) -> PushedImage | None:
        """Return the image with a tag, or None."""
        answer = self._ecr.call(
            "batch_get_image",
            repositoryName=repository,
            imageIds=[{"imageTag": tag}],
            acceptedMediaTypes=list(_MANIFESTS),
        )
        if not answer["images"]:
            return None
        found = answer["images"][0]
        manifest = json.loads(found["imageManifest"])
        platforms = (item.get("platform", {}).get("architecture", "") for item in manifest.get("manifests", ()))
        return PushedImage(digest=found["imageId"]["imageDigest"], architectures=frozenset(filter(None, platforms)))


def _chunks(items: Iterator[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    chunk: list[dict[str, str]] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == _AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
