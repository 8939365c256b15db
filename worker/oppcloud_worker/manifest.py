"""Files and their digests: what a run needs, told so that it can be checked anywhere.

Standard library only. A manifest is JSON with sorted entries and no white space, so that the same files have the
same digest on every machine. Which files belong to a run is not decided here.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from .store import ContentError, Store, VerifyingSink, check_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Changes when an old worker can no longer read a new manifest.
FORMAT = 1
_BLOCK = 1024 * 1024
#: A manifest comes from outside; this many bytes name some 500,000 files.
MAX_SIZE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file."""

    #: Relative, with slashes, in its shortest form.
    path: str
    size: int
    digest: str
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Files, sorted by path."""

    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)

    def to_bytes(self) -> bytes:
        """Return the one form that has the manifest's digest."""
        files = [[entry.path, entry.size, entry.digest, int(entry.executable)] for entry in self.entries]
        return json.dumps({"format": FORMAT, "files": files}, separators=(",", ":"), sort_keys=True).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of `to_bytes`; names the content as a whole."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read a manifest from outside; raise `ContentError` for anything that could harm or was not written by us."""
        if len(data) > MAX_SIZE:
            raise ContentError(f"manifest: {len(data)} bytes are more than the {MAX_SIZE} allowed")
        try:
            content = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ContentError(f"manifest: not JSON: {error}") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ContentError(f"manifest: format {FORMAT} was expected, found {str(content)[:80]}")
        files = content.get("files")
        if not isinstance(files, list):
            raise ContentError("manifest: it has no list of files")
        entries = tuple(_entry(item) for item in files)
        paths = [entry.path for entry in entries]
        if any(first >= second for first, second in itertools.pairwise(paths)):
            raise ContentError("manifest: the paths are not sorted, or one occurs twice")
        _check_no_file_is_a_folder(paths)
        return cls(entries=entries)


def _entry(item: object) -> Entry:
    """Read one entry from outside."""
    if isinstance(item, list) and len(item) == 4:
        path, size, digest, executable = item
        if (
            isinstance(path, str)
            and type(size) is int
            and size >= 0
            and isinstance(digest, str)
            and type(executable) is int
            and executable in {0, 1}
        ):
            return Entry(path=check_path(path), size=size, digest=check_digest(digest), executable=executable == 1)
    raise ContentError(f"manifest: not an entry: {str(item)[:100]}")


def check_path(path: str) -> str:
    """Return `path`; raise `ContentError` unless it is relative, in its shortest form and stays inside its root."""
    parts = PurePosixPath(path).parts
    try:
        length = len(os.fsencode(path))
    except UnicodeEncodeError:
        # Half of a surrogate pair, or a character that this system's names cannot have.
        raise ContentError(f"manifest: the path {path!r:.200} is no name of a file here") from None
    if not path or path.startswith("/") or ".." in parts or "/".join(parts) != path or "\0" in path or length > 4000:
        raise ContentError(f"manifest: the path {path!r:.200} is not relative and plain")
    return path


def _check_no_file_is_a_folder(paths: list[str]) -> None:
    known = set(paths)
    for path in paths:
        if any(str(parent) in known for parent in PurePosixPath(path).parents):
            raise ContentError(f"manifest: a folder of {path!r:.200} is a file as well")


def build(files: Iterable[tuple[str, Path]]) -> Manifest:
    """Return the manifest of `files`, pairs of relative path (with slashes) and where the file lies.

    A link is followed: its target's content travels under the link's own name. Raises `ContentError` for what is no
    regular file, and for paths that are not plain.
    """
    entries = [_measure(path, source) for path, source in files]
    entries.sort(key=lambda entry: entry.path)
    # The same checks that the other end makes; what passes here is accepted there.
    return Manifest.from_bytes(Manifest(entries=tuple(entries)).to_bytes())


def _measure(path: str, source: Path) -> Entry:
    checksum = hashlib.sha256()
    size = 0
    try:
        with source.open("rb") as stream:
            information = os.fstat(stream.fileno())
            if not stat.S_ISREG(information.st_mode):
                raise ContentError(f"{source}: not a regular file")
            while block := stream.read(_BLOCK):
                checksum.update(block)
                size += len(block)
    except OSError as error:
        raise ContentError(f"{source}: {error.strerror}") from error
    return Entry(
        path=check_path(path),
        size=size,
        digest=checksum.hexdigest(),
        executable=bool(information.st_mode & stat.S_IXUSR),
    )


def upload(manifest: Manifest, files: Iterable[tuple[str, Path]], store: Store) -> int:
    """Put into `store` what it lacks of `manifest` and its files; return the number of bytes sent.

    The manifest goes last, so that whoever finds it in the store finds its files there, too. A file that has changed
    since `build` raises `ContentError`.
    """
    sources = dict(files)
    sent = 0
    for entry in {entry.digest: entry for entry in manifest.entries}.values():
        if not store.has(entry.digest):
            with sources[entry.path].open("rb") as stream:
                store.put(entry.digest, stream, entry.size)
            sent += entry.size
    data = manifest.to_bytes()
    if not store.has(manifest.digest):
        store.put(manifest.digest, io.BytesIO(data), len(data))
        sent += len(data)
    return sent


def fetch(digest: str, store: Store) -> Manifest:
    """Return the manifest `digest` from `store`; raise `ContentError`.

    Its size is not known beforehand, so only its digest is checked.
    """
    buffer = _Bounded()
    store.get(digest, buffer)
    data = buffer.getvalue()
    checked = VerifyingSink(io.BytesIO(), digest, len(data))
    checked.write(data)
    checked.finish()
    return Manifest.from_bytes(data)


class _Bounded(io.BytesIO):
    """A buffer that takes no more than a manifest may have."""

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # stores write bytes only
        if self.tell() + len(data) > MAX_SIZE:
            raise ContentError(f"manifest: more than the {MAX_SIZE} bytes allowed")
        return super().write(data)


def merged(below: Manifest, above: Manifest) -> Manifest:
    """Return the files of both, those of `above` where both have a path; raise `ContentError` if they do not fit."""
    entries = {entry.path: entry for entry in (*below.entries, *above.entries)}
    together = Manifest(entries=tuple(entries[path] for path in sorted(entries)))
    return Manifest.from_bytes(together.to_bytes())
