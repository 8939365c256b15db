"""Running simulations where pytest runs, as far as none is started."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from oppcloud_worker.messages import Cause, RunRequest

from pytest_oppcloud.execution import LocalExecutor

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_temporary_folder_that_cannot_be_used_is_a_failure_of_the_machinery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    request = RunRequest(name="n", program=("p",), arguments=(), directory="/", config="C", run_number=0, repetition=0)

    outcome = LocalExecutor("no reason").result(request)

    assert outcome.cause is Cause.WORKER_BROKEN
    assert str(tmp_path / "gone") in outcome.message
