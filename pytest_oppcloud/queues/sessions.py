"""The sessions of the queue that the environment names: what they are, their end, their results.

Whatever keeps that from being told is an `OppcloudError` that people are meant to read.
"""

from __future__ import annotations

import contextlib
import getpass
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import redis
from oppcloud_worker.address import AddressError, check, redacted, redis_url
from oppcloud_worker.remote import ending, runs, sessions
from oppcloud_worker.remote.connection import connect, told
from oppcloud_worker.remote.sessions import SessionUnusableError
from oppcloud_worker.remote.stores import result_store
from oppcloud_worker.settings import URL_VARIABLE
from oppcloud_worker.signing import KeyUnusableError, read_key
from oppcloud_worker.store import ContentError

from pytest_oppcloud.errors import MachineryError, SettingsError

from .fetching import ResultsFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from oppcloud_worker.messages import RunOutcome
    from oppcloud_worker.remote.sessions import SessionRecord, SubmittedRun
    from oppcloud_worker.signing import ClusterKey

#: Outcomes that are fetched in one go.
_CHUNK = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedQueue:
    """A Redis server with sessions."""

    connection: redis.Redis
    key: ClusterKey | None
    #: With password.
    url: str = field(repr=False)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what Redis and stores raise into errors for people."""
        try:
            yield
        except SessionUnusableError as error:
            raise SettingsError(str(error)) from error
        except redis.RedisError as error:
            raise MachineryError(f"the queue at {redacted(self.url)} cannot be used: {told(error)}") from error
        except ContentError as error:
            raise MachineryError(f"the store cannot be used: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A session as it is now."""

    id: str
    #: None where it cannot be read; then `trouble` says why.
    record: SessionRecord | None
    trouble: str = ""
    #: Runs that were submitted, that have an outcome, and that are being simulated.
    total: int = 0
    finished: int = 0
    running: int = 0
    #: What the pytest says of itself that judges the runs, "" if there is none.
    client: str = ""


@dataclass(slots=True, kw_only=True)
class Fetched:
    """What became of the results of a session."""

    #: Runs whose files are there, and those that have none to fetch yet.
    runs: int = 0
    unfinished: int = 0
    #: Node ids of runs whose files are not all there, and why.
    lacking: list[tuple[str, str]] = field(default_factory=list)


def person() -> str:
    """Return who uses this machine: the name of the user, and of the machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container without an entry for its user.
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def shared_queue(environment: Mapping[str, str]) -> SharedQueue:
    """Return the queue that the environment names; nothing is sent yet. Raise `SettingsError`."""
    try:
        url = redis_url(environment)
        if url is None:
            raise SettingsError(
                f"{URL_VARIABLE} is not set", advice="Sessions can be found again at the queue that it names."
            )
        key = read_key(environment)
        check(url, signed=key is not None, environment=environment)
        return SharedQueue(connection=connect(url), key=key, url=url)
    except AddressError as error:
        raise SettingsError(f"{URL_VARIABLE}: {error}") from error
    except KeyUnusableError as error:
        raise SettingsError(str(error)) from error


def overviews(queue: SharedQueue) -> list[Overview]:
    """Return all sessions, the newest last; raise `MachineryError`."""
    with queue.errors():
        found = [_overview(queue, session) for session in sessions.listed(queue.connection)]
    return sorted(found, key=lambda item: (item.record is not None, item.record.started if item.record else 0.0))


def _overview(queue: SharedQueue, session: str) -> Overview:
    connection = queue.connection
    try:
        record = sessions.read_record(connection, session, key=queue.key)
        submitted = sessions.read_runs(connection, session, key=queue.key)
    except SessionUnusableError as error:
        return Overview(id=session, record=None, trouble=str(error))
    return Overview(
        id=session,
        record=record,
        total=len(submitted),
        finished=sessions.finished(connection, session, submitted),
        running=len(ending.running(connection, record)),
        client=sessions.client_of(connection, session),
    )


def find(queue: SharedQueue, session: str) -> tuple[SessionRecord, tuple[SubmittedRun, ...]]:
    """Return a session and its runs; raise `SettingsError` where there is none that can be used."""
    with queue.errors():
        record = sessions.read_record(queue.connection, session, key=queue.key)
        return record, sessions.read_runs(queue.connection, session, key=queue.key)


def cancel(queue: SharedQueue, session: str) -> SessionRecord:
    """Stop a session and remove all of it; return what it was. Raises `SettingsError` or `MachineryError`."""
    record, _ = find(queue, session)
    with queue.errors():
        ending.cancel(queue.connection, record, key=queue.key, who=f"`oppcloud cancel` of {person()}")
    return record


def fetch_results(queue: SharedQueue, session: str, folder: Path) -> Fetched:
    """Fetch the result files of the finished runs of a session, laid out as the runs would have left them.

    Raises `SettingsError` or `MachineryError`; what cannot be had of single runs is told in the answer.
    """
    record, submitted = find(queue, session)
    target, result = ResultsFolder(folder), Fetched()
    target.prepare()
    for start in range(0, len(submitted), _CHUNK):
        chunk = submitted[start : start + _CHUNK]
        with queue.errors():
            found = runs.outcomes(queue.connection, session, [run.run for run in chunk], key=queue.key)
        result.unfinished += len(chunk) - len(found)
        for run in chunk:
            if run.run in found:
                try:
                    _fetch(queue, record, run, found[run.run], target)
                except MachineryError as error:
                    result.lacking.append((run.name, str(error)))
                else:
                    result.runs += 1
    return result


def _fetch(
    queue: SharedQueue, record: SessionRecord, run: SubmittedRun, outcome: RunOutcome, target: ResultsFolder
) -> None:
    """Fetch the files of one run; raise `MachineryError` where it cannot be."""
    if outcome.attempt == 0:
        raise MachineryError(outcome.message)
    with queue.errors():
        store = result_store(record.store, queue.connection, record.id, run.run)
    target.fetch(outcome, store, model=run.folder, config=run.config, name=run.name)
