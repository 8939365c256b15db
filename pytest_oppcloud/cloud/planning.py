"""What a session knows of its runs before it sends them: what they need of a worker, and how long they will take."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oppcloud_worker.ticket import LONGEST, Needs

from pytest_oppcloud.command import simulated_seconds

from . import experience
from .executor import fixed_name
from .expectation import Planned, expect

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from pytest_oppcloud.items import SimulationItem

    from .campaign import Submission
    from .expectation import Expected, Seen

#: Folder in pytest's cache.
_FOLDER = "oppcloud"


def plan(
    config: pytest.Config, items: Mapping[str, SimulationItem], submissions: Mapping[str, Submission]
) -> list[Submission]:
    """Return `submissions` with what is expected of them; both mappings go by node id, in the order of the session."""
    planned = [_planned(items[nodeid]) for nodeid in submissions]
    file = _file(config)
    expected = expect(planned, {} if file is None else experience.read(file))
    return [
        _with(submission, items[nodeid], expected[fixed_name(nodeid)]) for nodeid, submission in submissions.items()
    ]


def remember(config: pytest.Config, seen: Mapping[str, Seen]) -> None:
    """Keep what this session saw of its runs for the next ones."""
    file = _file(config) if seen else None
    if file is not None:
        experience.add(file, seen)


def _file(config: pytest.Config) -> Path | None:
    """Return where experience is kept; None without pytest's cache, or where it cannot be written."""
    cache = getattr(config, "cache", None)
    try:
        return None if cache is None else cache.mkdir(_FOLDER) / experience.FILE_NAME
    except OSError:
        return None


def _planned(item: SimulationItem) -> Planned:
    return Planned(
        name=fixed_name(item.nodeid),
        config=item.parent.nodeid,
        sim_time=simulated_seconds(*item.planned),
    )


def _with(submission: Submission, item: SimulationItem, expected: Expected) -> Submission:
    settings = item.planned[0].settings
    memory = expected.memory if settings.needs_memory is None else settings.needs_memory
    return replace(
        submission,
        needs=Needs(memory=memory, image=settings.needs_image),
        expected=min(expected.wall_time, LONGEST),
    )
