"""Manifest, store and cache: content arrives whole and unchanged, or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest
from oppcloud_worker import manifest
from oppcloud_worker.cache import Cache
from oppcloud_worker.manifest import Manifest
from oppcloud_worker.store import ContentError, VerifyingSink, check_digest

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from oppcloud_worker.store import Sink


class FolderStore:
    """A store whose files a test can damage; the real ones need Redis or S3."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def has(self, digest: str) -> bool:
        return (self.root / check_digest(digest)).is_file()

    def put(self, digest: str, source: BinaryIO, size: int) -> None:
        data = io.BytesIO()
        sink = VerifyingSink(data, digest, size)
        sink.write(source.read())
        sink.finish()
        (self.root / digest).write_bytes(data.getvalue())

    def get(self, digest: str, target: Sink) -> None:
        if not self.has(digest):
            raise ContentError(f"content {digest[:12]} is not in the store")
        target.write((self.root / digest).read_bytes())


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def files(tmp_path: Path) -> list[tuple[str, Path]]:
    source = tmp_path / "source"
    source.mkdir()
    (source / "omnetpp.ini").write_text("[General]\n")
    (source / "model").write_bytes(b"\x7fELF")
    (source / "model").chmod(0o755)
    (source / "twin").write_text("[General]\n")
    return [("sim/omnetpp.ini", source / "omnetpp.ini"), ("sim/model", source / "model"), ("a", source / "twin")]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def put(store: FolderStore, data: bytes) -> str:
    store.put(digest_of(data), io.BytesIO(data), len(data))
    return digest_of(data)


def put_manifest(store: FolderStore, *entries: list[object]) -> str:
    return put(store, json.dumps({"format": 1, "files": list(entries)}).encode())


def test_a_manifest_depends_on_the_files_alone(files: list[tuple[str, Path]]) -> None:
    first = manifest.build(files)
    os.utime(files[0][1], (1, 1))
    assert manifest.build(reversed(files)).digest == first.digest
    assert [entry.path for entry in first.entries] == ["a", "sim/model", "sim/omnetpp.ini"]
    assert [entry.executable for entry in first.entries] == [False, True, False]
    assert first.size == 24
    assert Manifest.from_bytes(first.to_bytes()) == first


@pytest.mark.parametrize("change", ["content", "mode", "name"])
def test_any_change_of_a_file_is_another_manifest(files: list[tuple[str, Path]], change: str) -> None:
    before = manifest.build(files).digest
    if change == "content":
        files[0][1].write_text("[general]\n")
    elif change == "mode":
        files[0][1].chmod(0o755)
    else:
        files[0] = ("sim/other.ini", files[0][1])
    assert manifest.build(files).digest != before


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x", "a/../x", "a/..", ".", "./a", "a//b", "a/", "a/./b", "a\0b", "x" * 5000]
)
def test_paths_that_could_leave_the_folder_are_refused(files: list[tuple[str, Path]], path: str) -> None:
    with pytest.raises(ContentError):
        manifest.build([(path, files[0][1])])
    data = json.dumps({"format": 1, "files": [[path, 0, digest_of(b""), 0]]}).encode()
    with pytest.raises(ContentError):
        Manifest.from_bytes(data)


EMPTY = digest_of(b"")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"format": 2, "files": []}',
        b'{"format": 1, "files": {}}',
        b'{"format": 1, "files": [1]}',
        *(
            json.dumps({"format": 1, "files": entries}).encode()
            for entries in (
                [["a", -1, EMPTY, 0]],
                [["a", True, EMPTY, 0]],
                [["a", 0, EMPTY, 2]],
                [["a", 0, EMPTY.upper(), 0]],
                [["a", 0, "../../x", 0]],
                [["a", 0, EMPTY]],
                [["b", 0, EMPTY, 0], ["a", 0, EMPTY, 0]],
                [["a", 0, EMPTY, 0], ["a", 0, EMPTY, 0]],
                [["a", 0, EMPTY, 0], ["a/b", 0, EMPTY, 0]],
            )
        ),
    ],
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(ContentError):
        Manifest.from_bytes(data)


def test_a_folder_cannot_be_an_entry(tmp_path: Path) -> None:
    with pytest.raises(ContentError):
        manifest.build([("a", tmp_path)])


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="nowhere"):
        manifest.build([("a", tmp_path / "nowhere")])


def test_each_content_is_sent_once(files: list[tuple[str, Path]], store: FolderStore) -> None:
    content = manifest.build(files)
    assert manifest.upload(content, files, store) == 14 + len(content.to_bytes())
    assert manifest.upload(content, files, store) == 0
    assert store.has(content.digest)


def test_a_file_that_changed_meanwhile_is_not_sent(files: list[tuple[str, Path]], store: FolderStore) -> None:
    content = manifest.build(files)
    files[1][1].write_bytes(b"later")
    with pytest.raises(ContentError):
        manifest.upload(content, files, store)
    assert not store.has(content.digest)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n"])
def test_a_digest_cannot_name_another_file(store: FolderStore, cache: Cache, digest: str) -> None:
    with pytest.raises(ContentError), cache.content(digest, store):
        pass


