"""Baseline files on disk: where they are, and how they are replaced without ever being half there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_oppcloud.errors import BaselineError

from .file import BaselineFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_oppcloud.records import Record, RunKey

#: The folder beside the ini file.
FOLDER = "baselines"


def baseline_path(ini: Path) -> Path:
    """Return where the baselines of an ini file are: `baselines/omnetpp.ini.txt` beside `omnetpp.ini`."""
    return ini.parent / FOLDER / f"{ini.name}.txt"


def read_baselines(path: Path) -> BaselineFile:
    """Read the file; one that does not exist has no baselines. Raise `BaselineError` where it cannot be read."""
    try:
        return BaselineFile(path, path.read_bytes())
    except FileNotFoundError:
        return BaselineFile(path)
    except OSError as error:
        raise BaselineError(f"cannot be read: {error.strerror}", file=str(path)) from error


def write_baselines(path: Path, changes: Mapping[RunKey, Record | None]) -> bool:
    """Replace, add or (None) remove the sections of some runs; return whether the file has changed.

    The file is read anew, so that what somebody else changed meanwhile in other sections stays. It is replaced in
    one step, or not at all; a link to it stays a link. Without any section left, it is removed. Raise
    `BaselineError` where it cannot be read or written.
    """
    if not changes:
        return False
    try:
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent):
            before = read_baselines(path)
            after = before.updated(changes)
            if not len(after):
                existed = target.exists()
                target.unlink(missing_ok=True)
                return existed
            if after.data == before.data:
                return False
            _replace(target, after.data)
            return True
    except OSError as error:
        raise BaselineError(f"cannot be written: {error.strerror}", file=str(path)) from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time change the files of a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems cannot lock a folder; there, the last of two writers in one moment wins.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    # Made by hand rather than by tempfile, which would hide the file from other users whatever their umask says.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123  # a descriptor, not a path
            if path.exists():
                os.fchmod(descriptor, path.stat().st_mode & 0o7777)
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
