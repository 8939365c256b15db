from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from oppcloud_worker import health

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def _scratch(folder: Path, name: str) -> Path:
    path = folder / f"{health.SCRATCH_PREFIX}{name}"
    path.mkdir()
    return path


def test_silence_counts_from_the_newest_note(tmp_path: Path) -> None:
    old, new = _scratch(tmp_path, "old"), _scratch(tmp_path, "new")
    for scratch, moment in ((old, 1000), (new, 1030)):
        health.note(scratch)
        for path in scratch.iterdir():
            os.utime(path, (moment, moment))

    assert health.silence(tmp_path, now=1040) == 10


def test_a_worker_that_never_reached_its_queue_is_told_apart(tmp_path: Path) -> None:
    _scratch(tmp_path, "fresh")

    assert health.silence(tmp_path, now=1040) is None


def test_a_vanished_folder_does_no_harm(tmp_path: Path) -> None:
    health.note(tmp_path / "gone")

    assert not list(tmp_path.iterdir())


def test_answers_are_exit_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scratch = _scratch(tmp_path, "one")
    assert health.main() == 1

    health.note(scratch)
    assert health.main() == 0

    past = time.time() - 60
    for path in scratch.iterdir():
        os.utime(path, (past, past))
    assert health.main() == 1

    lines = capsys.readouterr().out.splitlines()
    assert [line[:20] for line in lines] == [
        "no worker has reached"[:20],
        "the worker reached i",
        "the worker has not r",
    ]
