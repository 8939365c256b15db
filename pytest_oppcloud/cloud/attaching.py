"""A session of before that this one goes on with: what it is, and whether it was asked for what is collected now.

What was simulated is judged for exactly the files and settings that were sent; where these have changed since, nothing
is judged at all.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oppcloud_worker.remote import keys, sessions
from oppcloud_worker.remote.keys import SESSION_LEASE
from oppcloud_worker.remote.sessions import SessionRecord, digest_of

from pytest_oppcloud.errors import SettingsError
from pytest_oppcloud.queues.sessions import SharedQueue, find, person

from .holding import myself

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pytest
    from oppcloud_worker.messages import RunRequest
    from oppcloud_worker.remote.sessions import SubmittedRun

    from .settings import CloudSettings

#: Runs that are named one by one.
_NAMED = 5
#: Seconds between two looks whether the session has lost its client.
_LOOK = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A session of before."""

    record: SessionRecord
    runs: tuple[SubmittedRun, ...]
    #: How many of them had an outcome when we came.
    finished: int

    @property
    def names(self) -> set[str]:
        """The node ids of its runs."""
        return {run.name for run in self.runs}

    def describe(self) -> str:
        """Return a line about it."""
        record = self.record
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.started))
        return (
            f"session {record.id} of {record.who}, since {since}: {self.finished} of {len(self.runs)} runs had ended "
            "before, and are judged as they came out"
        )

    def objection(self, requests: Mapping[str, RunRequest]) -> str:
        """Return why what is collected cannot be judged by this session, "" if it can.

        `requests` are those for the workers, by node id; those of runs that cannot be sent are not among them.
        """
        known = {run.name: run for run in self.runs}
        strange = [name for name in requests if name not in known]
        if strange:
            return (
                f"{_some(strange)} {_are(strange)} not part of session {self.record.id}: select what it was started "
                f"with ({self.record.command}), or start another session for the rest"
            )
        changed = {
            name: "files" if request.content != known[name].content else "settings"
            for name, request in requests.items()
            if digest_of(request) != known[name].digest
        }
        if changed:
            what = " and ".join(sorted(set(changed.values())))
            return (
                f"{_some(list(changed))}: {what} have changed since session {self.record.id} was started "
                f"({self.record.command}), so that its results say nothing about them: take the change back, or start "
                "another session"
            )
        return ""


def attach(queue: SharedQueue, session: str, token: str, tell: Callable[[str], None]) -> Attachment:
    """Become the one that judges a session; raise `SettingsError` or `MachineryError` where that cannot be.

    A client that died is waited for until its place is free.
    """
    record, runs = find(queue, session)
    if not runs:
        raise SettingsError(
            f"session {session} ({record.command}) came to an end before anything was sent: start another one"
        )
    with queue.errors():
        deadline = time.monotonic() + SESSION_LEASE + 2
        told = False
        while other := sessions.claim(queue.connection, session, token, myself()):
            if time.monotonic() > deadline:
                raise SettingsError(
                    f"session {session} is watched by {other}: end that first (Ctrl-C leaves a detached session going)"
                )
            if not told:
                tell(f"oppcloud: {other} watches session {session}, or was lost: waiting up to {SESSION_LEASE} s")
                told = True
            time.sleep(_LOOK)
        # Which of our processes takes care of builds is found out anew.
        queue.connection.delete(keys.submitter(session))
    return join(queue, session)


def join(queue: SharedQueue, session: str) -> Attachment:
    """Return a session that another process of ours has attached to; raises as `attach` does."""
    record, runs = find(queue, session)
    with queue.errors():
        return Attachment(record=record, runs=runs, finished=sessions.finished(queue.connection, session, runs))


def new_record(config: pytest.Config, settings: CloudSettings, session: str) -> SessionRecord:
    """Return what people are told of a session that begins now."""
    now = time.time()
    user, _, host = person().partition("@")
    return SessionRecord(
        id=session,
        user=user,
        host=host,
        started=now,
        command=shlex.join(["pytest", *map(str, config.invocation_params.args)]),
        root=config.rootpath.name,
        queue=settings.queue,
        store=settings.store,
        all_results=settings.results is not None,
        deadline=0.0 if settings.detach is None else now + settings.detach,
    )


def attach_command(arguments: Sequence[str], session: str, stack: str = "") -> str:
    """Return the command that judges a session that was started, or attached to, with `arguments`.

    `stack` is the cluster that it runs in, which may be named in another way than by them.
    """
    words = ["pytest", "--oppcloud-attach", session]
    rest = list(map(str, reversed(arguments)))
    while rest:
        word = rest.pop()
        if word in {"--oppcloud-attach", "--oppcloud-deadline"} and rest:
            rest.pop()
        elif word != "--oppcloud-detach" and not word.startswith(("--oppcloud-attach=", "--oppcloud-deadline=")):
            words.append(word)
    named = any(word.partition("=")[0] == "--oppcloud-stack" for word in words)
    if stack and not named:
        # The environment named it, which may be another one then.
        words[3:3] = ["--oppcloud-stack", stack]
    return shlex.join(words)


def where_of(settings: CloudSettings) -> str:
    """Return the options by which the command `oppcloud` finds the queue of a session; none if the environment does."""
    if not settings.stack:
        return ""
    region = ["--region", settings.region] if settings.region else []
    return f" {shlex.join(['--stack', settings.stack, *region])}"


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
