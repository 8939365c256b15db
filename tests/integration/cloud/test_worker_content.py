"""What runs need, on its way through Redis, and what comes back."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from oppcloud_worker.manifest import build
from oppcloud_worker.messages import Cause, RunOutcome, RunRequest
from oppcloud_worker.remote import keys, results
from oppcloud_worker.remote.redis_store import RedisStore
from oppcloud_worker.remote.stores import content_store
from oppcloud_worker.store import ContentError

from pytest_oppcloud.cloud.campaign import Submission
from pytest_oppcloud.cloud.shipping import Shipping
from pytest_oppcloud.content import Content
from pytest_oppcloud.errors import MachineryError
from pytest_oppcloud.queues.fetching import LEFT_OUT

from .conftest import eventually

if TYPE_CHECKING:
    from .conftest import Client, Server, Workers

Script = Callable[..., RunRequest]


@pytest.fixture
def content(tmp_path: Path) -> Content:
    """Return a folder of two files, of which one can be executed."""
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "program").write_text("#!/bin/sh\npwd; cat data.txt; ls -l ../program | cut -c4\n")
    (folder / "program").chmod(0o755)
    (folder / "sub" / "data.txt").write_text("some data\n")
    names = ("program", "sub/data.txt")
    return Content(root=folder, files=tuple((name, folder / name) for name in names))


def request_for(content: Content) -> RunRequest:
    return RunRequest(
        name="run",
        program=("../program",),
        arguments=(),
        directory=str(content.root / "sub"),
        config="General",
        run_number=0,
        repetition=0,
    )


def run(client: Client, content: Content) -> RunOutcome:
    client.executor.submit([Submission(request=request_for(content), content=content)])
    return client.executor.result(request_for(content))


def test_a_run_finds_its_files_where_the_worker_unpacked_them(
    client: Client, workers: Workers, content: Content, tmp_path: Path
) -> None:
    workers.start()
    place, data, executable = run(client, content).stdout.splitlines()

    assert Path(place).is_relative_to(tmp_path / "cache")
    assert (data, executable) == ("some data", "x")


def test_what_the_store_has_is_not_sent_again(server: Server, content: Content) -> None:
    first = Shipping(content_store("", server.connection))
    first.send(content)
    assert first.sent_bytes > first.total_bytes > 0

    again = Shipping(content_store("", server.connection))
    again.send(content)
    assert again.sent_bytes == 0

    (content.root / "sub" / "data.txt").write_text("other")
    changed = Shipping(content_store("", server.connection))
    changed.send(Content(root=content.root, files=content.files))
    manifest = build(content.files)
    assert changed.sent_bytes == len("other") + len(manifest.to_bytes())


def damage(server: Server, content: Content) -> None:
    """Put other bytes in the place of a file."""
    wrong = io.BytesIO(b"evil data\n")
    store = RedisStore(server.connection, "", ttl=60)
    digest = hashlib.sha256(wrong.getvalue()).hexdigest()
    store.put(digest, wrong, len(wrong.getvalue()))
    entry = next(entry for entry in build(content.files).entries if entry.path == "sub/data.txt")
    server.connection.copy(digest, keys.content() + entry.digest, replace=True)


def test_damaged_content_is_never_used_and_sent_anew(
    client: Client, workers: Workers, server: Server, content: Content
) -> None:
    Shipping(content_store("", server.connection)).send(content)
    damage(server, content)
    workers.start()
    outcome = run(client, content)

    assert outcome.stdout.splitlines()[1] == "some data"
    assert outcome.attempt == 2
    assert "digest" in client.notices[0]


def test_content_that_the_store_lost_is_sent_again(
    client: Client, workers: Workers, server: Server, content: Content
) -> None:
    client.executor.submit([Submission(request=request_for(content), content=content)])
    eventually(lambda: server.connection.llen("rq:queue:oppcloud"), 30, "the run is queued")
    for name in server.connection.scan_iter(keys.content() + "*"):
        server.connection.delete(name)
    workers.start()
    outcome = client.executor.result(request_for(content))

    assert outcome.stdout.splitlines()[1] == "some data"
    assert outcome.attempt == 2


def test_a_file_that_cannot_be_sent_is_named(client: Client, content: Content) -> None:
    missing = Content(root=content.root, files=(*content.files, ("gone", content.root / "gone")))

    outcome = run(client, missing)
    assert outcome.cause is Cause.CONTENT_MISSING
    assert str(content.root / "gone") in outcome.message


def test_a_file_that_is_too_large_for_redis_is_refused_with_advice(server: Server) -> None:
    store = RedisStore(server.connection, "x:", ttl=60, limit=1000)
    data = os.urandom(2000)
    digest = hashlib.sha256(data).hexdigest()

    with pytest.raises(ContentError, match=r"1000 bytes .* files.exclude"):
        store.put(digest, io.BytesIO(data), len(data))
    assert not store.has(digest)


def test_a_redis_without_memory_is_an_error_with_advice(server: Server) -> None:
    server.connection.config_set("maxmemory", "1")
    data = b"x" * 10_000
    with pytest.raises(ContentError, match="maxmemory"):
        RedisStore(server.connection, "x:", ttl=60).put(hashlib.sha256(data).hexdigest(), io.BytesIO(data), len(data))


@pytest.mark.parametrize("data", [b"", b"junk", b"\x78\x9c"])
def test_what_is_damaged_in_redis_is_noticed(server: Server, data: bytes) -> None:
    store = RedisStore(server.connection, "x:", ttl=60)
    digest = hashlib.sha256(b"right").hexdigest()
    server.connection.set(f"x:{digest}", data)
    target = io.BytesIO()
    try:
        store.get(digest, target)
    except ContentError:
        return
    # Nothing came, and whoever reads it verifies that.
    assert target.getvalue() == b""


def test_result_files_come_back_and_leave_no_trace(
    client: Client, workers: Workers, server: Server, script: Script, tmp_path: Path
) -> None:
    workers.start()
    outcome = client.run(
        script("echo said; echo recorded > ${1#--result-dir=}/x.sca; mkdir ${1#--result-dir=}/empty; exit 1")
    )
    kept = tmp_path / "kept"
    client.executor.keep_files(outcome, kept)

    assert {str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()} == {
        "stdout.txt",
        "stderr.txt",
        "results/x.sca",
    }
    assert (kept / "stdout.txt").read_text() == "said\n"
    assert (kept / "results" / "x.sca").read_text() == "recorded\n"
    assert not list(server.connection.scan_iter("oppcloud:*:files:*"))


def test_files_of_runs_that_passed_are_dropped(
    client: Client, workers: Workers, server: Server, script: Script
) -> None:
    workers.start()
    client.executor.discard_files(client.run(script("echo said")))

    assert not list(server.connection.scan_iter("oppcloud:*:files:*"))


def test_a_file_that_was_lost_is_told(
    client: Client, workers: Workers, server: Server, script: Script, tmp_path: Path
) -> None:
    workers.start()
    outcome = client.run(script("echo said"))
    for name in server.connection.scan_iter("oppcloud:*:files:*"):
        server.connection.delete(name)

    with pytest.raises(MachineryError, match=r"stdout.txt of the run was lost"):
        client.executor.keep_files(outcome, tmp_path / "kept")


def test_files_that_are_too_large_are_named_and_left_out(
    client: Client, workers: Workers, script: Script, tmp_path: Path
) -> None:
    workers.start()
    size = results.FAILED_LIMITS[0] + 1
    outcome = client.run(script(f"truncate -s {size} ${{1#--result-dir=}}/x.vec; echo said"))
    client.executor.keep_files(outcome, tmp_path / "kept")

    assert (tmp_path / "kept" / "stdout.txt").read_text() == "said\n"
    assert f"results/x.vec ({size} bytes)" in (tmp_path / "kept" / LEFT_OUT).read_text()
    assert not (tmp_path / "kept" / "results").exists()


def test_a_link_in_the_place_of_a_result_file_is_not_followed(
    client: Client, workers: Workers, script: Script, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "stdout.txt").symlink_to(outside)
    workers.start()
    client.executor.keep_files(client.run(script("echo said")), tmp_path / "kept")

    assert outside.read_text() == "untouched"
    assert (tmp_path / "kept" / "stdout.txt").read_text() == "said\n"


def test_names_of_result_files_cannot_leave_their_folder(
    client: Client, workers: Workers, script: Script, tmp_path: Path
) -> None:
    workers.start()
    outcome = client.run(script("echo said"))
    (file,) = (file for file in outcome.files if file.path == "stdout.txt")
    evil = replace(outcome, files=(replace(file, path="../outside"),))

    with pytest.raises(MachineryError):
        client.executor.keep_files(evil, tmp_path / "kept")
    assert not (tmp_path / "outside").exists()
