"""The files of failed runs: `.oppcloud/` in the root folder, one folder per session, the newest few."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: How many sessions' files stay.
KEPT_SESSIONS = 3
FOLDER = ".oppcloud"
_SESSION_NAME = re.compile(r"\d{8}-\d{6}-\d+")
#: Under this name the controller of xdist tells its workers the session's name.
WORKER_INPUT = "opp_session"
_SESSION_KEY = pytest.StashKey[str]()


def session_name(config: pytest.Config) -> str:
    """Return the session's name: the time it began, and a process; the same in all workers of xdist."""
    worker_input: Mapping[str, str] = getattr(config, "workerinput", {})
    if WORKER_INPUT in worker_input:
        return worker_input[WORKER_INPUT]
    if _SESSION_KEY not in config.stash:
        config.stash[_SESSION_KEY] = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    return config.stash[_SESSION_KEY]


def kept_folder(config: pytest.Config, nodeid: str) -> Path:
    """Return where the files of a failed item go; the folder above it is made."""
    top = config.rootpath / FOLDER
    top.mkdir(parents=True, exist_ok=True)
    ignore = top / ".gitignore"
    if not ignore.exists():
        ignore.write_text("# Made by pytest-oppcloud: files of failed runs.\n*\n", encoding="utf-8")
    parts = [part for part in nodeid.replace("::", "/").split("/") if part not in {"", ".", ".."}]
    return top.joinpath(session_name(config), *map(_short, parts))


def _short(name: str) -> str:
    """Return a file name that every file system takes."""
    data = name.encode("utf-8", "surrogateescape")
    if len(data) <= 200:
        return name
    return data[:180].decode("utf-8", "ignore") + "-" + hashlib.sha256(data).hexdigest()[:12]


def remove_old_sessions(config: pytest.Config) -> None:
    """Remove the files of all sessions but the newest few."""
    top = config.rootpath / FOLDER
    if not top.is_dir():
        return
    sessions = sorted(path for path in top.iterdir() if _SESSION_NAME.fullmatch(path.name))
    for path in sessions[:-KEPT_SESSIONS]:
        shutil.rmtree(path, ignore_errors=True)
