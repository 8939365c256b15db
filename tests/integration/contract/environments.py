"""The interpreters of `make contract`: the oldest and the newest Python and pytest that are supported.

Run as a script it makes an environment for each in `.cache/contract`, where it stays, and prints their interpreters as
`OPPCLOUD_CONTRACT_PYTHONS` takes them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
#: Pythons from the one that is wanted to those that will do, and the version of pytest as pip takes it.
WANTED = (
    (("3.10",), "==8.0.*"),
    (("3.14", "3.13"), ">=9"),
)


def interpreter(version: str) -> str | None:
    """Return the path of a Python, on the PATH or among those of pyenv."""
    found = shutil.which(f"python{version}")
    if found is not None and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
        return found
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return next((str(path) for path in sorted(versions.glob(f"{version}.*/bin/python"))), None)


def made(python: str, version: str, pytest: str) -> Path:
    """Return the interpreter of an environment with the project in it, made unless it is there."""
    folder = ROOT / ".cache" / "contract" / f"python{version}-pytest{''.join(filter(str.isdigit, pytest))}"
    mark, own = folder / "made", folder / "bin" / "python"
    if not mark.exists():
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True, stdout=sys.stderr)
        pip = [str(own), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True, stdout=sys.stderr)
        project = ["--editable", f"{ROOT}[xdist]", "--group", f"{ROOT / 'pyproject.toml'}:plugins"]
        subprocess.run([*pip, *project, f"pytest{pytest}"], check=True, stdout=sys.stderr)
        mark.touch()
    return own


def main() -> None:
    """Make all environments and print their interpreters."""
    pythons = []
    for versions, pytest in WANTED:
        found = ((version, path) for version in versions if (path := interpreter(version)) is not None)
        version, python = next(found, ("", ""))
        if not python:
            raise SystemExit(f"there is no Python {' or '.join(versions)}, neither on the PATH nor in pyenv")
        pythons.append(str(made(python, version, pytest)))
    sys.stdout.write(os.pathsep.join(pythons) + "\n")


if __name__ == "__main__":
    main()
