"""What runs need, on its way into the store: each content is measured once and sent as far as the store lacks it."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oppcloud_worker import manifest
from oppcloud_worker.store import ContentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from oppcloud_worker.manifest import Entry, Manifest
    from oppcloud_worker.messages import RunRequest
    from oppcloud_worker.remote.stores import RemoteStore

    from pytest_oppcloud.content import Content

#: Seconds within which the same content is not sent anew: many runs tell of the same damage.
_ANEW = 10.0
#: Digests that are asked for at a time.
_CHUNK = 1000


class Shipping:
    """Contents of one session."""

    def __init__(self, store: RemoteStore, tell: Callable[[int, int], None] = lambda _done, _total: None) -> None:
        """Prepare; `tell` is told how many bytes of how many are in the store."""
        self._store = store
        self._tell = tell
        #: By identity, as runs of the same ini file have the same object; it is kept, so that its id stays its own.
        self._measured: dict[int, tuple[Content, Manifest]] = {}
        self._sent: set[str] = set()
        #: When contents were sent anew, by digest (monotonic).
        self._sent_anew: dict[str, float] = {}
        #: Bytes of the contents, and of what had to be sent of them.
        self.total_bytes = 0
        self.sent_bytes = 0

    def _manifest(self, content: Content) -> Manifest:
        known = self._measured.get(id(content))
        if known is None:
            known = content, manifest.build(content.files)
            self._measured[id(content)] = known
        return known[1]

    def addressed(self, request: RunRequest, content: Content) -> RunRequest:
        """Return `request` as the worker needs it: by digest, with the folder relative to it. Raise `ContentError`."""
        return replace(
            request,
            content=self._manifest(content).digest,
            directory=content.directory(Path(request.directory)),
        )

    def send(self, content: Content, *, anew: bool = False) -> None:
        """Put what the store lacks into it; raise `ContentError` where it cannot.

        With `anew` also what it says it has: a worker has found it damaged.
        """
        listed = self._manifest(content)
        if anew and time.monotonic() - self._sent_anew.get(listed.digest, -_ANEW) >= _ANEW:
            self._sent_anew[listed.digest] = time.monotonic()
            self._send_all(listed, dict(content.files))
        if listed.digest in self._sent:
            return
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
                self._put(files[digest], sources[files[digest].path])
                self.sent_bytes += files[digest].size
                done += files[digest].size
        # Last, so that whoever finds the manifest finds its files, too.
        data = listed.to_bytes()
        if self._store.lacking([listed.digest]):
            self._store.put(listed.digest, io.BytesIO(data), len(data))
            self.sent_bytes += len(data)
        self.total_bytes += listed.size
        self._tell(self.total_bytes, self.total_bytes)
        self._sent.add(listed.digest)

    def _send_all(self, listed: Manifest, sources: dict[str, Path]) -> None:
        """Put everything into the store, in place of what is there."""
        for entry in {entry.digest: entry for entry in listed.entries}.values():
            self._put(entry, sources[entry.path])
        data = listed.to_bytes()
        self._store.put(listed.digest, io.BytesIO(data), len(data))
        self.sent_bytes += listed.size + len(data)

    def _put(self, entry: Entry, source: Path) -> None:
        try:
            with source.open("rb") as stream:
                self._store.put(entry.digest, stream, entry.size)
        except ContentError as error:
            raise ContentError(f"{source}: {error}") from error

    def forget_sent(self) -> None:
        """Look again into the store before the next run is sent: it may have lost everything."""
        self._sent.clear()
