"""The hooks that pytest-oppcloud adds to pytest's own; docs/reference/hooks.md has an example of each.

Those that are about one run are asked with `item.ihook`: a `conftest.py` speaks for the simulations of its folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oppcloud_worker.messages import RunOutcome

    from .execution import Executor
    from .items import SimulationItem


@pytest.hookspec(firstresult=True)
def pytest_oppcloud_make_executor(config: pytest.Config) -> Executor | None:
    """Return who runs the simulations of this session.

    Called once per process, before the first simulation is needed. Stops at the first non-None result; the core's own
    answer, which runs them locally, comes last.

    :param config: The session's configuration.
    """


def pytest_oppcloud_arguments(item: SimulationItem) -> Sequence[str] | None:
    """Return words to be added to the command line of a run, as `arguments` of `oppcloud.toml` adds them.

    Called before the request of the run is built; the answers of all implementations are added, and options of the
    session (`--opp-set`) stand above them. Words of the form `--KEY=VALUE` are settings that the baseline names, and
    part of the command that reproduces the run. Which runs there are is decided before: iteration variables cannot be
    changed.

    :param item: The run; `item.run` has its config, number, repetition and iteration variables.
    """


@pytest.hookspec(firstresult=True)
def pytest_oppcloud_queue(item: SimulationItem) -> str | None:
    """Return the name of the queue that a run goes to, None for that of the session.

    Called under `--oppcloud`, before the run is sent to workers that others have started; a private queue is the only
    one there. Stops at the first non-None result.

    :param item: The run.
    """


def pytest_oppcloud_check(item: SimulationItem, outcome: RunOutcome, files: Path) -> str | None:
    """Return what is wrong with a run that completed, None if nothing is; an answer makes its item FAILED.

    Called in the process that judges the run, after the comparison with the baseline. A run that fails here is not
    recorded. An implementation may as well `assert`.

    :param item: The run.
    :param outcome: How it ended, with all recorded values (`outcome.values`).
    :param files: A folder with the files of the run: `results/`, `stdout.txt`, `stderr.txt`. They are fetched from the
        worker only if some implementation has this parameter.
    """


def pytest_oppcloud_run_submitted(item: SimulationItem) -> None:
    """Hear that a run is on its way: it was given to the queue, or is about to be started at the desk.

    Called in the session's thread; with xdist in the process that judges the run, when it turns to it. The same holds
    for the two hooks below.

    :param item: The run.
    """


def pytest_oppcloud_run_started(item: SimulationItem, where: str) -> None:
    """Hear that somebody has started a run; again for each attempt.

    :param item: The run.
    :param where: The host at the desk, the name of the worker's slot in a queue.
    """


def pytest_oppcloud_run_finished(item: SimulationItem, outcome: RunOutcome) -> None:
    """Hear that a run has ended, just before it is judged.

    :param item: The run.
    :param outcome: How it ended.
    """
