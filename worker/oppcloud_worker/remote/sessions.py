"""The sessions of a shared queue: what is noted of each, so that people find it again, and who judges it now.

A record says who started a session where; the list of its runs says what was asked for, by digest, so that nobody can
take what was simulated for something else. Both are sealed with the cluster key, and yet data from outside: sizes are
bounded, and texts for people hold no control characters. The client is the process that judges the runs: one at a
time, and none where a session was detached.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oppcloud_worker.checking import printable
from oppcloud_worker.manifest import check_path
from oppcloud_worker.signing import ForgedError, seal, unseal
from oppcloud_worker.store import ContentError
from oppcloud_worker.wire import MessageError, decode, encode

from . import keys
from .connection import as_bytes, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import redis
    from redis.client import Pipeline

    from oppcloud_worker.messages import RunRequest
    from oppcloud_worker.signing import ClusterKey

#: Bytes of a record, and of a list of runs when it is unpacked.
_RECORD_LIMIT = 64 * 1024
_LIST_LIMIT = 256 * 1024 * 1024
#: Characters of a text for people.
_TEXT = 500
#: Seconds in which a client hears that its session was cancelled, though its machine sleeps.
_TOLD = 3600
#: Keys that are asked for at a time.
_CHUNK = 500
_ID = re.compile(r"[A-Za-z0-9_]{1,64}")


class SessionUnusableError(Exception):
    """A session cannot be found or used; the text says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """What people are told of a session, and what is needed to come back to it."""

    #: Names it in all keys.
    id: str
    #: Who started it, on which machine, when (seconds since 1970), with which command.
    user: str
    host: str
    started: float
    command: str
    #: Name of the folder that its tests lie in.
    root: str
    queue: str
    #: Where content and result files lie: "" for Redis, or "s3://bucket/prefix".
    store: str = ""
    #: Whether the result files of all runs are kept, however large.
    all_results: bool = False
    #: Seconds since 1970 until which its runs are served though no client is there; 0: it was not detached.
    deadline: float = 0.0

    @property
    def detached(self) -> bool:
        """Whether its runs are served without a client."""
        return self.deadline > time.time()

    @property
    def who(self) -> str:
        """User and machine."""
        return f"{self.user}@{self.host}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedRun:
    """A run as it was submitted."""

    #: Names it within its session.
    run: str
    #: The node id.
    name: str
    #: What was asked for; see `digest_of`.
    digest: str
    #: The files that it needs, by the digest of their manifest: a part of the above; "" without.
    content: str
    #: Folder of its model relative to that of the tests, and its config: where its result files belong.
    folder: str
    config: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _SubmittedRuns:
    runs: tuple[SubmittedRun, ...]


