"""The store in S3: content of any size, compressed, under a prefix of a bucket.

boto3 is imported late: only who uses this store needs it (extra `s3`). Credentials, region and endpoint are found by
boto3's own means; transfers in parts, several at a time, and retries are boto3's, too. How long objects live is for
the bucket's lifecycle rules to say.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

from oppcloud_worker.settings import amazon_region
from oppcloud_worker.store import ContentError, Sink, check_digest

from .packing import BLOCK, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: Compressed bytes that are held in memory; larger content goes through a temporary file.
_IN_MEMORY = 8 * 1024 * 1024
#: Requests at a time when many objects are asked for.
_THREADS = 16
#: Objects that S3 removes at a time.
_CHUNK = 1000
_ATTEMPTS = 6
_CONNECT_TIMEOUT, _READ_TIMEOUT = 5, 60

#: What S3 says, and what to do about it.
_ADVICE = {
    "NoSuchBucket": "there is no such bucket; create it, or set OPPCLOUD_STORE to another",
    "AccessDenied": "these credentials may not do that; they need s3:GetObject, s3:PutObject and s3:DeleteObject below "
    "the prefix, and s3:ListBucket on the bucket",
    "403": "these credentials may not do that, or there is no such object and they may not list the bucket "
    "(s3:ListBucket)",
    "ExpiredToken": "the credentials have expired; get new ones",
    "InvalidAccessKeyId": "these credentials are not known",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
    "PermanentRedirect": "the bucket is in another region; set AWS_REGION to it",
    "NotImplemented": "the service does not know this kind of encryption; add ?sse=none to OPPCLOUD_STORE",
}
_MISSING = {"404", "NoSuchKey", "NotFound"}


class StoreAddressError(ValueError):
    """The URL of a store cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Address:
    """A prefix of a bucket."""

    bucket: str
    #: Ends with a slash, or is empty.
    prefix: str
    #: "AES256", "aws:kms" or "none".
    encryption: str = "AES256"
    #: The key for "aws:kms"; "" for the one of the account.
    kms_key: str = ""
    #: The region of the bucket; "" for the one that Amazon's own settings name.
    region: str = ""

    @classmethod
    def parse(cls, url: str) -> S3Address:
        """Read `s3://bucket/prefix?sse=aws:kms&kms_key=ID&region=R`; raise `StoreAddressError`."""
        parts = urlsplit(url)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if parts.scheme != "s3" or not parts.netloc or "@" in parts.netloc:
            raise StoreAddressError(f"s3://BUCKET/PREFIX was expected, found {url!r:.100}")
        unknown = query.keys() - {"sse", "kms_key", "region"}
        encryption = query.get("sse", "AES256")
        if unknown or encryption not in {"AES256", "aws:kms", "none"}:
            raise StoreAddressError(
                f"{url!r:.100}: known are the parameters sse=AES256 (the default), sse=aws:kms, sse=none, kms_key=ID "
                "and region=REGION"
            )
        prefix = parts.path.strip("/")
        return cls(
            bucket=parts.netloc,
            prefix=f"{prefix}/" if prefix else "",
            encryption=encryption,
            kms_key=query.get("kms_key", ""),
            region=query.get("region", ""),
        )

    @property
    def arguments(self) -> dict[str, str]:
        """What is told to S3 with each object."""
        if self.encryption == "none":
            return {}
        given = {"ServerSideEncryption": self.encryption}
        return given | ({"SSEKMSKeyId": self.kms_key} if self.kms_key else {})


