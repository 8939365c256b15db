"""The image itself: what it is, how it starts, tells its health, and ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import oppcloud_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.image.conftest import Containers, Queue, StartWorker

#: Where nobody listens.
_NOWHERE = "redis://127.0.0.1:1/0"


def test_configuration(fresh: Containers, image: str) -> None:
    config = json.loads(fresh.inspect(image, "{{json .Config}}"))
    labels = config["Labels"]

    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"][0] == "/usr/bin/tini"
    assert not config.get("Cmd")
    assert not config.get("Volumes"), "anonymous volumes would pile up"
    assert labels["org.opencontainers.image.title"] == "oppcloud-worker"
    assert labels["org.opencontainers.image.version"] == oppcloud_worker.__version__
    assert labels["org.opencontainers.image.base.name"]
    assert f"OPPCLOUD_IMAGE={image}" in config["Env"]


def test_arguments_are_those_of_the_worker(fresh: Containers, image: str) -> None:
    assert fresh.run(image, "--version").strip() == f"oppcloud-worker {oppcloud_worker.__version__}"


def test_without_a_queue_it_says_what_is_missing(fresh: Containers, image: str) -> None:
    done = fresh.call("run", "--rm", image, check=False)

    assert done.returncode == 2
    assert "OPPCLOUD_REDIS_URL" in done.stderr


def test_layers_are_small(fresh: Containers, image: str, plain_base: str) -> None:
    # boto3, for the store in S3, takes 25 of them.
    sizes = [int(fresh.inspect(name, "{{.Size}}")) for name in (image, plain_base)]

    assert sizes[0] - sizes[1] < 90e6


def test_nothing_unneeded_is_in_it(fresh: Containers, image: str) -> None:
    found = fresh.run(
        image,
        "-c",
        "command -v pip; ls -d /src; find /var/lib/apt/lists /var/cache/apt -type f; find /opt -user worker",
        options=["--entrypoint=/bin/sh"],
        check=False,
    )

    assert found.strip() == "ls: cannot access '/src': No such file or directory"


def test_works_confined_and_ends_cleanly(
    fresh: Containers, image: str, queue: Queue, start_worker: StartWorker
) -> None:
    worker = start_worker(image, slots=2)

    identity = fresh.execute(worker, "id", "-u").stdout.strip()
    written = fresh.execute(worker, "touch", "/opt/oppcloud/anything")
    with queue.connect() as connection:
        serving = connection.scard("oppcloud:slots:oppcloud")
        fresh.call("stop", "--time", "20", worker)
        left = connection.scard("oppcloud:slots:oppcloud")

    assert identity == "10001"
    assert written.returncode != 0
    assert "Read-only file system" in written.stderr
    assert serving == 2
    assert left == 0, "the slots did not take their leases back"
    assert fresh.inspect(worker, "{{.State.ExitCode}}") == "0"


def test_health_check_fails_without_a_queue(fresh: Containers, image: str) -> None:
    worker = fresh.start("oppcloud-test-lost", image, "-u", _NOWHERE, "-n", "1", options=["--network=none"])

    code, text = fresh.health(worker)

    assert code == 1
    assert "no worker has reached its queue yet" in text


def test_init_process_hides_the_address_in_its_environment(
    fresh: Containers, image: str, start_worker: StartWorker
) -> None:
    worker = start_worker(image)

    # What a simulation would be allowed to: the same user, another process.
    environment = fresh.execute(worker, "cat", "/proc/1/environ")
    lines = fresh.execute(worker, "sh", "-c", "cat /proc/[0-9]*/cmdline").stdout

    assert "Permission denied" in environment.stderr
    assert "only-for-the-tests" not in environment.stdout + lines


def test_processes_left_behind_are_buried(
    fresh: Containers, image: str, start_worker: StartWorker, eventually: Callable[..., None]
) -> None:
    worker = start_worker(image)

    # A child whose parent is gone, and which ends at once.
    fresh.execute(worker, "sh", "-c", "(true & ) ; exit 0")
    states = "cat /proc/[0-9]*/stat 2>/dev/null | awk '{print $3}'"

    eventually(lambda: "Z" not in fresh.execute(worker, "sh", "-c", states).stdout)
