"""The files that a run left behind, from the store to where people want them.

What a worker tells is data from outside: a path that leads out of its folder, a size or a digest that does not fit is
an error, and a link in the place of a file is replaced, not followed.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import redis
from oppcloud_worker.checking import printable
from oppcloud_worker.manifest import check_path
from oppcloud_worker.remote.results import EMPTY
from oppcloud_worker.store import ContentError, VerifyingSink

from pytest_oppcloud.errors import MachineryError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from oppcloud_worker.messages import ResultFile, RunOutcome
    from oppcloud_worker.store import Store

#: Where the note about files that did not travel is left.
LEFT_OUT = "FILES_LEFT_OUT.txt"
#: How the console output of a run is called in a folder that it shares with other runs.
_CONSOLE = {"stdout.txt": ".out", "stderr.txt": ".err"}


def fetch(files: Iterable[ResultFile], store: Store, place: Callable[[str], Path]) -> list[ResultFile]:
    """Write each file to where `place` wants its path to be; return those that did not travel.

    Raise `MachineryError` where one is lost, damaged, or not what it was said to be.
    """
    left_out = []
    for file in files:
        if not file.digest:
            left_out.append(file)
            continue
        try:
            _write(file, store, place(check_path(file.path)))
        except (ContentError, OSError, redis.RedisError) as error:
            raise MachineryError(f"{_shown(file)} of the run was lost on its way back: {error}") from error
    return left_out


def _shown(file: ResultFile) -> str:
    """Return the path of a file on one line, without what no text can hold or what moves a terminal.

    The simulation chose the name, and a file's name may be any bytes.
    """
    text = file.path.encode("utf-8", "backslashreplace").decode()
    return printable(text.replace("\n", "\\n").replace("\t", "\\t"))


def _write(file: ResultFile, store: Store, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # What was there is replaced; a link is not followed.
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    with os.fdopen(handle, "wb") as target:
        sink = VerifyingSink(target, file.digest, file.size)
        if file.digest != EMPTY:
            store.get(file.digest, sink)
        sink.finish()


def note_left_out(left_out: Iterable[ResultFile], folder: Path) -> None:
    """Say in `folder` which files of a run are not there."""
    lines = [f"  {_shown(file)} ({file.size} bytes)\n" for file in left_out]
    if lines:
        folder.mkdir(parents=True, exist_ok=True)
        text = (
            "Too large to travel through Redis; with a store in S3 (OPPCLOUD_STORE), or at the desk with "
            "-p no:oppcloud, you have them:\n"
        )
        (folder / LEFT_OUT).write_text(text + "".join(lines), encoding="utf-8")


def too_large(left_out: Iterable[ResultFile]) -> str:
    """Return what people are told of files that they want and that did not travel."""
    names = ", ".join(f"{_shown(file)} ({file.size} bytes)" for file in left_out)
    return f"too large to travel through Redis: {names}; use a store in S3 (OPPCLOUD_STORE=s3://BUCKET/PREFIX)"


def model_folder(directory: Path, root: Path) -> str:
    """Return where a model's folder is below `root`, with slashes; one outside lies there by its name alone."""
    try:
        return directory.relative_to(root).as_posix()
    except ValueError:
        return directory.name


class ResultsFolder:
    """A folder for the files of all runs, laid out as the runs would have left them at the desk.

    The folder `results` of a model at `<root>/a/b` is `<folder>/a/b/results`; beside the files of OMNeT++, which are
    called after the run, lies its console output as `.out` and `.err`.
    """

    def __init__(self, folder: Path) -> None:
        """Take the folder."""
        self._folder = folder

    def prepare(self) -> None:
        """Make the folder; raise `SettingsError` if nothing can be put there, before anybody takes that for a loss."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"result files cannot be put into {self._folder}: {error.strerror}") from error
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise SettingsError(f"result files cannot be put into {self._folder}: it cannot be written")

    def fetch(self, outcome: RunOutcome, store: Store, *, model: str, config: str, name: str) -> None:
        """Fetch the files of the run with the node id `name`; raise `MachineryError` where one is lost or too large.

        `model` is the folder of the model as `model_folder` returns it.
        """
        results = self._folder / model / "results"
        tail = name.rpartition("::")[2].replace("/", "_")
        stem = f"{config}-{tail}"

        def place(path: str) -> Path:
            parts = PurePosixPath(path).parts
            if path in _CONSOLE:
                return results / f"{stem}{_CONSOLE[path]}"
            if parts[0] == "results" and len(parts) > 1:
                return results.joinpath(*parts[1:])
            return results / stem / path

        left_out = fetch(outcome.files, store, place)
        if left_out:
            raise MachineryError(too_large(left_out))
