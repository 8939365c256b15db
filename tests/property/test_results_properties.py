"""Whatever stands in a result file or in the output, it is read or refused, never more than that."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from oppcloud_worker.console import Console
from oppcloud_worker.manifest import Manifest
from oppcloud_worker.messages import MessageError, RunOutcome, RunRequest
from oppcloud_worker.results import ResultError, read_results
from oppcloud_worker.results.text import split_words
from oppcloud_worker.store import ContentError

WORDS = st.sampled_from([
    "version 3\n", "run C-0-d-1\n", "attr configname C\n", "attr a b\n", "itervar a b\n", "config a b\n", "\n",
    "scalar a b 1\n", "par a b c\n", "statistic a b\n", "field count 1\n", "field sum 2\n", "bin\t-inf\t0\n",
    "bin\t1\t0\n", '"', "\\", "nan", "\0", "\xff", "SQLite format 3\0",
])  # fmt: skip


def read(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.sca"
        path.write_bytes(content)
        with contextlib.suppress(ResultError):
            read_results(path)


@given(st.lists(WORDS).map("".join))
def test_any_lines(text: str) -> None:
    read(text.encode())


@given(st.binary(max_size=300), st.sampled_from([b"", b"version 3\n", b"SQLite format 3\0"]))
def test_any_bytes(content: bytes, prefix: bytes) -> None:
    read(prefix + content)


def quoted(word: str) -> str:
    """Quote a word as OMNeT++ does."""
    escapes = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
    plain = word and not any(char.isspace() or char in '"\\' or ord(char) < 32 or ord(char) == 127 for char in word)
    body = "".join(
        escapes.get(char) or (f"\\x{ord(char):02X}" if ord(char) < 32 or ord(char) == 127 else char) for char in word
    )
    return word if plain else f'"{body}"'


@given(st.lists(st.text(), max_size=5))
def test_words_come_back(words: list[str]) -> None:
    assert split_words(" ".join(map(quoted, words))) == words


LINES = st.sampled_from([
    "<!> Simulation time limit reached -- at t=3s, event #4\n",
    "<!> Fingerprint successfully verified: 1/tplx\n",
    "<!> Fingerprint mismatch! calculated: 1/tplx, expected: 2/tplx\n",
    "<!> other\n", "text\n", "x" * 70_000 + "\n", "<!> " + "y" * 70_000 + "\n", "\n", "<!", "<!> ", "\xff",
])  # fmt: skip


@given(st.lists(LINES, max_size=12).map("".join), st.lists(st.integers(1, 100_000), max_size=20), st.integers(0, 1000))
def test_how_the_output_is_cut_does_not_matter(text: str, cuts: list[int], limit: int) -> None:
    data = text.encode("latin-1")
    with tempfile.TemporaryDirectory() as folder:
        whole = Console(Path(folder) / "a", 0)
        whole.feed(data)
        whole.close()
        pieces = Console(Path(folder) / "b", limit)
        start = 0
        for cut in [*cuts, len(data)]:
            if data[start : start + cut]:
                pieces.feed(data[start : start + cut])
            start += cut
        pieces.close()
        assert pieces.end_lines == whole.end_lines
        assert pieces.verdicts == whole.verdicts
        assert (Path(folder) / "a").read_bytes() == data
        if limit:
            assert (Path(folder) / "b").stat().st_size <= limit + 100


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["cause", "name", "limits"]), inner),
    max_leaves=8,
)


@given(JSON)
def test_any_json_as_a_message(data: object) -> None:
    with contextlib.suppress(MessageError):
        RunRequest.from_json(data)
    with contextlib.suppress(MessageError):
        RunOutcome.from_json(data)


@given(st.binary() | st.lists(st.lists(JSON)).map(lambda files: repr({"format": 1, "files": files}).encode()))
def test_any_bytes_as_a_manifest(data: bytes) -> None:
    with contextlib.suppress(ContentError):
        Manifest.from_bytes(data)
