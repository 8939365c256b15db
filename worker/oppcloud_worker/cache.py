"""Unpacked content on one host: each manifest once, shared by all processes there, within a size limit.

Standard library only. A content is a folder `<digest>/files` beside a note of what was written there. It is made
under another name and renamed, so that nobody sees half of one, and it is used under a shared lock, so that nobody
clears away what is in use.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .manifest import Entry, fetch
from .store import ContentError, Store, VerifyingSink, check_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What the note of a content remembers of each file: size, modification time in ns, inode, mode.
_Stamp = tuple[int, int, int, int]
#: Seconds after which an unfinished folder is nobody's any more.
_ABANDONED = 24 * 3600
#: How often content is unpacked that does not stay as it was.
_TRIES = 3


class Cache:
    """Unpacked contents under `root`, the least recently used of them cleared away above `limit` bytes."""

    def __init__(self, root: Path, limit: int = 10 * 1024**3) -> None:
        self.root = root
        self.limit = limit

    @contextlib.contextmanager
    def content(self, digest: str, store: Store) -> Iterator[Path]:
        """Give the folder that holds the files of manifest `digest`, unpacked from `store` if need be.

        It stays as it is until the context ends; nobody may write to it. Raises `ContentError` if the content is
        missing or damaged.
        """
        check_digest(digest)
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = self.root / digest
        for _ in range(_TRIES):
            with self._lock(f"{digest}.use", fcntl.LOCK_SH):
                if _intact(place):
                    os.utime(place)
                    yield place / "files"
                    return
            # Only one process unpacks; the others wait here and find the work done.
            with self._lock(f"{digest}.make", fcntl.LOCK_EX):
                if not _intact(place):
                    self._remove_damaged(digest, place)
                    self._unpack(digest, store, place)
                    self._clear(keep=digest)
                    self._bury()
        raise ContentError(f"content {digest[:12]} in {self.root} is changed by somebody as soon as it is unpacked")

    @contextlib.contextmanager
    def _lock(self, name: str, kind: int) -> Iterator[None]:
        """Hold a lock; lock files are small and stay, for a lock on a file that goes away locks nothing."""
        handle = os.open(self.root / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, kind)
            yield
        finally:
            os.close(handle)

    def _remove_damaged(self, digest: str, place: Path) -> None:
        """Make room for the content, once nobody uses the damaged one any more."""
        if place.exists():
            with self._lock(f"{digest}.use", fcntl.LOCK_EX):
                _remove(place)

    def _unpack(self, digest: str, store: Store, place: Path) -> None:
        """Fetch and write the content under another name, then move it to `place`."""
        manifest = fetch(digest, store)
        if manifest.size > self.limit:
            raise ContentError(f"content {digest[:12]}: {manifest.size} bytes do not fit into a cache of {self.limit}")
        work = Path(tempfile.mkdtemp(dir=self.root, prefix=f".new-{digest[:12]}-"))
        try:
            stamps = {entry.path: _write(entry, work / "files", store) for entry in manifest.entries}
            (work / "files").mkdir(exist_ok=True)
            # Whoever may enter the folder around it may read it: simulations can have an account of their own.
            work.chmod(0o755)
            (work / "note.json").write_text(json.dumps({"size": manifest.size, "files": stamps}), encoding="utf-8")
            work.rename(place)
        except BaseException:
            _remove(work)
            raise

    def _clear(self, keep: str) -> None:
        """Remove the least recently used contents until the rest fits; what is in use stays."""
        ages = {}
        for path in self.root.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if len(path.name) == 64 and path.is_dir():
                    ages[path] = path.stat().st_mtime_ns
        contents = sorted(ages, key=ages.__getitem__)
        sizes = {path: _noted_size(path) for path in contents}
        total = sum(sizes.values())
        for path in contents:
            if total <= self.limit:
                return
            if path.name == keep:
                continue
            with contextlib.suppress(BlockingIOError), self._lock(f"{path.name}.use", fcntl.LOCK_EX | fcntl.LOCK_NB):
                _remove(path)
                total -= sizes[path]

    def _bury(self) -> None:
        """Remove what processes left half made or half removed that were killed long ago."""
        for path in self.root.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.name.startswith((".new-", ".old-")) and path.lstat().st_mtime < time.time() - _ABANDONED:
                    shutil.rmtree(path, ignore_errors=True)


def _write(entry: Entry, root: Path, store: Store) -> _Stamp:
    """Write one file, which must not exist yet, and check it; return its stamp."""
    path = root / entry.path
    path.parent.mkdir(parents=True, exist_ok=True)
    # O_EXCL: a name that the file system takes for another's (case, Unicode) must not overwrite it.
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ContentError(f"manifest: {entry.path!r:.200} is the same file as another on this file system") from None
    with os.fdopen(handle, "wb") as target:
        checked = VerifyingSink(target, entry.digest, entry.size)
        store.get(entry.digest, checked)
        checked.finish()
        os.fchmod(target.fileno(), 0o555 if entry.executable else 0o444)
    return _stamp(path.lstat())


def _stamp(information: os.stat_result) -> _Stamp:
    return (information.st_size, information.st_mtime_ns, information.st_ino, information.st_mode)


def _intact(place: Path) -> bool:
    """Tell whether the folder still holds exactly what was written: same files, none more, none touched."""
    try:
        note = json.loads((place / "note.json").read_bytes())
        expected = {path: tuple(stamp) for path, stamp in note["files"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return False
    return dict(_walk(place / "files", "")) == expected


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, _Stamp]]:
    """Give the stamp of everything below `folder` that is no folder, links included."""
    with os.scandir(folder) as items:
        for item in items:
            if item.is_dir(follow_symlinks=False):
                yield from _walk(folder / item.name, f"{prefix}{item.name}/")
            else:
                yield prefix + item.name, _stamp(item.stat(follow_symlinks=False))


def _noted_size(place: Path) -> int:
    """Return the bytes that a content takes as far as it is known."""
    try:
        size = json.loads((place / "note.json").read_bytes())["size"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return size if isinstance(size, int) else 0


def _remove(place: Path) -> None:
    """Remove a folder at once for everybody else, whatever it holds."""
    grave = place.with_name(f".old-{place.name[:12]}-{os.getpid()}-{os.urandom(4).hex()}")
    with contextlib.suppress(FileNotFoundError):
        place.rename(grave)
        shutil.rmtree(grave)
