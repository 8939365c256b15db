"""What docker, podman and buildah are told, and which of them is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_oppcloud.errors import SettingsError
from pytest_oppcloud.images import ContainerTool, Recipe, Reference, find_tool

NAME = Reference.parse("registry.example.org/worker:1")
RECIPE = Recipe(
    context=Path("there"),
    name=NAME,
    arguments={"B": "2 3", "A": "1"},
    target="worker",
    platform="linux/arm64",
    fresh=True,
)


def _tool(name: str) -> ContainerTool:
    return ContainerTool(name=name, path=f"/bin/{name}")


def test_docker_builds() -> None:
    assert _tool("docker").build_command(RECIPE) == [
        "/bin/docker", "build", "--build-arg", "A=1", "--build-arg", "B=2 3", "--target", "worker",
        "--platform", "linux/arm64", "--no-cache", "--pull", "--tag", "registry.example.org/worker:1", "there",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["podman", "buildah"])
def test_the_others_are_told_to_keep_the_health_check(name: str) -> None:
    command = _tool(name).build_command(Recipe(context=Path("there"), name=NAME))

    assert command == [f"/bin/{name}", "build", "--format", "docker", "--layers", "--tag", str(NAME), "there"]


@pytest.mark.parametrize(("registry", "plain"), [("localhost:5000", True), ("registry.example.org", False)])
def test_encryption_is_left_out_on_this_machine_only(registry: str, plain: bool) -> None:
    command = _tool("podman").push_command(Reference.parse(f"{registry}/worker"), Path("digest"))

    assert ("--tls-verify=false" in command) is plain


def test_passwords_come_by_standard_input() -> None:
    for name in ("docker", "podman", "buildah"):
        assert "--password-stdin" in _tool(name).login_command("registry.example.org", "AWS")


def _program(folder: Path, name: str, *, works: bool) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n" + ("echo 1.0" if works else "echo Cannot connect to the server >&2; exit 1") + "\n")
    path.chmod(0o755)
    return path


def test_docker_without_its_server_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(tmp_path, "docker", works=False)
    podman = _program(tmp_path, "podman", works=True)
    _program(tmp_path, "buildah", works=True)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    assert find_tool() == ContainerTool(name="podman", path=str(podman))
    assert find_tool("buildah").name == "buildah"


def test_without_any_it_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(tmp_path, "docker", works=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SettingsError) as raised:
        find_tool()

    assert "docker does not work: Cannot connect to the server" in raised.value.message
    assert "podman is not on the PATH" in raised.value.message
    assert "Install" in raised.value.advice


def test_a_folder_without_a_dockerfile_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no Dockerfile"):
        _tool("docker").build(Recipe(context=tmp_path, name=NAME))
