"""What machine a worker runs on: its name, its system, its memory, its OMNeT++.

Standard library only. Everything here is read from files and from the system itself, no process is started: workers
ask when they start, and people wait for that.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from pathlib import Path

#: Names the container image that a worker runs in; whoever starts the container sets it.
IMAGE_VARIABLE = "OPPCLOUD_IMAGE"
#: What the machine is called, where a container has another name than the machine that it runs on.
HOST_VARIABLE = "OPPCLOUD_HOST"

_CGROUPS = Path("/proc/self/cgroup")
_V2, _V1 = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")
#: Bytes of a file with a version in it.
_SHORT = 200


def name(environment: dict[str, str] | os._Environ[str] = os.environ) -> str:
    """Return what the machine is called, for those who look after it."""
    return environment.get(HOST_VARIABLE) or socket.gethostname()


def system() -> str:
    """Return what a program must have been built for to run here, as "linux-x86_64-glibc-2.36" or "darwin-arm64"."""
    parts = [sys.platform, platform.machine()]
    if sys.platform == "linux":
        parts += _libc()
    return "-".join(part for part in parts if part)


def _libc() -> list[str]:
    """Return name and version of the C library, as far as it tells them."""
    try:
        # "glibc 2.36"; musl tells nothing.
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (ValueError, OSError):
        return ["musl"]


def omnetpp(environment: dict[str, str] | os._Environ[str] = os.environ) -> str:
    """Return the version of the OMNeT++ on the PATH, as "6.1", or "" without one."""
    program = shutil.which("opp_run", path=environment.get("PATH"))
    root = Path(program).resolve().parents[1] if program else None
    if root is None:
        return ""
    try:
        # What `opp_run -v` tells as well.
        with (root / "Version").open(encoding="ascii", errors="replace") as stream:
            return stream.read(_SHORT).strip().removeprefix("omnetpp-")
    except OSError:
        return ""


def memory() -> int:
    """Return the bytes of memory that this process and its children may use: its container's limit, or all there is.

    0 where the system does not tell.
    """
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        physical = 0
    limits = [limit for limit in (physical, *_cgroup_limits()) if limit > 0]
    return min(limits, default=0)


def _cgroup_limits() -> list[int]:
    """Return the limits of our control group and of all above it, whatever version of them this system has."""
    files: list[Path] = []
    try:
        lines = _CGROUPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            files += _upwards(_V2, path, "memory.max")
        elif "memory" in controllers.split(","):
            files += _upwards(_V1, path, "memory.limit_in_bytes")
    return [limit for limit in map(_limit, files) if limit]


def _upwards(mount: Path, path: str, name: str) -> list[Path]:
    """Return the files `name` of the group `path` and of all above it; in a container the own one is the topmost."""
    parts = [part for part in path.split("/") if part]
    return [mount.joinpath(*parts[:count], name) for count in range(len(parts), -1, -1)]


def _limit(file: Path) -> int:
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return 0
    # "max" for none in version 2, a figure beyond all memory in version 1.
    return int(text) if text.isdecimal() else 0
