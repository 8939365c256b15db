"""`oppcloud sessions`, `oppcloud cancel ID`, `oppcloud results ID`: what was left at a shared queue, or in a cluster.

Only reads the command line and prints; what is done is in `pytest_oppcloud.queues`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from oppcloud_worker.remote.connection import connect
from oppcloud_worker.settings import URL_VARIABLE

from pytest_oppcloud.cloud.stack.names import NAME_VARIABLE
from pytest_oppcloud.errors import OppcloudError
from pytest_oppcloud.queues.sessions import SharedQueue, cancel, fetch_results, overviews, shared_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from oppcloud_worker.remote.sessions import SessionRecord

    from pytest_oppcloud.queues.sessions import Overview

_WHERE = (
    "The queue is the one that OPPCLOUD_REDIS_URL names, with the key of OPPCLOUD_KEY_FILE, or that of a cluster in "
    "Amazon's cloud (--stack, OPPCLOUD_STACK), as for pytest. A cluster's queue is started if it is stopped."
)
#: Runs that are named one by one.
_NAMED = 20


def sessions_command(given: Sequence[str]) -> int:
    """Print the sessions that there are; return the exit code."""
    options = _parser("sessions", "List the sessions of a shared queue, and how far they are.").parse_args(given)
    return _guarded("sessions", options, lambda place: _print_sessions(place.queue))


def cancel_command(given: Sequence[str]) -> int:
    """Stop a session; return the exit code."""
    parser = _parser("cancel", "Stop the runs of a session and remove all of it, results included.")
    parser.add_argument("id", metavar="ID", help="id of the session")
    options = parser.parse_args(given)

    def act(place: _Place) -> int:
        record = cancel(place.queue, options.id)
        place.forget(record.id)
        print(f"cancelled session {record.id} of {record.who}: {record.command}")
        return 0

    return _guarded("cancel", options, act)


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
    folder = options.to or Path(f"results-{options.id}")
    return _guarded("results", options, lambda place: _fetch(place.queue, options.id, folder))


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"oppcloud {name}", description=description, epilog=_WHERE)
    parser.add_argument("--stack", metavar="NAME", help="the cluster in Amazon's cloud whose queue is meant")
    parser.add_argument("--region", help="where that is (default: the region that is set up)")
    return parser


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """The queue that is meant."""

    queue: SharedQueue
    #: Has the cluster, if it is one's, give a session nothing any more.
    forget: Callable[[str], None] = field(default=lambda session: None)  # noqa: ARG005  # there is nothing to give


def _guarded(name: str, options: argparse.Namespace, act: Callable[[_Place], int]) -> int:
    try:
        with _opened(options) as place:
            return act(place)
    except OppcloudError as error:
        print(f"oppcloud {name}: {error}", file=sys.stderr)
        return 1


@contextlib.contextmanager
def _opened(options: argparse.Namespace) -> Iterator[_Place]:
    """Give the queue that is meant; one of a cluster is started, and kept open meanwhile."""
    there = URL_VARIABLE in os.environ
    stack = options.stack or ("" if there else os.environ.get(NAME_VARIABLE, ""))
    if not stack:
        yield _Place(queue=shared_queue(os.environ))
        return
    # Here and not above: without a cluster there is no use for all that it needs.
    from pytest_oppcloud.cloud.rented import ClusterWish, RentedQueue  # noqa: PLC0415

    rented = RentedQueue(
        ClusterWish(name=stack, region=options.region or ""),
        notify=lambda text: print(text, file=sys.stderr, flush=True),
    )
    try:
        rented.stay()
        queue = SharedQueue(connection=connect(rented.url), key=rented.key, url=rented.url)
        yield _Place(queue=queue, forget=rented.forget)
        queue.connection.close()
    finally:
        rented.close()


def _print_sessions(queue: SharedQueue) -> int:
    found = overviews(queue)
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


def _fetch(queue: SharedQueue, session: str, folder: Path) -> int:
    fetched = fetch_results(queue, session, folder)
    print(f"{_runs(fetched.runs)} in {folder}" + (f", {fetched.unfinished} unfinished" if fetched.unfinished else ""))
    for name, why in fetched.lacking[:_NAMED]:
        print(f"not all of {name}: {why}", file=sys.stderr)
    if len(fetched.lacking) > _NAMED:
        print(f"nor of {len(fetched.lacking) - _NAMED} more", file=sys.stderr)
    return 1 if fetched.lacking else 0


def _runs(count: int) -> str:
    return f"results of {count} run" if count == 1 else f"results of {count} runs"
