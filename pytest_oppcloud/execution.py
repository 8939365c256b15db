"""Who runs the simulations: the protocol, and the executor of the desk.

An executor turns requests into outcomes. Items know nothing else about where a simulation runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from oppcloud_worker.messages import RunOutcome, RunRequest


class Executor(Protocol):
    """What an item needs of whoever runs simulations."""

    #: One line for the header: where simulations run, and why there.
    description: str

    def result(self, request: RunRequest) -> RunOutcome:
        """Return the outcome of `request`; block until there is one.

        Failures of the machinery come as outcomes, too, with the cause that names them.
        """

    def keep_files(self, outcome: RunOutcome, destination: Path) -> None:
        """Put the files of the run under `destination`, which is made; raise `MachineryError` if they are lost."""

    def discard_files(self, outcome: RunOutcome) -> None:
        """Forget the files of the run: it passed."""

    def close(self) -> None:
        """Stop what still runs and free what was taken; may be called twice."""
