"""A cluster in Amazon's cloud whose workers run in the image, on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_oppcloud.cloud.stack import template

if TYPE_CHECKING:
    from tests.image.conftest import Containers

ROOT = Path(__file__).parents[2]
#: They start workers by the task's own command; here in containers, as the task does.
TESTS = (
    "test_queue_task.py::test_workers_find_it_by_their_own_task",
    "test_session.py::test_from_a_stopped_cluster_to_a_receipt[alone]",
)


#: What the task of the workers gives its containers.
CONFINED = ("--user=10001", "--cap-drop=ALL", "--security-opt=no-new-privileges")


def test_the_task_shows_its_secrets_to_nobody(fresh: Containers, image: str) -> None:
    """The last line of the task's command has the image's own init process take its place."""
    command = next(line for line in template.text().splitlines() if "-m oppcloud_worker --cache" in line).strip()
    assert command.endswith('python3 -m oppcloud_worker --cache "$CACHE_DIR"')
    harmless = command.replace("python3 -m oppcloud_worker --cache", "env -i sleep")
    options = [*CONFINED, "--entrypoint=sh", "--network=none", "--env=QUEUE_PASSWORD=secret", "--env=CACHE_DIR=60"]
    fresh.start("oppcloud-test-task", image, "-euc", harmless, options=options)

    environment = fresh.execute("oppcloud-test-task", "cat", "/proc/1/environ")

    assert fresh.execute("oppcloud-test-task", "cat", "/proc/1/comm").stdout.strip() == "tini"
    assert "Permission denied" in environment.stderr
    assert "secret" not in environment.stdout


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
