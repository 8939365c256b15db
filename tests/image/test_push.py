"""Pushing to a real registry on this machine (Debian's package docker-registry)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.image.conftest import Containers


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"http://{address}/v2/").close()
    except urllib.error.URLError:
        return False
    return True


@pytest.fixture
def registry(fresh: Containers, tmp_path: Path, eventually: Callable[..., None]) -> Iterator[str]:
    """Give the address of an empty registry."""
    program = shutil.which("docker-registry") or shutil.which("registry")
    if program is None:
        pytest.skip("no registry to push to: apt install docker-registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = tmp_path / "registry.yml"
    settings.write_text(
        "version: 0.1\n"
        f"storage:\n  filesystem:\n    rootdirectory: {tmp_path / 'images'}\n"
        f"http:\n  addr: 127.0.0.1:{port}\n",
        encoding="utf-8",
    )
    server = subprocess.Popen([program, "serve", str(settings)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    eventually(lambda: _answers(f"127.0.0.1:{port}"))
    yield f"127.0.0.1:{port}"
    for name in fresh.call("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split():
        if name.startswith(f"127.0.0.1:{port}/"):
            fresh.call("rmi", name, check=False)
    server.terminate()
    server.wait()


def _push(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("oppcloud")), "image", "push", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("program", ["docker", "podman", "buildah"])
def test_pushed_image_is_there_by_name_and_digest(fresh: Containers, image: str, registry: str, program: str) -> None:
    usable = {"docker": {"docker"}, "podman": {"podman", "buildah"}}[fresh.name]
    if program not in usable:
        pytest.skip(f"{program} does not work here, or keeps its images elsewhere")
    if shutil.which(program) is None:
        pytest.skip(f"no {program}")

    done = _push(f"{registry}/team/worker:1.0", "--image", image, "--tool", program)

    assert done.returncode == 0, done.stdout + done.stderr
    named = done.stdout.splitlines()[-1].strip()
    assert named.startswith(f"{registry}/team/worker@sha256:")
    request = urllib.request.Request(
        f"http://{registry}/v2/team/worker/manifests/{named.partition('@')[2]}",
        headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310  # a server of ours
        assert answer.status == 200


def test_pulled_image_is_the_pushed_one(fresh: Containers, image: str, registry: str) -> None:
    done = _push(f"{registry}/worker:1.0", "--image", image, "--tool", fresh.name)
    assert done.returncode == 0, done.stdout + done.stderr
    name = done.stdout.splitlines()[-1].strip()
    plain = ["--tls-verify=false"] if fresh.name == "podman" else []

    fresh.call("rmi", f"{registry}/worker:1.0")
    fresh.call("pull", *plain, name)

    try:
        assert fresh.inspect(name, "{{.Id}}") == fresh.inspect(image, "{{.Id}}")
        assert fresh.health_check(name) == fresh.health_check(image)
    finally:
        fresh.call("rmi", name)


def test_unknown_image_is_an_error(fresh: Containers, registry: str) -> None:
    done = _push(f"{registry}/worker:1.0", "--image", "localhost/nowhere:1", "--tool", fresh.name)

    assert done.returncode == 1
    assert f"oppcloud image push: {fresh.name} tag failed" in done.stderr
