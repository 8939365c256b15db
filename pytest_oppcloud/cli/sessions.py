"""`oppcloud sessions`, `oppcloud cancel ID`, `oppcloud results ID`: what was left at a shared queue.

Only reads the command line and prints; what is done is in `pytest_oppcloud.queues`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_oppcloud.errors import OppcloudError
from pytest_oppcloud.queues.sessions import cancel, fetch_results, overviews, shared_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from oppcloud_worker.remote.sessions import SessionRecord

    from pytest_oppcloud.queues.sessions import Overview

_WHERE = "The queue is the one that OPPCLOUD_REDIS_URL names, with the key of OPPCLOUD_KEY_FILE, as for pytest."
#: Runs that are named one by one.
_NAMED = 20


def sessions_command(given: Sequence[str]) -> int:
    """Print the sessions that there are; return the exit code."""
    _parser("sessions", "List the sessions of a shared queue, and how far they are.").parse_args(given)
    return _guarded("sessions", _print_sessions)


def cancel_command(given: Sequence[str]) -> int:
    """Stop a session; return the exit code."""
    parser = _parser("cancel", "Stop the runs of a session and remove all of it, results included.")
    parser.add_argument("id", metavar="ID", help="id of the session")
    session: str = parser.parse_args(given).id

    def act() -> int:
        record = cancel(shared_queue(os.environ), session)
        print(f"cancelled session {record.id} of {record.who}: {record.command}")
        return 0

    return _guarded("cancel", act)


def results_command(given: Sequence[str]) -> int:
    """Fetch the result files of a session; return the exit code: 1 where some are not there."""
    parser = _parser("results", "Fetch the result files of the finished runs of a session.")
    parser.add_argument("id", metavar="ID", help="id of the session")
    parser.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        help="folder for them: the files of the model in a/b come to DIR/a/b/results (default: results-ID)",
    )
    options = parser.parse_args(given)
    return _guarded("results", lambda: _fetch(options.id, options.to or Path(f"results-{options.id}")))


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"oppcloud {name}", description=description, epilog=_WHERE)


def _guarded(name: str, act: Callable[[], int]) -> int:
    try:
        return act()
    except OppcloudError as error:
        print(f"oppcloud {name}: {error}", file=sys.stderr)
        return 1


def _print_sessions() -> int:
    found = overviews(shared_queue(os.environ))
    if not found:
        print("no sessions")
        return 0
    now = time.time()
    rows: list[tuple[str, ...]] = [("id", "who", "since", "finished", "running", "state", "what")]
    rows += [row(item, item.record, now) for item in found if item.record is not None]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(rows[0]) - 1)]
    if len(rows) > 1:
        for cells in rows:
            print("  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)), cells[-1]]))
    for item in found:
        if item.record is None:
            print(item.trouble, file=sys.stderr)
    return 0 if all(item.record for item in found) else 1


def row(item: Overview, record: SessionRecord, now: float) -> tuple[str, ...]:
    """Return the cells of a line of the list."""
    return (
        item.id,
        record.who,
        _date(record.started),
        f"{item.finished}/{item.total}",
        str(item.running),
        _state(item, record, now),
        f"{record.root}: {record.command}",
    )


def _state(item: Overview, record: SessionRecord, now: float) -> str:
    if item.client:
        return f"watched by {item.client}"
    if item.total and item.finished == item.total:
        return "finished"
    if record.deadline > now:
        return f"detached until {_date(record.deadline)}"
    return "its time is over" if record.deadline else "left"


def _date(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))


def _fetch(session: str, folder: Path) -> int:
    fetched = fetch_results(shared_queue(os.environ), session, folder)
    print(f"{_runs(fetched.runs)} in {folder}" + (f", {fetched.unfinished} unfinished" if fetched.unfinished else ""))
    for name, why in fetched.lacking[:_NAMED]:
        print(f"not all of {name}: {why}", file=sys.stderr)
    if len(fetched.lacking) > _NAMED:
        print(f"nor of {len(fetched.lacking) - _NAMED} more", file=sys.stderr)
    return 1 if fetched.lacking else 0


def _runs(count: int) -> str:
    return f"results of {count} run" if count == 1 else f"results of {count} runs"
