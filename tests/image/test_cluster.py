"""A cluster in Amazon's cloud whose workers run in the image, on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.image.conftest import Containers

ROOT = Path(__file__).parents[2]
#: They start workers by the task's own command; here in containers, as the task does.
TESTS = (
    "test_queue_task.py::test_workers_find_it_by_their_own_task",
    "test_session.py::test_from_a_stopped_cluster_to_a_receipt[alone]",
)


def test_sessions_run_on_workers_in_the_image(containers: Containers, image: str) -> None:
    """The queue speaks TLS and has users, the store is S3, and everything is found through the stack's outputs."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs"]
    done = subprocess.run(
        [*command, *(f"tests/integration/amazon/{test}" for test in TESTS)],
        cwd=ROOT,
        env={**os.environ, "OPPCLOUD_TEST_WORKER_IMAGE": image, "OPPCLOUD_TEST_CONTAINER_ENGINE": containers.path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(TESTS)} passed" in done.stdout, done.stdout
