"""One contract for all stores, with a real Redis and a real server that speaks S3's protocol."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from oppcloud_worker.messages import Cause, RunRequest
from oppcloud_worker.remote import s3_store
from oppcloud_worker.remote.redis_store import RedisStore
from oppcloud_worker.remote.s3_store import S3Address, S3Store, StoreAddressError
from oppcloud_worker.store import ContentError, Store

from pytest_oppcloud.cloud.campaign import Submission
from pytest_oppcloud.content import Content

from .conftest import KEY, eventually

if TYPE_CHECKING:
    from .conftest import Client, Processes, Project, Server, Workers

Script = Callable[..., RunRequest]

#: No secrets: the server of the tests takes any.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "of-no-worth", "AWS_REGION": "eu-central-1"}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a server that speaks S3's protocol; return its address."""
    log = tmp_path_factory.mktemp("s3") / "log"
    # It takes a free port itself: what is free now may be somebody else's when it begins, who would then answer.
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", "0"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=output)

    def address() -> str:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        return found[0] if found else ""

    try:
        eventually(address, 60, "the S3 server tells its address")
        yield address()
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client for a bucket of the test's own, `bucket`."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL_S3": endpoint}.items():
        monkeypatch.setenv(name, value)
    s3_store._client.cache_clear()
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": CREDENTIALS["AWS_REGION"]})
    yield client
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST"), timeout=60)  # noqa: S310  # a server of ours
    s3_store._client.cache_clear()