def digest_of(request: RunRequest) -> str:
    """Return a digest of all that decides how a run comes out: equal ones may share an outcome.

    The files are in it by their own digest, and nothing is that differs between machines. Fingerprints count by their
    ingredients only: the values that are expected come from the baseline, which is judged by when the run is back.
    """
    items = [item.split() for item in (request.fingerprint or "").split(",")]
    letters = [sorted({value.partition("/")[2] for value in item}) for item in items]
    plain = replace(request, name="", fingerprint=None)
    data = json.dumps([plain.to_json(), letters], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(data.encode()).hexdigest()


def write_record(connection: redis.Redis, record: SessionRecord, *, key: ClusterKey | None) -> None:
    """Note a session, for a day after its deadline, or after this."""
    pipeline = connection.pipeline(transaction=True)
    data = json.dumps(encode(record), separators=(",", ":")).encode()
    sealed = seal(data, key, session=record.id, run="", purpose="record")
    pipeline.set(keys.record(record.id), sealed, ex=keys.kept(record.deadline))
    pipeline.sadd(keys.SESSIONS, record.id)
    pipeline.execute()


def write_runs(
    connection: redis.Redis, record: SessionRecord, runs: Iterable[SubmittedRun], *, key: ClusterKey | None
) -> None:
    """Note what a session is asked for, for as long as its record."""
    text = json.dumps(encode(_SubmittedRuns(runs=tuple(runs))), separators=(",", ":"))
    sealed = seal(zlib.compress(text.encode("ascii"), 1), key, session=record.id, run="", purpose="runs")
    connection.set(keys.submitted(record.id), sealed, ex=keys.kept(record.deadline))


def listed(connection: redis.Redis) -> list[str]:
    """Return the ids of the sessions that there are, and forget those whose record has ended."""
    names = sorted(name for found in connection.smembers(keys.SESSIONS) if _ID.fullmatch(name := as_text(found)))
    there = [bool(connection.exists(keys.record(name))) for name in names]
    gone = [name for name, found in zip(names, there, strict=True) if not found]
    if gone:
        connection.srem(keys.SESSIONS, *gone)
    return [name for name, found in zip(names, there, strict=True) if found]


def read_record(connection: redis.Redis, session: str, *, key: ClusterKey | None) -> SessionRecord:
    """Return the record of a session; raise `SessionUnusableError` where there is none that can be trusted."""
    if not _ID.fullmatch(session):
        raise SessionUnusableError(f"{printable(session)[:80]!r} is no id of a session")
    stored = connection.get(keys.record(session))
    if stored is None:
        raise SessionUnusableError(
            f"there is no session {session} at this queue: it has ended, was cancelled, or its time is over; "
            "`oppcloud sessions` lists those that are there"
        )
    try:
        data = unseal(as_bytes(stored)[:_RECORD_LIMIT], key, session=session, run="", purpose="record")
        record = decode(SessionRecord, json.loads(data))
    except ForgedError as error:
        raise SessionUnusableError(f"the record of session {session} cannot be trusted: {error}") from error
    except (ValueError, RecursionError) as error:
        raise SessionUnusableError(f"the record of session {session} is damaged: {printable(str(error))}") from error
    if record.id != session:
        raise SessionUnusableError(f"the record of session {session} is that of another")
    return replace(
        record,
        user=_text(record.user),
        host=_text(record.host),
        command=_text(record.command),
        root=_text(record.root),
    )


def read_runs(connection: redis.Redis, session: str, *, key: ClusterKey | None) -> tuple[SubmittedRun, ...]:
    """Return what a session submitted, nothing if it did not come to that; raise `SessionUnusableError`."""
    stored = connection.get(keys.submitted(session))
    if stored is None:
        return ()
    try:
        packed = unseal(as_bytes(stored), key, session=session, run="", purpose="runs")
        text = zlib.decompressobj().decompress(packed, _LIST_LIMIT + 1)
        if len(text) > _LIST_LIMIT:
            raise MessageError(f"more than {_LIST_LIMIT} bytes")
        runs = decode(_SubmittedRuns, json.loads(text)).runs
        for run in runs:
            # They name keys, and folders below the one that result files are fetched to.
            if not _ID.fullmatch(run.run):
                raise MessageError(f"{run.run!r:.80} names no run")
            if run.folder != ".":
                check_path(run.folder)
    except ForgedError as error:
        raise SessionUnusableError(f"the runs of session {session} cannot be trusted: {error}") from error
    except (zlib.error, ValueError, RecursionError, ContentError) as error:
        raise SessionUnusableError(f"the runs of session {session} are damaged: {printable(str(error))}") from error
    return runs


def finished(connection: redis.Redis, session: str, runs: Sequence[SubmittedRun]) -> int:
    """Return how many of `runs` have an outcome."""
    names = [keys.outcome(session, run.run) for run in runs]
    return sum(connection.exists(*chunk) for chunk in _chunks(names))


def claim(connection: redis.Redis, session: str, token: str, text: str) -> str:
    """Make the process with `token` the session's client, unless another is; return what that says of itself, or ""."""
    value = f"{token} {text}"
    if connection.set(keys.client(session), value, nx=True, ex=keys.SESSION_LEASE):
        return ""
    holder, name = _client(connection.get(keys.client(session)))
    return "" if holder == token else name


def client_of(connection: redis.Redis, session: str) -> str:
    """Return what the session's client says of itself, "" if there is none."""
    return _client(connection.get(keys.client(session)))[1]


def take_over(connection: redis.Redis, session: str, token: str, text: str) -> None:
    """Make the process with `token` the session's client, whoever was: that one hears of it when it renews."""
    connection.set(keys.client(session), f"{token} {text}", ex=keys.SESSION_LEASE)


def renew(connection: redis.Redis, session: str, token: str, text: str, *, deadline: float) -> str:
    """Say that the client is alive and the outcomes are wanted; return who is the client instead, or "".

    The lease of a detached session lasts until its `deadline`, whatever becomes of the client.
    """
    name = keys.client(session)

    found: dict[str, str] = {}

    def keep(pipeline: Pipeline) -> None:
        holder, found["other"] = _client(pipeline.get(name))
        pipeline.multi()
        if holder in {token, None}:
            found["other"] = ""
            pipeline.set(name, f"{token} {text}", ex=keys.SESSION_LEASE)
            pipeline.set(keys.lease(session), b"1", ex=lease_time(deadline))

    connection.transaction(keep, name)
    return found["other"]


def release(connection: redis.Redis, session: str, token: str, *, deadline: float) -> None:
    """Leave the session to its workers, up to `deadline`: its client is no more; nothing, if it has another."""

    def leave(pipeline: Pipeline) -> None:
        holder, _ = _client(pipeline.get(keys.client(session)))
        pipeline.multi()
        if holder in {token, None}:
            pipeline.set(keys.lease(session), b"1", ex=lease_time(deadline))
            pipeline.delete(keys.client(session))

    connection.transaction(leave, keys.client(session))


def forget(connection: redis.Redis, session: str, *, client: bool = True) -> None:
    """Remove the record of a session; unless `client`, leave what tells its client that it is one no more."""
    pipeline = connection.pipeline(transaction=True)
    pipeline.delete(keys.record(session), keys.submitted(session))
    pipeline.srem(keys.SESSIONS, session)
    if client:
        pipeline.delete(keys.client(session))
    else:
        pipeline.expire(keys.client(session), _TOLD)
    pipeline.execute()


def lease_time(deadline: float) -> int:
    """Return the seconds that a session's lease lasts: up to the deadline of a detached one."""
    return max(keys.SESSION_LEASE, int(deadline - time.time()))


def _client(value: bytes | str | None) -> tuple[str | None, str]:
    """Return the token of a client, None if there is none, and what it says of itself."""
    if value is None:
        return None, ""
    token, _, text = as_bytes(value).decode(errors="replace").partition(" ")
    return token, _text(text) or "somebody"


def _text(text: str) -> str:
    """Return a text of others as people may see it."""
    return printable(text[:_TEXT])


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK))