class S3Store:
    """A store whose objects are named by the address's prefix, `folder` and the digest."""

    def __init__(self, address: S3Address, folder: str) -> None:
        """Take the address; `folder` ends with a slash. Nothing is sent yet."""
        self._address = address
        self._prefix = address.prefix + folder

    def __str__(self) -> str:
        """Return where it is, for people."""
        return f"s3://{self._address.bucket}/{self._prefix}"

    @property
    def client(self) -> Any:
        """boto3's client for the region of the bucket; raise `ContentError` where there is none."""
        return _client(self._address.region)

    def _key(self, digest: str) -> str:
        return self._prefix + check_digest(digest)

    def has(self, digest: str) -> bool:
        """Tell whether the store holds `digest`."""
        with _explained(self, digest):
            try:
                self.client.head_object(Bucket=self._address.bucket, Key=self._key(digest))
            except self.client.exceptions.ClientError as error:
                if _code(error) in _MISSING:
                    return False
                raise
        return True

    def lacking(self, digests: Sequence[str]) -> set[str]:
        """Return those of `digests` that the store lacks."""
        # Made here, and not by several threads at once.
        _ = self.client
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(self.has, digests)
            return {digest for digest, there in zip(digests, found, strict=True) if not there}

    def put(self, digest: str, source: BinaryIO, size: int) -> None:
        """Take `size` bytes from `source`, verified on the way."""
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as packed:
            pack(digest, source, size, packed)
            packed.seek(0)
            with _explained(self, digest):
                self.client.upload_fileobj(
                    packed, self._address.bucket, self._key(digest), ExtraArgs=self._address.arguments
                )

    def get(self, digest: str, target: Sink) -> None:
        """Write the content of `digest` to `target`, which verifies it."""
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as packed:
            with _explained(self, digest):
                self.client.download_fileobj(self._address.bucket, self._key(digest), packed)
            packed.seek(0)
            unpack(digest, iter(functools.partial(packed.read, BLOCK), b""), target, where=str(self))

    def remove(self, digests: Iterable[str]) -> None:
        """Remove what nobody needs any more."""
        names = [{"Key": self._key(digest)} for digest in digests]
        for start in range(0, len(names), _CHUNK):
            with _explained(self, ""):
                self.client.delete_objects(
                    Bucket=self._address.bucket, Delete={"Objects": names[start : start + _CHUNK], "Quiet": True}
                )

    def mark(self, name: str) -> None:
        """Leave an empty object called `name`, of which only the date counts."""
        with _explained(self, ""):
            self.client.put_object(
                Bucket=self._address.bucket, Key=self._prefix + name, Body=b"", **self._address.arguments
            )


@functools.cache
def _client(region: str) -> Any:
    """Return the one client of this process for a region; it may be used by any number of threads."""
    try:
        import boto3  # noqa: PLC0415  # late, see above
        from botocore.config import Config  # noqa: PLC0415  # late, as boto3
    except ImportError as error:
        raise ContentError("a store in S3 needs boto3: pip install 'pytest-oppcloud[s3]'") from error
    configuration = Config(
        retries={"mode": "standard", "max_attempts": _ATTEMPTS},
        connect_timeout=_CONNECT_TIMEOUT,
        read_timeout=_READ_TIMEOUT,
        max_pool_connections=_THREADS,
    )
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  # late, as boto3

    try:
        return boto3.session.Session(region_name=amazon_region(region)).client("s3", config=configuration)
    except BotoCoreError as error:
        raise ContentError(f"S3 cannot be used: {error}") from error


def _code(error: Any) -> str:
    """Return what S3 calls the error."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextlib.contextmanager
def _explained(store: S3Store, digest: str) -> Iterator[None]:
    """Turn the errors of boto3 into `ContentError`, with advice."""
    client = store.client
    from boto3.exceptions import Boto3Error  # noqa: PLC0415  # late, as boto3
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  # late, as boto3

    try:
        yield
    except client.exceptions.ClientError as error:
        code = _code(error)
        if code in _MISSING:
            raise ContentError(f"content {digest[:12]} is not in {store} (any more)") from error
        raise ContentError(f"{store}: {error}" + (f"; {_ADVICE[code]}" if code in _ADVICE else "")) from error
    except (BotoCoreError, Boto3Error) as error:
        # Boto3Error wraps what went wrong in a part of an upload, and quotes it.
        code = next((known for known in _ADVICE if f"({known})" in str(error)), "")
        raise ContentError(f"{store}: {error}" + (f"; {_ADVICE[code]}" if code else "")) from error