@pytest.fixture(params=["redis", "s3"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "redis":
        server: Server = request.getfixturevalue("server")
        return RedisStore(server.connection, "oppcloud:content:", ttl=60)
    request.getfixturevalue("s3")
    return S3Store(S3Address.parse("s3://bucket/some/prefix"), "content/")


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put(store: Store, data: bytes) -> str:
    store.put(digest_of(data), io.BytesIO(data), len(data))
    return digest_of(data)


@pytest.mark.parametrize(
    "data", [b"", b"some data", os.urandom(3_000_000), b"x" * 30_000_000], ids=["empty", "small", "random", "large"]
)
def test_what_is_put_is_got(store: Store, data: bytes) -> None:
    assert not store.has(digest_of(data))
    digest = put(store, data)
    assert store.has(digest)
    target = io.BytesIO()
    store.get(digest, target)
    assert target.getvalue() == data
    # Once more does no harm.
    assert put(store, data) == digest


def test_what_is_not_there_is_an_error(store: Store) -> None:
    with pytest.raises(ContentError, match=digest_of(b"other")[:12]):
        store.get(digest_of(b"other"), io.BytesIO())


@pytest.mark.parametrize(("data", "size"), [(b"other", 5), (b"data!", 4), (b"dat", 4)])
def test_what_is_not_what_it_claims_to_be_is_not_taken(store: Store, data: bytes, size: int) -> None:
    with pytest.raises(ContentError):
        store.put(digest_of(b"data"), io.BytesIO(data), size)
    assert not store.has(digest_of(b"data"))


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_what_is_no_digest_is_no_name(store: Store, digest: str) -> None:
    for action in (store.has, lambda name: store.get(name, io.BytesIO())):
        with pytest.raises(ContentError, match="not a SHA-256"):
            action(digest)


def test_the_limit_of_redis_is_an_error_that_tells_what_to_do(server: Server) -> None:
    store = RedisStore(server.connection, "oppcloud:content:", ttl=60, limit=1000)
    with pytest.raises(ContentError, match=r"1000 bytes.*OPPCLOUD_STORE=s3://"):
        put(store, os.urandom(2000))
    assert not server.connection.keys("*")


def test_a_full_redis_is_an_error_that_tells_what_to_do(server: Server) -> None:
    server.connection.config_set("maxmemory-policy", "noeviction")
    server.connection.config_set("maxmemory", "1")
    with pytest.raises(ContentError, match=r"maxmemory.*S3"):
        put(RedisStore(server.connection, "oppcloud:content:", ttl=60), b"data")


def test_content_in_s3_is_compressed_and_encrypted_below_the_prefix(s3: Any) -> None:
    digest = put(S3Store(S3Address.parse("s3://bucket/some/prefix/"), "content/"), b"x" * 100_000)

    (found,) = s3.list_objects_v2(Bucket="bucket")["Contents"]
    assert found["Key"] == f"some/prefix/content/{digest}"
    assert found["Size"] < 1000
    assert s3.head_object(Bucket="bucket", Key=found["Key"])["ServerSideEncryption"] == "AES256"


def test_the_key_of_the_encryption_can_be_chosen(s3: Any) -> None:
    digest = put(S3Store(S3Address.parse("s3://bucket?sse=aws:kms&kms_key=alias/mine"), ""), b"data")

    found = s3.head_object(Bucket="bucket", Key=digest)
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", "alias/mine")


def test_large_content_travels_in_parts(s3: Any) -> None:
    digest = put(S3Store(S3Address.parse("s3://bucket"), ""), os.urandom(20 * 1024 * 1024))

    # The tag of an object that came in parts ends with their number.
    assert s3.head_object(Bucket="bucket", Key=digest)["ETag"].strip('"').endswith("-3")


def test_damaged_content_in_s3_is_an_error(s3: Any) -> None:
    store = S3Store(S3Address.parse("s3://bucket"), "")
    digest = put(store, b"data")
    s3.put_object(Bucket="bucket", Key=digest, Body=b"damaged")

    with pytest.raises(ContentError, match="damaged"):
        store.get(digest, io.BytesIO())


def test_many_are_asked_for_and_removed_at_a_time(s3: Any) -> None:  # noqa: ARG001  # the bucket
    store = S3Store(S3Address.parse("s3://bucket/p"), "content/")
    there = [put(store, str(number).encode()) for number in range(30)]
    missing = [digest_of(b"a"), digest_of(b"b")]

    assert store.lacking([*there, *missing]) == set(missing)
    store.remove(there[:-1])
    assert store.lacking(there) == set(there[:-1])
    store.remove([])


def test_errors_of_s3_tell_what_to_do(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ContentError, match="create it"):
        put(S3Store(S3Address.parse("s3://no-such-bucket"), ""), b"data")
    # The server's own means to have one refused.
    s3.put_bucket_policy(
        Bucket="bucket",
        Policy='{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*",'
        '"Resource":"arn:aws:s3:::bucket/*"}]}',
    )
    with pytest.raises(ContentError, match="may not do that"):
        put(S3Store(S3Address.parse("s3://bucket"), ""), b"data")

    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setattr(s3_store, "_ATTEMPTS", 1)
    s3_store._client.cache_clear()
    with pytest.raises(ContentError, match=r"s3://bucket.*127\.0\.0\.1"):
        S3Store(S3Address.parse("s3://bucket"), "").has(digest_of(b"data"))


def test_no_credentials_are_an_error(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001  # for what it does
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    s3_store._client.cache_clear()
    with pytest.raises(ContentError, match="credentials"):
        S3Store(S3Address.parse("s3://bucket"), "").has(digest_of(b"data"))


@pytest.mark.parametrize(
    "url", ["s3://", "http://bucket", "bucket", "s3://key:secret@bucket/p", "s3://b?sse=rot13", "s3://b?class=x"]
)
def test_what_is_no_address_of_a_store_is_an_error(url: str) -> None:
    with pytest.raises(StoreAddressError):
        S3Address.parse(url)


# Campaigns with a store in S3.


@pytest.fixture
def in_s3(s3: Any, monkeypatch: pytest.MonkeyPatch, processes: Processes) -> Any:  # noqa: ARG001  # for what it does
    """Return the client of S3, with a store set for the session; the order matters, `processes` clears variables."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.meta.endpoint_url)
    monkeypatch.setenv("OPPCLOUD_STORE", "s3://bucket/campaigns")
    return s3


def keys_in(s3: Any) -> list[str]:
    return [found["Key"] for found in s3.list_objects_v2(Bucket="bucket").get("Contents", [])]


def test_content_and_files_go_through_s3_and_none_through_redis(
    in_s3: Any, project: Project, workers: Workers, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write('[Config Crash]\n**.behaviour = "crash x"\n')
    project.record()
    workers.start()
    monkeypatch.setenv("OPPCLOUD_REDIS_URL", server.url)
    monkeypatch.setenv("OPPCLOUD_KEY", KEY.to_text())
    server.connection.config_resetstat()
    folder = project.pytester.path / ".oppcloud"
    before = set(folder.iterdir())

    run = project.run("--oppcloud")
    run.assert_outcomes(passed=1, failed=1)
    # Not the one with the last name: of two sessions of the same second, that may be the first one.
    (newest,) = set(folder.iterdir()) - before
    assert len(list(newest.rglob("stdout.txt"))) == 1
    assert not list(server.connection.scan_iter("oppcloud:content:*"))
    names = keys_in(in_s3)
    assert names
    # What the session left behind is content, for the next one.
    assert all(name.startswith("campaigns/content/") for name in names)


def test_all_result_files_are_fetched_where_a_local_run_would_leave_them(
    in_s3: Any,  # noqa: ARG001  # for what it does
    project: Project,
) -> None:
    project.write('[Config Study]\n**.value = ${value=1, 2}\nrepeat = 2\n[Config Crash]\n**.behaviour = "crash x"\n')
    project.record()
    run = project.run("--oppcloud", "--oppcloud-results", "fetched")
    run.assert_outcomes(passed=5, failed=1)

    folder = project.pytester.path / "fetched" / "results"
    names = sorted(path.name for path in folder.iterdir())
    stems = ["General-#0", *(f"Study-value={value}-#{repetition}" for value in (1, 2) for repetition in (0, 1))]
    assert [name for name in names if name.endswith(".sca")] == sorted(f"{stem}.sca" for stem in stems)
    assert [name for name in names if name.endswith(".out")] == sorted(f"{stem}.out" for stem in [*stems, "Crash-#0"])
    assert "scalar Tiny value 2" in (folder / "Study-value=2-#1.sca").read_text()


def test_without_a_store_in_s3_small_result_files_are_fetched_as_well(
    processes: Processes,  # noqa: ARG001  # for what it does
    project: Project,
) -> None:
    project.write("")
    project.record()
    project.run("--oppcloud", f"--oppcloud-results={project.pytester.path / 'here'}").assert_outcomes(passed=1)

    assert (project.pytester.path / "here" / "results" / "General-#0.sca").is_file()


def test_a_store_that_is_not_there_is_an_error_of_the_machinery(
    in_s3: Any, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_s3.delete_bucket(Bucket="bucket")
    project.write("")
    project.record()
    run = project.run("--oppcloud")
    run.assert_outcomes(errors=1)
    run.stdout.fnmatch_lines(["*there is no such bucket*"])

    monkeypatch.setenv("OPPCLOUD_STORE", "http://bucket")
    run = project.run("--oppcloud")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["*OPPCLOUD_STORE*s3://BUCKET/PREFIX*"])


def test_content_that_s3_lost_is_sent_again(
    in_s3: Any, make_client: Callable[..., Client], workers: Workers, script: Script, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "data").write_text("some data")
    content = Content(root=tmp_path / "model", files=(("data", tmp_path / "model" / "data"),))
    client = make_client(store="s3://bucket/campaigns")
    request = script("cat data", directory=str(content.root))
    client.executor.submit([Submission(request=request, content=content)])
    eventually(lambda: len(keys_in(in_s3)) == 2, 60, "the content is there")
    for name in keys_in(in_s3):
        in_s3.delete_object(Bucket="bucket", Key=name)
    workers.start()

    outcome = client.executor.result(request)
    assert outcome.cause is not Cause.CONTENT_MISSING
    assert outcome.stdout == "some data"
    assert client.dispatcher.statistics.lost["CONTENT_MISSING"] >= 1


def test_s3_is_not_asked_where_nobody_wants_it(project: Project, processes: Processes) -> None:  # noqa: ARG001  # for what it does
    """Who has no store in S3 needs no boto3."""
    blocked = project.pytester.path / "blocked"
    blocked.mkdir()
    (blocked / "boto3.py").write_text("raise ImportError('blocked')")
    project.write("")
    project.record()
    os.environ["PYTHONPATH"] = str(blocked)
    try:
        project.run("--oppcloud").assert_outcomes(passed=1)
    finally:
        del os.environ["PYTHONPATH"]
    shutil.rmtree(blocked)


def test_the_server_of_the_tests_tells_errors_as_s3_does(s3: Any) -> None:
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket="bucket", Key="none")
