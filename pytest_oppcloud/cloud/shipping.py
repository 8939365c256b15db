"""What runs need, on its way into the store: each content is measured once and sent as far as the store lacks it."""

from __future__ import annotations

import io
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from oppcloud_worker import manifest
from oppcloud_worker.store import ContentError, VerifyingSink

from pytest_oppcloud.content import library_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from oppcloud_worker.manifest import Entry, Manifest
    from oppcloud_worker.messages import RunRequest
    from oppcloud_worker.remote.stores import RemoteStore

    from pytest_oppcloud.content import Content

#: Seconds within which the same content is not sent anew: many runs tell of the same damage.
_ANEW = 10.0
#: Digests that are asked for at a time.
_CHUNK = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """A content, and what is known of it once all its files were read."""

    content: Content
    manifest: Manifest
    digest: str
    #: Folders of the shared libraries in it.
    libraries: tuple[str, ...]

    @classmethod
    def of(cls, content: Content, listed: Manifest) -> _Measured:
        folders = library_folders(entry.path for entry in listed.entries)
        return cls(content=content, manifest=listed, digest=listed.digest, libraries=folders)


class Shipping:
    """Contents of one session."""

    def __init__(self, store: RemoteStore, tell: Callable[[int, int], None] = lambda _done, _total: None) -> None:
        """Prepare; `tell` is told how many bytes of how many are in the store."""
        self._store = store
        self._tell = tell
        #: By identity, as runs of the same ini file have the same object; it is kept, so that its id stays its own.
        self._measured: dict[int, _Measured] = {}
        self._sent: set[str] = set()
        #: Digests of files that no folder here has: workers have built them.
        self._built: set[str] = set()
        #: Copies of such files by their digest.
        self._copies: tempfile.TemporaryDirectory[str] | None = None
        #: When contents were sent anew, by digest (monotonic).
        self._sent_anew: dict[str, float] = {}
        #: Bytes of the contents, and of what had to be sent of them.
        self.total_bytes = 0
        self.sent_bytes = 0

    def manifest(self, content: Content) -> Manifest:
        """Return the manifest of what travels; raise `ContentError` or OSError where it cannot be read."""
        return self._measure(content).manifest

    def _measure(self, content: Content) -> _Measured:
        known = self._measured.get(id(content))
        if known is None:
            known = self._measured[id(content)] = _Measured.of(content, manifest.build(content.files))
        return known

    def adopt(self, content: Content, sources: Content, product: Manifest) -> None:
        """Have the runs that need `content` get `sources` and what a worker made of them; raise `ContentError`."""
        below = self.manifest(sources)
        self._measured[id(content)] = _Measured.of(content, manifest.merged(below, product))
        self._built.update({entry.digest for entry in product.entries} - {entry.digest for entry in below.entries})

    def addressed(self, request: RunRequest, content: Content) -> RunRequest:
        """Return `request` as the worker needs it: by digest, with the folder relative to it. Raise `ContentError`."""
        measured = self._measure(content)
        return replace(
            request,
            content=measured.digest,
            directory=content.directory(Path(request.directory)),
            libraries=measured.libraries,
        )

    def send(self, content: Content, *, anew: bool = False) -> None:
        """Put what the store lacks into it; raise `ContentError` where it cannot.

        With `anew` also what it says it has: a worker has found it damaged.
        """
        measured = self._measure(content)
        if anew and time.monotonic() - self._sent_anew.get(measured.digest, -_ANEW) >= _ANEW:
            self._sent_anew[measured.digest] = time.monotonic()
            self._send_all(measured.manifest, dict(content.files))
        if measured.digest in self._sent:
            return
        listed = measured.manifest
        sources = dict(content.files)
        files = {entry.digest: entry for entry in listed.entries}
        digests = list(files)
        done, total = self.total_bytes, self.total_bytes + listed.size
        for start in range(0, len(digests), _CHUNK):
            chunk = digests[start : start + _CHUNK]
            lacking = self._store.lacking(chunk)
            done += sum(files[digest].size for digest in chunk if digest not in lacking)
            for digest in sorted(lacking):
                self._tell(done, total)
                self._put(files[digest], self._source(files[digest], sources))
                self.sent_bytes += files[digest].size
                done += files[digest].size
        # Last, so that whoever finds the manifest finds its files, too.
        data = listed.to_bytes()
        if self._store.lacking([measured.digest]):
            self._store.put(measured.digest, io.BytesIO(data), len(data))
            self.sent_bytes += len(data)
        self.total_bytes += listed.size
        self._tell(self.total_bytes, self.total_bytes)
        self._sent.add(measured.digest)

    def fetch(self, product: str) -> Manifest | None:
        """Return the manifest `product`; None unless the store has it and all files in it."""
        if self._store.lacking([product]):
            return None
        listed = manifest.fetch(product, self._store)
        digests = sorted({entry.digest for entry in listed.entries})
        for start in range(0, len(digests), _CHUNK):
            if self._store.lacking(digests[start : start + _CHUNK]):
                return None
        return listed

    def _send_all(self, listed: Manifest, sources: dict[str, Path]) -> None:
        """Put everything into the store, in place of what is there."""
        for entry in {entry.digest: entry for entry in listed.entries}.values():
            self._put(entry, self._source(entry, sources))
        data = listed.to_bytes()
        self._store.put(listed.digest, io.BytesIO(data), len(data))
        self.sent_bytes += listed.size + len(data)

    def _put(self, entry: Entry, source: Path) -> None:
        try:
            with source.open("rb") as stream:
                self._store.put(entry.digest, stream, entry.size)
        except ContentError as error:
            raise ContentError(f"{source}: {error}") from error

    def _source(self, entry: Entry, sources: Mapping[str, Path]) -> Path:
        """Return where a file lies here."""
        if entry.digest not in self._built:
            return sources[entry.path]
        copy = None if self._copies is None else Path(self._copies.name, entry.digest)
        if copy is None or not copy.is_file():
            raise ContentError(f"{entry.path} was built by a worker, and the store has lost it")
        return copy

    def keep_copy(self, product: Manifest) -> None:
        """Fetch what was built, should the store lose it later; do without what cannot be had."""
        if self._copies is None:
            self._copies = tempfile.TemporaryDirectory(prefix="oppcloud-product-", ignore_cleanup_errors=True)
        for entry in product.entries:
            place = Path(self._copies.name, entry.digest)
            if place.exists():
                continue
            try:
                with place.open("xb") as target:
                    sink = VerifyingSink(target, entry.digest, entry.size)
                    self._store.get(entry.digest, sink)
                    sink.finish()
            except (ContentError, OSError):
                place.unlink(missing_ok=True)
                return

    def close(self) -> None:
        """Remove the copies."""
        if self._copies is not None:
            self._copies.cleanup()

    def forget_sent(self) -> None:
        """Look again into the store before the next run is sent: it may have lost everything."""
        self._sent.clear()
