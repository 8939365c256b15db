"""What a project says about its runs through our hooks, and how it hears of them.

What goes wrong in a hook that decides something is an error of the run; what goes wrong in one that only listens is a
warning, and the verdict stays what it is: alike in all modes, whatever thread or loop was just at work.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest

from .errors import SettingsError
from .project import arguments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oppcloud_worker.messages import RunOutcome

    from .items import SimulationItem


def words_of(item: SimulationItem) -> tuple[str, ...]:
    """Return what hooks add to the command line of a run, that of the nearest `conftest.py` last.

    Raise `SettingsError` for words that cannot be, or where a hook breaks.
    """
    answers = _asked(item, "pytest_oppcloud_arguments", lambda: item.ihook.pytest_oppcloud_arguments(item=item))
    try:
        # A text is no list of its letters.
        lists = (answer if isinstance(answer, str) else list(answer) for answer in reversed(answers))
        return tuple(word for words in lists for word in arguments(words))
    except (TypeError, ValueError) as error:
        raise SettingsError(f"pytest_oppcloud_arguments: {error}, found {answers!r:.200}") from error


def queue_of(item: SimulationItem) -> str:
    """Return the queue that hooks choose for a run, "" for that of the session; raise `SettingsError`."""
    name = _asked(item, "pytest_oppcloud_queue", lambda: item.ihook.pytest_oppcloud_queue(item=item))
    if name is not None and (not isinstance(name, str) or not name):
        raise SettingsError(f"pytest_oppcloud_queue: the name of a queue was expected, found {name!r:.80}")
    return name or ""


def _asked(item: SimulationItem, name: str, ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except Exception as error:  # the project's code, not ours
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise SettingsError(
            f"{name} broke for {item.nodeid}: {type(error).__name__}: {error}", file=place.filename, line=place.lineno
        ) from error


def wants_files(item: SimulationItem) -> bool:
    """Tell whether a check looks at the files of the run."""
    return any(
        "files" in implementation.argnames for implementation in item.ihook.pytest_oppcloud_check.get_hookimpls()
    )


def complaints(item: SimulationItem, outcome: RunOutcome, files: Path) -> str:
    """Return what the project's checks have to say against a run, "" if nothing."""
    answers = item.ihook.pytest_oppcloud_check(item=item, outcome=outcome, files=files)
    return "\n".join(str(answer) for answer in reversed(answers) if answer)


def tell_submitted(item: SimulationItem) -> None:
    """Tell that a run is on its way."""
    _told(item, "pytest_oppcloud_run_submitted", lambda: item.ihook.pytest_oppcloud_run_submitted(item=item))


def tell_started(item: SimulationItem, where: str) -> None:
    """Tell that somebody has started a run."""
    _told(item, "pytest_oppcloud_run_started", lambda: item.ihook.pytest_oppcloud_run_started(item=item, where=where))


def tell_finished(item: SimulationItem, outcome: RunOutcome) -> None:
    """Tell that a run has ended."""
    _told(
        item,
        "pytest_oppcloud_run_finished",
        lambda: item.ihook.pytest_oppcloud_run_finished(item=item, outcome=outcome),
    )


def _told(item: SimulationItem, name: str, tell: Callable[[], object]) -> None:
    try:
        tell()
    except Exception as error:  # noqa: BLE001  # the project's code, not ours
        place = traceback.extract_tb(error.__traceback__)[-1]
        item.warn(
            pytest.PytestWarning(f"{name} broke: {type(error).__name__}: {error} ({place.filename}:{place.lineno})")
        )
