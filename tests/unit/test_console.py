"""Console output: what is kept, and what is read from it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from oppcloud_worker.console import Console, FingerprintVerdict

if TYPE_CHECKING:
    from pathlib import Path

END = "<!> Simulation time limit reached -- at t=30s, event #579"
GOOD = "<!> Fingerprint successfully verified: 0617-2d8e/tplx, ecfd-2d61/sz"
BAD = "<!> Fingerprint mismatch! calculated: 0617-2d8e/tplx, ecfd-2d61/sz, expected: 0617-2d8e/tplx,dead-beef/sz"
CALCULATED = ("0617-2d8e/tplx", "ecfd-2d61/sz")

Reader = Callable[..., Console]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    def make(text: str | bytes, *, limit: int = 0, step: int = 0, **options: bool) -> Console:
        console = Console(tmp_path / "out.txt", limit, **options)
        data = text if isinstance(text, bytes) else text.encode()
        for start in range(0, len(data), step or max(1, len(data))):
            console.feed(data[start : start + (step or len(data))])
        console.close()
        return console

    return make


@pytest.mark.parametrize(
    ("line", "text", "time", "event"),
    [
        (END, "Simulation time limit reached", "30s", 579),
        (
            "<!> No more events, simulation completed -- at t=0.25s, event #3",
            "No more events, simulation completed", "0.25s", 3,
        ),
        (
            "<!> Simulation stopped with endSimulation() -- in module (a::Sink) N.sink[3] (id=2), at t=1.5s, event #9",
            "Simulation stopped with endSimulation()", "1.5s", 9,
        ),
        ("<!> the battery is empty -- at t=1e-12s, event #1", "the battery is empty", "1e-12s", 1),
    ],
)  # fmt: skip
def test_end_lines(read: Reader, line: str, text: str, time: str, event: int) -> None:
    (end,) = read(f"noise\n{line}\nmore\n").end_lines
    assert (end.line, end.text, end.time, end.event) == (line.removeprefix("<!> "), text, time, event)


@pytest.mark.parametrize(
    "line",
    [
        f" {END}",
        f"x{END}",
        "<!> Simulation time limit reached",
        "<!> Error: something -- at t=3s, event #4",
        "<!> Warning: something -- at t=3s, event #4",
        END[4:],
        f"{END} and more",
    ],
)
def test_other_lines_are_no_end(read: Reader, line: str) -> None:
    assert read(f"\n{line}\n").end_lines == []


def test_an_end_line_without_line_end_counts(read: Reader) -> None:
    assert len(read(f"\n{END}").end_lines) == 1


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64])
def test_lines_are_found_however_the_output_is_cut(read: Reader, step: int) -> None:
    console = read(f"{'x' * 100}\n<!> no\n{END}\nfinish\n\n{GOOD}\n\n", step=step)
    assert len(console.end_lines) == 1
    assert console.verdicts == [FingerprintVerdict(verified=True, calculated=CALCULATED)]


@pytest.mark.parametrize(("line", "verified"), [(GOOD, True), (BAD, False)])
def test_verdicts_count_after_the_end_line(read: Reader, line: str, verified: bool) -> None:
    assert read(f"{line}\n{END}\n").verdicts == []
    assert read(f"{END}\n{line}\n").verdicts == [FingerprintVerdict(verified=verified, calculated=CALCULATED)]


def test_all_verdicts_after_the_first_end_line_are_told(read: Reader) -> None:
    console = read(f"{BAD}\n{END}\n{GOOD}\n{END}\n{BAD}\n")
    assert [verdict.verified for verdict in console.verdicts] == [True, False]


def test_a_mismatch_as_an_error(read: Reader) -> None:
    line = (
        "<!> Error: Fingerprint mismatch! calculated: 0617-2d8e/tplx, expected: dead-beef/tplx -- during finalization"
    )
    assert read(f"\n{line}\n", after_end=False).verdicts == [
        FingerprintVerdict(verified=False, calculated=("0617-2d8e/tplx",))
    ]


@pytest.mark.parametrize("limit", [10, 1000])
def test_what_is_left_out_is_searched_all_the_same(read: Reader, limit: int) -> None:
    flood = "y" * 50_000 + "\n"
    console = read(f"{END}\n{flood}{BAD}\n{flood}{GOOD}\n{flood}", limit=limit, step=4096)
    assert [verdict.verified for verdict in console.verdicts] == [False, True]
    assert "bytes left out" in console.text


def test_first_and_last_part_are_kept(read: Reader, tmp_path: Path) -> None:
    console = read("a" * 600 + "b" * 10_000 + "c" * 600, limit=1000, step=50)
    kept = (tmp_path / "out.txt").read_text()
    assert kept.startswith("a" * 500 + "\n[... ")
    assert kept.endswith("c" * 500)
    assert len(kept) < 1200
    assert console.size == 11_200
    assert "bytes left out" in console.text


def test_short_output_is_kept_whole(read: Reader, tmp_path: Path) -> None:
    text = "".join(chr(97 + i % 26) for i in range(1000))
    assert read(text, limit=1000, step=33).text == text
    assert (tmp_path / "out.txt").read_text() == text


def test_an_endless_line_takes_no_memory(read: Reader) -> None:
    console = read("<!> " + "z" * 1_000_000 + f"\n{END}\n", limit=1000, step=1000)
    assert len(console.end_lines) == 1


def test_a_flood_takes_no_memory(tmp_path: Path) -> None:
    console = Console(tmp_path / "out.txt", 10_000)
    tracemalloc.start()
    for index in range(300):
        console.feed(b"%d" % index * 30_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    console.close()
    assert peak < 2_000_000


def test_too_many_marked_lines_are_noticed(read: Reader) -> None:
    assert not read(f"{GOOD}\n" * 5000 + f"{END}\n").overflowing
    assert read(f"{END}\n" + f"{GOOD}\n" * 5000).overflowing


def test_any_bytes_can_be_shown(read: Reader) -> None:
    console = read(b"bytes: \xff\xfe\x80 end\n")
    assert console.text == "bytes: \\xff\\xfe\\x80 end\n"


def test_errors_have_all_their_lines(read: Reader) -> None:
    console = read(
        "\n<!> Error: first line,\nsecond line\n\nfourth -- in module (A) N.a (id=2), at t=1s, event #9\n"
        "\n<!> Error: another -- during network cleanup\nStack trace (most recent call last):\n#1 x\n"
    )
    assert console.errors == [
        "first line,\nsecond line\n\nfourth -- in module (A) N.a (id=2), at t=1s, event #9",
        "another -- during network cleanup",
    ]


def test_first_and_last_words(read: Reader) -> None:
    first = (
        "OMNeT++ Discrete Event Simulation  (C) 1992\nVersion: 6.1, build: internal, edition: x\n"
        "\nPreparing for running configuration Fifo1, run #0...\n"
    )
    console = read(f"{first}\n{END}\n\nEnd.\n")
    assert (console.version, console.is_verbose, console.has_last_word) == ("6.1", True, True)
    assert not read(f"{first}\n\nEnd.\n{END}\n").has_last_word
    assert not read(f"{END}\n").is_verbose


def test_last_status(read: Reader) -> None:
    status = "** Event #{}   t={}   Elapsed: 9e-06s (0m 00s)  0% completed  (0% total)\n"
    assert read(status.format(0, 0) + status.format(7, 1.5)).last_status == "event #7, t=1.5s"
    assert not read("nothing\n").last_status
