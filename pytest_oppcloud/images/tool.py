"""docker, podman and buildah: one way to call them.

Nothing but standard library; the only module that starts these programs.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_oppcloud.errors import MachineryError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .reference import Reference

#: The programs that are looked for, in this order.
TOOLS = ("docker", "podman", "buildah")
#: Seconds for a tool to say that it works.
_ANSWER = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an image is built from."""

    #: The folder with the Dockerfile.
    context: Path
    name: Reference
    #: Values of the Dockerfile's ARGs.
    arguments: Mapping[str, str] = field(default_factory=dict)
    #: The stage that is wanted; "" for the last one.
    target: str = ""
    #: As in "linux/arm64"; "" for that of this machine.
    platform: str = ""
    #: Whether nothing is taken from earlier builds.
    fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerTool:
    """One of the programs that build and push images."""

    #: "docker", "podman" or "buildah".
    name: str
    path: str

    def build_command(self, recipe: Recipe) -> list[str]:
        """Return the command line that builds an image."""
        command = [self.path, "build"]
        if self.name != "docker":
            # Their own default format knows no health check; and they keep layers only when told to.
            command += ["--format", "docker", "--layers"]
        for name, value in sorted(recipe.arguments.items()):
            command += ["--build-arg", f"{name}={value}"]
        if recipe.target:
            command += ["--target", recipe.target]
        if recipe.platform:
            command += ["--platform", recipe.platform]
        if recipe.fresh:
            command += ["--no-cache", "--pull"]
        return [*command, "--tag", str(recipe.name), str(recipe.context)]

    def tag_command(self, source: str, name: Reference) -> list[str]:
        """Return the command line that gives the image `source` another name."""
        return [self.path, "tag", source, str(name)]

    def push_command(self, name: Reference, digest_file: Path) -> list[str]:
        """Return the command line that pushes an image; podman and buildah write its digest to a file."""
        if self.name == "docker":
            return [self.path, "push", str(name)]
        # Docker does without encryption on this machine by itself.
        plain = ["--tls-verify=false"] if name.on_this_machine else []
        return [self.path, "push", *plain, "--format", "v2s2", "--digestfile", str(digest_file), str(name)]

    def login_command(self, registry: str, user: str) -> list[str]:
        """Return the command line that logs in; it reads the password from its standard input."""
        return [self.path, "login", "--username", user, "--password-stdin", registry]

    def build(self, recipe: Recipe) -> None:
        """Build an image, showing what goes on.

        Raises `SettingsError` without a Dockerfile, `MachineryError` on failure.
        """
        if not (recipe.context / "Dockerfile").is_file():
            raise SettingsError(
                f"there is no Dockerfile in {recipe.context}",
                advice="Run this in a clone of pytest-oppcloud, or name the folder that holds your own Dockerfile.",
            )
        self._show(self.build_command(recipe))

    def push(self, source: str, name: Reference) -> str:
        """Push the image `source` under another name, showing what goes on; return its digest, "" if that is not told.

        Raises `MachineryError` on failure.
        """
        self._show(self.tag_command(source, name))
        with tempfile.TemporaryDirectory() as folder:
            digest_file = Path(folder, "digest")
            self._show(
                self.push_command(name, digest_file),
                advice=f"If you are not logged in: {self.name} login {name.registry}",
            )
            if digest_file.is_file():
                return digest_file.read_text(encoding="ascii").strip()
        return self._digest_of(name)

    def login(self, registry: str, user: str, password: str) -> None:
        """Log in to a registry; raise `MachineryError` on failure."""
        self._show(self.login_command(registry, user), given=password)

    def _digest_of(self, name: Reference) -> str:
        answer = subprocess.run(
            [self.path, "image", "inspect", "--format", "{{json .RepoDigests}}", str(name)],
            capture_output=True,
            text=True,
            check=False,
        )
        wanted = f"{name.repository}@"
        found = [part.strip('"[] \n') for part in answer.stdout.split(",") if wanted in part]
        return found[0].partition("@")[2] if answer.returncode == 0 and found else ""

    def _show(self, command: Sequence[str], *, given: str | None = None, advice: str = "") -> None:
        """Run a command in front of the user, with `given` as its standard input."""
        print(f"+ {shlex.join([self.name, *command[1:]])}", flush=True)  # noqa: T201  # people may want to do it by hand
        try:
            code = subprocess.run(command, input=given, text=True, check=False).returncode
        except OSError as error:
            raise MachineryError(f"{self.path} cannot be started: {error}") from error
        if code != 0:
            what = f"{self.name} {command[1]} failed with exit code {code}"
            raise MachineryError(f"{what}\n{advice}" if advice else what)


def find_tool(wanted: str = "") -> ContainerTool:
    """Return the tool that is `wanted` or, if that is "", the first one that works; raise `SettingsError`."""
    if wanted and wanted not in TOOLS:
        raise SettingsError(f"unknown tool {wanted!r}", advice=f"Known are {', '.join(TOOLS)}.")
    seen = []
    for name in [wanted] if wanted else TOOLS:
        path = shutil.which(name)
        if path is None:
            seen.append(f"{name} is not on the PATH")
        elif trouble := _trouble(name, path):
            seen.append(f"{name} does not work: {trouble}")
        else:
            return ContainerTool(name=name, path=path)
    raise SettingsError(
        f"no tool to build and push images: {'; '.join(seen)}", advice="Install Docker, podman or buildah."
    )


def _trouble(name: str, path: str) -> str:
    """Return why a tool does not work, "" if it does: Docker's client is often there without its server."""
    question = ["version", "--format", "{{.Server.Version}}"] if name == "docker" else ["--version"]
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        answer = subprocess.run(
            [path, *question], capture_output=True, text=True, timeout=_ANSWER, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if answer.returncode == 0:
        return ""
    lines = answer.stderr.strip().splitlines() or [f"exit code {answer.returncode}"]
    return lines[-1]
