"""The one function that workers run: a ticket in, an outcome settled.

Standard library only. What a run needs of the machinery around it (content, a place for its results, somebody who
wants the outcome) comes from the `Host` that the slot gives with `serve`; so this module knows no queue.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from . import simulation
from .messages import Cause, RunOutcome, RunRequest
from .store import ContentError
from .ticket import Ticket, VersionMismatchError
from .wire import MessageError

if TYPE_CHECKING:
    from .supervision import Stop

_log = logging.getLogger("oppcloud_worker")


class Host(Protocol):
    """What a run needs of the slot that runs it."""

    #: Folder for the results of runs until they are stored.
    scratch: Path
    #: Ends the simulation of the current run when it is set.
    stop: Stop

    def content(self, digest: str) -> AbstractContextManager[Path]:
        """Give the folder with the unpacked content `digest`; raise `ContentError`."""

    def begin(self, ticket: Ticket) -> bool:
        """Hear that the run begins; return whether its outcome is still wanted."""

    def keep_results(self, ticket: Ticket, outcome: RunOutcome) -> RunOutcome:
        """Store the files of the run; return the outcome with what became of them."""

    def end(self, ticket: Ticket, outcome: RunOutcome, busy_time: float) -> None:
        """Hear how the attempt ended, after `busy_time` seconds."""


@dataclass(slots=True)
class _Serving:
    host: Host | None = None


_serving = _Serving()


class NotServingError(Exception):
    """This process is no slot of `python -m oppcloud_worker`."""


def serve(host: Host) -> None:
    """Make `host` the one that runs in this process are given."""
    _serving.host = host


def run(payload: object) -> dict[str, object]:
    """Run the ticket `payload`, settle its outcome, and return a few words about it.

    This is the RQ job function. It never raises for what happens to a run: that is what outcomes are for.
    """
    host = _serving.host
    if host is None:
        raise NotServingError("start the workers of this queue with: python -m oppcloud_worker")
    started = time.monotonic()
    refusal: RunOutcome | None = None
    try:
        ticket = Ticket.from_json(payload)
    except VersionMismatchError as error:
        ticket = _unreadable(payload)
        refusal = RunOutcome(cause=Cause.VERSION_MISMATCH, message=str(error))
    except MessageError as error:
        ticket = _unreadable(payload)
        refusal = RunOutcome(cause=Cause.REQUEST_DAMAGED, message=str(error))
    if not host.begin(ticket):
        return {"cause": "unwanted"}
    outcome = refusal or _outcome(ticket, host)
    host.end(ticket, outcome, time.monotonic() - started)
    return {"cause": outcome.cause.text, "message": outcome.message[:200], "wall_time": outcome.wall_time}


def _unreadable(payload: object) -> Ticket:
    """Return as much of a ticket as an answer needs; raise `MessageError` where nobody can be answered."""
    fields = payload if isinstance(payload, dict) else {}
    session, name, queue, attempt = (fields.get(key) for key in ("session", "run", "queue", "attempt"))
    if not (isinstance(session, str) and isinstance(name, str) and isinstance(queue, str)):
        raise MessageError(f"not a ticket: {payload!r:.80}")
    request = RunRequest(name="", program=(), arguments=(), directory="", config="", run_number=0, repetition=0)
    return Ticket(
        session=session,
        run=name,
        queue=queue,
        attempt=attempt if type(attempt) is int else 1,
        request=request,
    )


def _outcome(ticket: Ticket, host: Host) -> RunOutcome:
    """Run the simulation where its content is, and store its files."""
    request = ticket.request
    try:
        with nullcontext() if request.content is None else host.content(request.content) as content:
            directory = Path(tempfile.mkdtemp(dir=host.scratch, prefix="run-"))
            try:
                outcome = simulation.execute(request, directory, content=content, stop=host.stop)
                return host.keep_results(ticket, outcome)
            finally:
                shutil.rmtree(directory, ignore_errors=True)
    except ContentError as error:
        return RunOutcome(cause=Cause.CONTENT_MISSING, message=str(error))
    except OSError as error:
        # A full or broken disk of this worker; the next one may have a better one.
        _log.exception("run %s could not be served", ticket.job_id)
        return RunOutcome(cause=Cause.WORKER_BROKEN, message=f"{type(error).__name__}: {error}")