def test_content_is_unpacked_as_it_was(files: list[tuple[str, Path]], store: FolderStore, cache: Cache) -> None:
    content = manifest.build(files)
    manifest.upload(content, files, store)
    with cache.content(content.digest, store) as root:
        for name, source in files:
            assert (root / name).read_bytes() == source.read_bytes()
            assert bool((root / name).stat().st_mode & stat.S_IXUSR) == (name == "sim/model")
            assert not (root / name).stat().st_mode & 0o222


class CountingStore(FolderStore):
    """A folder store that remembers what was asked of it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[str] = []

    def get(self, digest: str, target: Sink) -> None:
        self.asked.append(digest)
        super().get(digest, target)


@pytest.fixture
def stored(files: list[tuple[str, Path]], tmp_path: Path) -> tuple[str, CountingStore]:
    store = CountingStore(tmp_path / "store")
    content = manifest.build(files)
    manifest.upload(content, files, store)
    return content.digest, store


def test_content_is_fetched_once(stored: tuple[str, CountingStore], cache: Cache) -> None:
    digest, store = stored
    for _ in range(3):
        with cache.content(digest, store):
            pass
    assert len(store.asked) == 4


def test_several_users_at_once_fetch_once(stored: tuple[str, CountingStore], cache: Cache) -> None:
    digest, store = stored
    barrier = threading.Barrier(4)
    seen: list[bytes] = []

    def use() -> None:
        barrier.wait()
        with cache.content(digest, store) as root:
            seen.append((root / "a").read_bytes())
            barrier.wait()

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [b"[General]\n"] * 4
    assert len(store.asked) == 4


@pytest.mark.parametrize("damage", ["changed", "touched", "added", "removed", "mode", "link", "note"])
def test_content_that_was_changed_is_unpacked_anew(
    stored: tuple[str, CountingStore], cache: Cache, damage: str
) -> None:
    digest, store = stored
    with cache.content(digest, store) as root:
        path = root / "a"
    path.chmod(0o644)
    if damage == "changed":
        path.write_bytes(b"[general]\n")
    elif damage == "touched":
        path.touch()
    elif damage == "added":
        (root / "sim/extra.ned").write_text("")
    elif damage == "removed":
        path.unlink()
    elif damage == "link":
        path.unlink()
        path.symlink_to("/etc/passwd")
    elif damage == "note":
        (root.parent / "note.json").write_text("{}")
    with cache.content(digest, store) as root:
        assert (root / "a").read_bytes() == b"[General]\n"
        assert sorted(path.name for path in root.rglob("*")) == ["a", "model", "omnetpp.ini", "sim"]
    assert len(store.asked) == 8


def test_a_store_that_gives_other_bytes_is_not_believed(stored: tuple[str, CountingStore], cache: Cache) -> None:
    digest, store = stored
    for path in store.root.rglob("*"):
        if path.is_file() and path.name != digest:
            path.chmod(0o644)
            path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(ContentError), cache.content(digest, store):
        pass
    assert not [path for path in cache.root.iterdir() if path.is_dir()]


def test_a_manifest_of_another_digest_is_not_believed(stored: tuple[str, CountingStore], cache: Cache) -> None:
    digest, store = stored
    path = store.root / digest
    path.chmod(0o644)
    path.write_bytes(Manifest(entries=()).to_bytes())
    with pytest.raises(ContentError), cache.content(digest, store):
        pass


@pytest.mark.parametrize("size", [0, 2, 10**15])
def test_a_size_that_is_a_lie_is_noticed(store: FolderStore, cache: Cache, size: int) -> None:
    data = put(store, b"abc")
    digest = put_manifest(store, ["a", size, data, 0])
    with pytest.raises(ContentError), cache.content(digest, store):
        pass


def test_empty_content(store: FolderStore, cache: Cache) -> None:
    with cache.content(put_manifest(store), store) as root:
        assert list(root.iterdir()) == []


def test_the_least_recently_used_goes_first(store: FolderStore, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=2500)
    digests = [put_manifest(store, ["a", 1000, put(store, bytes([i]) * 1000), 0]) for i in range(3)]
    for index, digest in enumerate(digests[:2]):
        with cache.content(digest, store):
            pass
        os.utime(cache.root / digest, (index, index))
    with cache.content(digests[0], store):
        pass
    with cache.content(digests[2], store):
        pass
    assert [(cache.root / digest).is_dir() for digest in digests] == [True, False, True]


def test_what_is_in_use_stays(store: FolderStore, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=1500)
    digests = [put_manifest(store, ["a", 1000, put(store, bytes([i]) * 1000), 0]) for i in range(2)]
    with cache.content(digests[0], store) as first, cache.content(digests[1], store) as second:
        assert (first / "a").is_file()
        assert (second / "a").is_file()


def test_half_unpacked_content_of_a_killed_process_goes(stored: tuple[str, CountingStore], cache: Cache) -> None:
    digest, store = stored
    for name in (f".new-{digest[:12]}-abc", f".old-{digest[:12]}-1-abc"):
        (cache.root / name).mkdir(parents=True)
        os.utime(cache.root / name, (1, 1))
    with cache.content(digest, store):
        pass
    assert sorted(path.name for path in cache.root.iterdir()) == [digest, f"{digest}.make", f"{digest}.use"]
