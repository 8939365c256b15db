"""The console output of a simulation: kept within bounds, and read for what OMNeT++ says about the end.

Standard library only; apart from the file that it writes, `Console` does no I/O. What OMNeT++ prints is in
`src/cmdenv/cmdenv.cc` and `src/envir/envirbase.cc` (`displayException`, `checkFingerprint`).

A model prints into the same stream as OMNeT++, so it can print the same lines. Every line of OMNeT++'s that matters
starts at the beginning of a line with `<!> `, whatever was printed before. The lines are collected while the output
passes, not from the part of it that is kept, so that flooding the output hides none of them.
"""

from __future__ import annotations

import collections
import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Characters of each stream that travel with an outcome.
TAIL = 16 * 1024
#: Marked lines that are kept, and bytes of one of them; who prints more is not believed.
_MAX_LINES = 1000
_MAX_LINE = 64 * 1024
#: Characters in which OMNeT++ introduces itself; a long NED path is told there, too.
_HEAD = 16 * 1024
_MARKED = re.compile(rb"^<!> .*$", re.MULTILINE)

_END = re.compile(r"<!> (?P<text>(?!Error: |Warning: ).+?) -- (?:in .+, )?at t=(?P<time>\S+), event #(?P<event>\d+)\Z")
_VERDICT = re.compile(
    r"<!> (?:Error: )?Fingerprint (?:"
    r"successfully verified: (?P<verified>.+)|"
    r"mismatch! calculated: (?P<calculated>.+?), expected: (?P<expected>.+?)(?: -- during finalization)?)\Z"
)
_VERSION = re.compile(r"^Version: (\S+?), build: ", re.MULTILINE)
_ERROR = re.compile(
    r"^<!> Error: (.*?)(?=^\s*^<!> |^Stack trace|^End\.$|^terminate called|\Z)", re.MULTILINE | re.DOTALL
)
_STATUS = re.compile(r"^\*\* Event #(\d+)   t=(\S+)   Elapsed: ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class EndLine:
    """OMNeT++'s words about a normal end of the event loop."""

    #: The whole line without its mark.
    line: str
    #: "Simulation time limit reached".
    text: str
    #: "30s".
    time: str
    event: int


@dataclass(frozen=True, slots=True)
class FingerprintVerdict:
    """One line that tells how the fingerprints came out."""

    verified: bool
    #: ("0617-2d8e/tplx", "ecfd-2d61/sz").
    calculated: tuple[str, ...]


class Console:
    """One output stream: the first and the last part of it go to a file, all of it is searched."""

    def __init__(self, path: Path, limit: int, *, after_end: bool = True) -> None:
        """Write to `path`, of which at most about `limit` bytes are kept; 0 keeps all.

        With `after_end`, marked lines count only from the first end line on: the stream is that of end lines.
        """
        self._file: IO[bytes] = path.open("wb")
        self._path = path
        self._head_left = limit // 2 if limit else None
        self._tail_limit = limit - limit // 2
        self._tail: collections.deque[bytes] = collections.deque()
        self._tail_size = 0
        self._dropped = 0
        self._unfinished = b""
        self._text: str | None = None
        #: Marked lines in their order.
        self._lines: list[str] = []
        self._after_end = after_end
        #: More marked lines than are kept.
        self.overflowing = False
        self.size = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self.size += len(data)
        self._search(data)
        if self._head_left is None:
            self._file.write(data)
            return
        head = data[: self._head_left]
        if head:
            self._file.write(head)
            self._head_left -= len(head)
            data = data[len(head) :]
        if data:
            self._tail.append(data)
            self._tail_size += len(data)
            while self._tail_size - len(self._tail[0]) >= self._tail_limit:
                gone = len(self._tail.popleft())
                self._tail_size -= gone
                self._dropped += gone

    def _search(self, data: bytes) -> None:
        """Collect the marked lines of `data` and of what was left of the line before."""
        data = self._unfinished + data
        cut = data.rfind(b"\n") + 1
        rest = data[cut:]
        # A line that is not marked need not be kept, only that it goes on; neither need the end of an endless one.
        self._unfinished = rest[:_MAX_LINE] if b"<!> ".startswith(rest[:4]) else b"."
        if not rest:
            self._unfinished = b""
        for match in _MARKED.finditer(data, 0, cut):
            self._keep(match[0])

    def _keep(self, line: bytes) -> None:
        text = _decode(line)
        # Verdicts before the end of the event loop are the model's own.
        if self._lines or not self._after_end or _END.match(text):
            if len(self._lines) < _MAX_LINES:
                self._lines.append(text)
            else:
                self.overflowing = True

    def close(self) -> None:
        """Write the last part; may be called twice."""
        if self._file.closed:
            return
        if self._unfinished:
            self._search(b"\n")
        tail = b"".join(self._tail)
        if self._head_left is not None:
            self._dropped += max(0, len(tail) - self._tail_limit)
            tail = tail[-self._tail_limit :]
        with self._file as file:
            if self._dropped:
                file.write(f"\n[... {self._dropped} bytes left out ...]\n".encode())
            file.write(tail)
        self._tail.clear()

    @property
    def text(self) -> str:
        """All that was kept; undecodable bytes as backslash escapes."""
        if self._text is None:
            self.close()
            self._text = _decode(self._path.read_bytes())
        return self._text

    @property
    def tail(self) -> str:
        """The end of what was kept."""
        return self.text[-TAIL:]

    @property
    def end_lines(self) -> list[EndLine]:
        """All end lines; a single run has one, unless the model prints some of its own."""
        matches = map(_END.match, self._lines)
        return [EndLine(match[0][4:], match["text"], match["time"], int(match["event"])) for match in matches if match]

    @property
    def verdicts(self) -> list[FingerprintVerdict]:
        """All fingerprint verdicts, where they count."""
        return [verdict for line in self._lines if (verdict := read_verdict(line))]

    @property
    def errors(self) -> list[str]:
        """All errors with all their lines, without `<!> Error: `."""
        return [match[1].strip() for match in _ERROR.finditer(self.text)]

    @property
    def version(self) -> str:
        """OMNeT++'s version as its banner tells it, "" where there is none (with `-s`)."""
        match = _VERSION.search(self.text[:_HEAD])
        return match[1] if match else ""

    @property
    def is_verbose(self) -> bool:
        """Tell whether OMNeT++ said what it prepares, as it does without `-s` and then takes its leave, too."""
        return "\nPreparing for running configuration " in self.text[:_HEAD]

    @property
    def has_last_word(self) -> bool:
        """Tell whether OMNeT++ took its leave after all else it had to say, as it does without `-s`."""
        return self.text.rfind("\nEnd.\n") > self.text.rfind("\n<!> ")

    @property
    def last_status(self) -> str:
        """Where the simulation was when it last told: "event #579, t=30s", or ""."""
        matches = _STATUS.findall(self.text)
        return f"event #{matches[-1][0]}, t={matches[-1][1]}s" if matches else ""


def read_verdict(line: str) -> FingerprintVerdict | None:
    """Read a line as a fingerprint verdict, in the form of 6.x or in that of 7.0 (an error)."""
    match = _VERDICT.match(line)
    if not match:
        return None
    return FingerprintVerdict(
        match["verified"] is not None, tuple((match["verified"] or match["calculated"]).split(", "))
    )


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
