"""The build of a model: the sources in, what the build command made of them out.

Standard library only. A build is served like a run (same guardian, same limits, same confinement), but in a copy of
the content that it may write to, and it is judged by its exit code alone. Its product are the files that are new or
changed afterwards; they go to the store of content under a manifest of their own.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import re
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import machine, manifest
from .console import Console
from .messages import Cause, RunOutcome, RunRequest
from .settings import available_cores
from .simulation import PYTHON, files_of, this_machine
from .store import ContentError
from .supervision import GuardianLostError, Program, Stop, guardian

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .account import Account
    from .store import Store
    from .supervision import ProcessEnd

#: Name of the build's console output in its directory.
LOG = "build.log"

#: When all sources were last changed, as far as a build can see: 1980, in seconds since 1970. No source is newer than
#: another, so that nothing is made anew that travelled with them (parsers, `*_m.cc`), and compiler caches do not take
#: them for files that still change.
_LONG_AGO = 315_532_800
#: Made on the way to the product, and of no use to a run.
_LEFT_BEHIND = ("*.o", "*.obj", "*.a", "*.d", "*.gch", "*.pch", "*.pyc", ".last-copts")
_OUT_OF_SPACE = re.compile(r"No space left on device|Disk quota exceeded")
#: What of a file tells whether it was touched: size, modification time in ns, inode, mode.
_Stamp = tuple[int, int, int, int]


def build(  # noqa: PLR0913  # one task, seven things to say about it
    request: RunRequest,
    directory: Path,
    *,
    content: Path,
    environment: Mapping[str, str],
    store: Store,
    account: Account | None,
    stop: Stop,
    compiler_cache: Path,
) -> RunOutcome:
    """Run the build command of `request` in a copy of `content`, and put what it makes into `store`.

    The outcome's `product` is the digest of the manifest of what was made. `directory` is the build's own, and empty;
    afterwards it holds the log. `compiler_cache` is a folder that outlives the build, for ccache. The command runs as
    `account`, if there is one, and so do compilers.
    """
    tree, output = directory / "tree", directory / "output"
    output.mkdir()
    stamps = _copy(content, tree)
    if account is not None:
        _hand_over(account, tree, compiler_cache)
    command = tuple(sys.executable if word == PYTHON else word for word in (*request.program, *request.arguments))
    blank = RunOutcome(
        cause=Cause.WORKER_BROKEN,
        command=command,
        host=machine.name(),
        directory=str(output),
        provenance=this_machine(),
    )
    if stop.is_set():
        return replace(blank, cause=Cause.STOPPED, message="stopped before the start")
    log = Console(output / LOG, request.limits.output)
    try:
        with guardian() as lent:
            end = lent.run(
                Program(
                    command=command,
                    directory=tree / request.directory,
                    environment={
                        **_helpful(tree, compiler_cache),
                        **environment,
                        **({} if account is None else account.environment),
                        **request.environment,
                    },
                    limits=request.limits,
                    confined=True,
                    account=account,
                ),
                on_stdout=log.feed,
                on_stderr=log.feed,
                stop=stop,
            )
    except GuardianLostError as error:
        return replace(blank, cause=Cause.WORKER_LOST, message=str(error), files=tuple(files_of(output)))
    finally:
        log.close()
    cause, message = _judge(request, end, log, shlex.join(command))
    product = ""
    if cause is Cause.COMPLETED:
        try:
            product = _keep_product(tree, stamps, store)
        except ContentError as error:
            cause, message = Cause.BUILD_FAILED, f"what was built cannot be stored: {error}"
    return replace(
        blank,
        cause=cause,
        message=message,
        product=product,
        exit_code=end.exit_code,
        wall_time=end.wall_time,
        cpu_time=end.cpu_time,
        peak_memory=end.peak_memory,
        stdout=log.tail,
        files=tuple(files_of(output)),
    )


def _copy(content: Path, tree: Path) -> dict[str, _Stamp]:
    """Copy the content to where it may be written to; return how its files look there."""

    def copy(source: str, target: str) -> str:
        shutil.copyfile(source, target)
        Path(target).chmod(0o755 if os.access(source, os.X_OK) else 0o644)
        os.utime(target, (_LONG_AGO, _LONG_AGO))
        return target

    shutil.copytree(content, tree, copy_function=copy)
    return {path: _stamp(tree / path) for path in _walk(tree)}


def _hand_over(account: Account, tree: Path, compiler_cache: Path) -> None:
    """Give what a build writes to, to whom it runs as."""
    for folder, _, names in os.walk(tree):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            account.own(path)
    compiler_cache.mkdir(exist_ok=True)
    account.own(compiler_cache)


def _helpful(tree: Path, compiler_cache: Path) -> dict[str, str]:
    """Return variables of use to a build, unless the worker was started with others."""
    return {
        # The runs wait for the build, so the cores are free.
        "MAKEFLAGS": f"-j{available_cores()}",
        # The same sources are compiled in another folder each time.
        "CCACHE_BASEDIR": str(tree),
        "CCACHE_NOHASHDIR": "1",
        "CCACHE_DIR": str(compiler_cache),
    }


def _judge(request: RunRequest, end: ProcessEnd, log: Console, command: str) -> tuple[Cause, str]:
    """Return how the build ended, and why in words; what is the machine's fault is none of the sources'."""
    if end.trouble is not None:
        return Cause.BUILD_FAILED, f"`{command}` cannot be started: {end.trouble.text}"
    ends = {
        "stop": (Cause.STOPPED, f"stopped after {end.wall_time:.1f} s"),
        "timeout": (Cause.BUILD_FAILED, f"`{command}` did not end within {request.limits.timeout:g} s"),
        "processes": (Cause.BUILD_FAILED, f"`{command}` had more than {request.limits.processes} processes"),
        "tree_memory": (
            Cause.OUT_OF_MEMORY,
            f"`{command}` took more than {request.limits.tree_memory} bytes",
        ),
    }
    if end.ended_by:
        return ends[end.ended_by]
    if end.exit_code == 0:
        return Cause.COMPLETED, ""
    if end.out_of_memory:
        return Cause.OUT_OF_MEMORY, f"`{command}` took more memory than there is"
    if _OUT_OF_SPACE.search(log.tail):
        return Cause.OUT_OF_SPACE, f"`{command}` found no space left on the worker's disk"
    return Cause.BUILD_FAILED, f"`{command}` failed"


def _keep_product(tree: Path, stamps: Mapping[str, _Stamp], store: Store) -> str:
    """Store what is new or was changed; return the digest of its manifest."""
    made = [
        (path, tree / path)
        for path in _walk(tree)
        if stamps.get(path) != _stamp(tree / path) and not _is_left_behind(path)
    ]
    listed = manifest.build(made)
    manifest.upload(listed, made, store)
    return listed.digest


@functools.cache
def _left_behind() -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, _LEFT_BEHIND)))


def _is_left_behind(path: str) -> bool:
    return _left_behind().match(path.rpartition("/")[2]) is not None


def _walk(tree: Path) -> Iterator[str]:
    """Give the files below `tree`, links to files inside of it included, as paths with slashes."""
    root = tree.resolve()
    for folder, folders, names in os.walk(tree):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            # What a link leads to elsewhere is the machine's own, and may be what nobody should have.
            if path.is_file() and path.resolve().is_relative_to(root):
                yield path.relative_to(tree).as_posix()


def _stamp(path: Path) -> _Stamp:
    information = path.stat()
    return (information.st_size, information.st_mtime_ns, information.st_ino, information.st_mode)
