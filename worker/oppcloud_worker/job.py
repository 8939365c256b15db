"""The one function that workers run: a ticket in, an outcome settled.

Standard library only. What a run needs of the machinery around it (content, a place for its results, somebody who
wants the outcome) comes from the `Host` that the slot gives with `serve`; so this module knows no queue.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from . import building, simulation
from .confinement import without_secrets
from .messages import Cause, RunOutcome, RunRequest
from .signing import RefusedError, ReplayedError, verify_ticket
from .store import ContentError
from .ticket import Kind, Ticket, VersionMismatchError, check_version
from .wire import MessageError

if TYPE_CHECKING:
    from .account import Account
    from .messages import Limits
    from .signing import ClusterKey, Proof
    from .store import Store
    from .supervision import Stop

_log = logging.getLogger("oppcloud_worker")


class Host(Protocol):
    """What a run needs of the slot that runs it."""

    #: Folder for the results of runs until they are stored.
    scratch: Path
    #: Ends the simulation of the current run when it is set.
    stop: Stop
    #: What no run may exceed, whatever it asks for.
    bounds: Limits
    #: Whom simulations run as; None: as ourselves.
    account: Account | None
    #: What tickets must be signed with; None: anybody's are served.
    cluster_key: ClusterKey | None

    #: What it announces: the image, system and OMNeT++ version that programs must have been built for to run here.
    image: str
    system: str
    omnetpp: str
    #: Folder for what compilers keep from one build to the next.
    compiler_cache: Path

    def admit(self, proof: Proof) -> None:
        """Take note of a verified ticket; raise `ReplayedError` if it was served before."""

    def content(self, ticket: Ticket, digest: str) -> AbstractContextManager[Path]:
        """Give the folder with the unpacked content `digest`; raise `ContentError`."""

    def store(self, ticket: Ticket) -> Store:
        """Return the store of content that the ticket names; raise `ContentError`."""

    def begin(self, ticket: Ticket) -> bool:
        """Hear that the run begins; return whether its outcome is still wanted."""

    def hear(self, data: bytes) -> None:
        """Hear what the simulation prints, piece by piece."""

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
        ticket = _trusted(payload, host)
    except VersionMismatchError as error:
        ticket = _unreadable(payload)
        refusal = RunOutcome(cause=Cause.VERSION_MISMATCH, message=str(error))
    except MessageError as error:
        ticket = _unreadable(payload)
        refusal = RunOutcome(cause=Cause.REQUEST_DAMAGED, message=str(error))
    except ReplayedError as error:
        # Redis may get a command twice that the client had to send again after a time-out. The first ticket has its
        # answer, or will have; a second one would be a verdict on a run that goes well.
        _log.warning("left out %s: %s", _unreadable(payload).job_id, error)
        return {"cause": "served before"}
    except RefusedError as error:
        ticket = _unreadable(payload)
        _log.error("refused to run %s: %s", ticket.job_id, error)
        refusal = RunOutcome(cause=Cause.REQUEST_DAMAGED, message=f"the worker refused the request: {error}")
    if not host.begin(ticket):
        return {"cause": "unwanted"}
    outcome = refusal or _unfit(ticket, host) or _outcome(ticket, host)
    host.end(ticket, outcome, time.monotonic() - started)
    return {"cause": outcome.cause.text, "message": outcome.message[:200], "wall_time": outcome.wall_time}


def _trusted(payload: object, host: Host) -> Ticket:
    """Return the ticket from somebody who holds the key; nothing of it is looked at before that is known."""
    body, proof = verify_ticket(check_version(payload), host.cluster_key)
    ticket = Ticket.from_json(body)
    if proof is not None:
        host.admit(proof)
    return ticket


def _unreadable(payload: object) -> Ticket:
    """Return as much of a ticket as an answer needs; raise `MessageError` where nobody can be answered.

    Nothing of what was asked for is in it: whatever becomes of it, it runs nothing.
    """
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


def _unfit(ticket: Ticket, host: Host) -> RunOutcome | None:
    """Return why this worker is none that the run may have; None if it is one."""
    for what in ("image", "system", "omnetpp"):
        needed, ours = getattr(ticket.needs, what), getattr(host, what)
        if needed and needed != ours:
            message = f"the run needs a worker with {what} {needed!r}, and came to one with {ours!r}"
            return RunOutcome(cause=Cause.VERSION_MISMATCH, message=message)
    return None


def _outcome(ticket: Ticket, host: Host) -> RunOutcome:
    """Run the simulation, or the build, where its content is, and store its files."""
    request = replace(ticket.request, limits=ticket.request.limits.within(host.bounds))
    try:
        with nullcontext() if request.content is None else host.content(ticket, request.content) as content:
            directory = Path(tempfile.mkdtemp(dir=host.scratch, prefix="run-"))
            try:
                if host.account is not None:
                    # To be entered, but not looked around in.
                    directory.chmod(0o711)
                outcome = _execute(replace(ticket, request=request), directory, content, host)
                return host.keep_results(ticket, outcome)
            finally:
                shutil.rmtree(directory, ignore_errors=True)
    except ContentError as error:
        return RunOutcome(cause=Cause.CONTENT_MISSING, message=str(error))
    except OSError as error:
        # A full or broken disk of this worker; the next one may have a better one.
        _log.exception("run %s could not be served", ticket.job_id)
        return RunOutcome(cause=Cause.WORKER_BROKEN, message=f"{type(error).__name__}: {error}")


def _execute(ticket: Ticket, directory: Path, content: Path | None, host: Host) -> RunOutcome:
    """Do what the ticket asks for, without the worker's secrets."""
    environment = without_secrets(os.environ)
    if ticket.kind is Kind.RUN:
        return simulation.execute(
            ticket.request,
            directory,
            content=content,
            environment=environment,
            confined=True,
            account=host.account,
            stop=host.stop,
            on_output=host.hear,
        )
    if content is None:
        return RunOutcome(cause=Cause.REQUEST_DAMAGED, message="a build without sources")
    return building.build(
        ticket.request,
        directory,
        content=content,
        environment=environment,
        store=host.store(ticket),
        account=host.account,
        stop=host.stop,
        compiler_cache=host.compiler_cache,
    )
