"""Who runs the simulations: the protocol, and the executor of the desk.

An executor turns requests into outcomes. Items know nothing else about where a simulation runs.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import pytest
from oppcloud_worker import simulation
from oppcloud_worker.messages import Cause, RunOutcome

from .cloud_options import uses_queue
from .errors import MachineryError

if TYPE_CHECKING:
    from oppcloud_worker.messages import RunRequest


@runtime_checkable
class Executor(Protocol):
    """What an item needs of whoever runs simulations."""

    #: One line for the header: where simulations run, and why there.
    description: str
    #: Whether it tells itself when a run is submitted and started (`asking.tell_submitted`, `asking.tell_started`).
    announces: bool

    def result(self, request: RunRequest) -> RunOutcome:
        """Return the outcome of `request`; block until there is one.

        Failures of the machinery come as outcomes, too, with the cause that names them.
        """

    def files_of(self, outcome: RunOutcome) -> Path:
        """Return a folder with the files of the run, to be read; raise `MachineryError` if some are lost."""

    def keep_files(self, outcome: RunOutcome, destination: Path) -> None:
        """Put the files of the run under `destination`, which is made; raise `MachineryError` if they are lost."""

    def discard_files(self, outcome: RunOutcome) -> None:
        """Forget the files of the run: it passed."""

    def close(self) -> None:
        """Stop what still runs and free what was taken; may be called twice."""


class LocalExecutor:
    """Runs each simulation here and now, in a folder of its own."""

    announces = False

    def __init__(self, reason: str) -> None:
        """Prepare; nothing is started. `reason` tells why simulations run here."""
        self.description = f"simulations run locally ({reason})"
        self._folder: Path | None = None

    def result(self, request: RunRequest) -> RunOutcome:
        """Run the simulation to its end."""
        directory = ""
        try:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="oppcloud-"))
            directory = tempfile.mkdtemp(dir=self._folder, prefix="run-")
            return simulation.execute(request, Path(directory))
        except OSError as error:
            # A full disk, no more open files: told like any failure of the machinery, which no xfail mark may hide.
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            cause = Cause.OUT_OF_SPACE if full else Cause.WORKER_BROKEN
            message = f"in the temporary folder {directory or tempfile.gettempdir()}: {error}"
            return RunOutcome(cause=cause, message=message, directory=directory)

    def files_of(self, outcome: RunOutcome) -> Path:
        """Return the folder of the run."""
        return Path(outcome.directory)

    def keep_files(self, outcome: RunOutcome, destination: Path) -> None:
        """Move the files of the run to `destination`."""
        if not outcome.directory:
            return
        try:
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(destination, ignore_errors=True)
            shutil.move(outcome.directory, destination)
        except OSError as error:
            raise MachineryError(f"the files of the run cannot be kept in {destination}: {error}") from error

    def discard_files(self, outcome: RunOutcome) -> None:
        """Remove the files of the run."""
        if outcome.directory:
            shutil.rmtree(outcome.directory, ignore_errors=True)

    def close(self) -> None:
        """Remove what is left."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


_EXECUTOR_KEY = pytest.StashKey[Executor]()


def executor_of(config: pytest.Config) -> Executor:
    """Return who runs the simulations of this session; asked for when the first one is needed, closed at the end.

    Raise `pytest.UsageError` where a hook answers with what is none.
    """
    executor = config.stash.get(_EXECUTOR_KEY, None)
    if executor is None:
        answer: object = config.hook.pytest_oppcloud_make_executor(config=config)
        if not isinstance(answer, Executor):
            raise pytest.UsageError(
                "pytest_oppcloud_make_executor: an object with the attributes and methods of "
                f"pytest_oppcloud.execution.Executor was expected, found {answer!r:.80}"
            )
        executor = answer
        config.stash[_EXECUTOR_KEY] = executor
        config.add_cleanup(executor.close)
    return executor


def simulates(config: pytest.Config) -> bool:
    """Tell whether simulations are run: not under `--collect-only`, `--setup-only` and `--setup-plan`."""
    return not (config.option.collectonly or getattr(config.option, "setuponly", False))


def local_reason(config: pytest.Config) -> str:
    """Tell why simulations run locally, and what was asked for in vain on the command line."""
    if not uses_queue(config):
        words = (str(word).partition("=")[0] for word in config.invocation_params.args)
        idle = sorted({word for word in words if word.startswith("--oppcloud-")})
        does = "does" if len(idle) == 1 else "do"
        return f"no --oppcloud, without which {', '.join(idle)} {does} nothing" if idle else "no --oppcloud"
    if config.pluginmanager.is_blocked("oppcloud"):
        return "--oppcloud is overruled by -p no:oppcloud"
    return "--oppcloud found no queue to use"
