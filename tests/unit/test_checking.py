"""Outcomes that no worker of ours would send."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from oppcloud_worker.checking import MAX_FILES, checked, printable
from oppcloud_worker.messages import Cause, RecordedValue, ResultFile, RunOutcome
from oppcloud_worker.wire import MessageError

from pytest_oppcloud.queues.fetching import LEFT_OUT, note_left_out, too_large

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "a" * 64
GOOD = RunOutcome(
    cause=Cause.COMPLETED,
    values=(RecordedValue(kind="scalar", module="Net", name="x", value="1"),),
    files=(ResultFile(path="results/a.sca", size=10, digest=DIGEST), ResultFile(path="stdout.txt", size=0)),
    wall_time=1.5,
)


def with_file(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"path": "results/a.sca", "size": 1, "digest": DIGEST, **changes}
    return {"files": (ResultFile(**values),)}


def test_what_a_worker_sends_is_taken() -> None:
    assert checked(GOOD) == GOOD


@pytest.mark.parametrize(
    "changes",
    [
        *(with_file(path=path) for path in ("/etc/passwd", "../x", "a/../../x", "a//b", "./a", "", "a\0b", "a/")),
        with_file(path="\ud800"),
        *(with_file(size=size) for size in (-1, 2**60)),
        *(with_file(digest=digest) for digest in ("x", "A" * 64, DIGEST + "\n", "../" + DIGEST[3:])),
        {"files": GOOD.files * 2},
        {"files": tuple(ResultFile(path=f"{number}", size=0) for number in range(MAX_FILES + 1))},
        {"wall_time": float("nan")},
        {"wall_time": float("inf")},
        {"cpu_time": -1.0},
        {"attempt": 0},
        {"directory": "/home/user"},
        {"fingerprint_verdict": "fine"},
        {"values": (RecordedValue(kind="verdict", module="", name="x", value="1"),)},
    ],
)
def test_what_no_worker_sends_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MessageError):
        checked(replace(GOOD, **changes))


def test_texts_do_nothing_to_a_terminal() -> None:
    evil = "\x1b]0;title\x07\x1b[2Jall is well\r\x9b1m\ttab\nline"
    outcome = checked(replace(GOOD, message=evil, host=evil, end_line=evil, sim_time=evil))

    for text in (outcome.message, outcome.host, outcome.end_line, outcome.sim_time):
        assert text == "\\x1b]0;title\\x07\\x1b[2Jall is well\\x0d\\x9b1m\ttab\nline"
    assert printable("Grüße\n") == "Grüße\n"


def test_files_with_odd_names_that_do_not_travel_can_be_told(tmp_path: Path) -> None:
    file = ResultFile(path="results/\x1b[31m\udcff\n.vec", size=7)
    note_left_out([file], tmp_path)

    shown = r"results/\x1b[31m\udcff\n.vec (7 bytes)"
    assert (tmp_path / LEFT_OUT).read_text(encoding="utf-8").endswith(f"\n  {shown}\n")
    assert shown in too_large([file])
