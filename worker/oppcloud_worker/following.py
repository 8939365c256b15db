"""The console output of the run under way, as far as somebody follows it.

Standard library only, no I/O. One thread feeds, another one takes; a lock is all they share.
"""

from __future__ import annotations

import threading

from .progress import Progress, ProgressReader

#: Bytes that are kept for somebody who begins to follow a run late, or reads slower than the model prints.
KEPT = 64 * 1024
#: Bytes of one line, before it is shown in parts.
_LINE = 8 * 1024


class Following:
    """What a run prints: its progress, and the lines that no follower has been given yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reader = ProgressReader()
        self._told: Progress | None = None
        self._kept = bytearray()
        self._left_out = 0

    def feed(self, data: bytes) -> None:
        """Take the next piece of output."""
        with self._lock:
            self._reader.feed(data)
            self._kept += data
            excess = len(self._kept) - KEPT
            # Not at each piece: the front of a buffer is cut at the cost of moving the rest.
            if excess > KEPT:
                del self._kept[:excess]
                self._left_out += excess

    def take_progress(self) -> Progress | None:
        """Return where the run is, if that is something new."""
        with self._lock:
            progress = self._reader.progress
            if progress == self._told:
                return None
            self._told = progress
            return progress

    def take_lines(self, *, rest: bool = False) -> str:
        """Return the lines that came since the last time, at the end also the `rest` that is no line.

        Undecodable bytes come as backslash escapes; what had to be left out is said.
        """
        with self._lock:
            excess = len(self._kept) - KEPT
            if excess > 0:
                del self._kept[:excess]
                self._left_out += excess
            if self._left_out:
                # Go on at the beginning of a line.
                cut = self._kept.find(b"\n") + 1
                del self._kept[:cut]
                self._left_out += cut
            end = len(self._kept) if rest else self._kept.rfind(b"\n") + 1
            if end == 0 and len(self._kept) > _LINE:
                end = len(self._kept)
            data = bytes(self._kept[:end])
            if not data:
                return ""
            del self._kept[:end]
            left_out, self._left_out = self._left_out, 0
        text = data.decode("utf-8", "backslashreplace")
        return f"[... {left_out} bytes left out ...]\n{text}" if left_out else text
