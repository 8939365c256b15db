"""The names of all our keys in Redis, and how long they live.

oppcloud:slots:<queue>                   set of the names of the slots that serve a queue
oppcloud:slot:<name>                     what a slot is, as JSON; its presence is the slot's lease
oppcloud:bell:<slot>                     list that an idle slot waits for an entry of
oppcloud:duty:<queue>                    which slot looks after dead ones for the next seconds
oppcloud:waiting:<queue>                 the sessions that have runs waiting (this and what follows: see queue.lua)
oppcloud:taken:<queue>                   the jobs that were taken and have not ended
oppcloud:idle:<queue>                    the slots that wait for their bell
oppcloud:turn:<queue>                    a number that grows
oppcloud:held:<queue>:<job>              the worker that keeps room for a run that needs much memory
oppcloud:<session>:waiting:<queue>...    the runs of a session that wait
oppcloud:sessions                        set of the ids of sessions
oppcloud:session:<session>               who, where, since when: sealed JSON
oppcloud:session:<session>:runs          what the session is to run: sealed, compressed JSON
oppcloud:session:<session>:client        the process that judges its runs now
oppcloud:<session>:lease                 present as long as somebody wants the session's outcomes
oppcloud:<session>:queues                set of the queues that runs of the session went to
oppcloud:<session>:submitter             which process of the session queues its runs
oppcloud:<session>:objection             why no more of it may be run, for its other processes
oppcloud:<session>:events                stream: queued, started, requeued, finished
oppcloud:<session>:live                  stream of what is soon forgotten: progress, console output
oppcloud:<session>:followed              hash: the runs whose console output is wanted as it comes
oppcloud:<session>:attempts              hash: which attempts were ever queued again (the fence)
oppcloud:<session>:outcome:<run>         the first outcome of a run, compressed JSON
oppcloud:<session>:files:<run>:<digest>  a result file
oppcloud:content:<digest>                a file that runs need, the same for all sessions
oppcloud:product:<build>                 what a build made, signed JSON, for all sessions
oppcloud:builder:<build>                 the session that has a build made; its presence is a lease
"""

from __future__ import annotations

import time

#: Default name of the RQ queue.
DEFAULT_QUEUE = "oppcloud"

#: The set of the ids of all sessions that somebody may come back to.
SESSIONS = "oppcloud:sessions"

#: A slot that has not been heard of for so many seconds is dead, and its run goes to another.
SLOT_LEASE = 10
#: A session whose client has not been heard of for so many seconds is dead, and its runs are stopped.
SESSION_LEASE = 18
#: Leases are renewed, and those of others looked at, after so many seconds: a dead slot is found within 15 seconds.
RENEW = 3
#: An idle slot looks for runs after so many seconds without its bell: for the one in a million that was rung in vain.
LOOK = 5
#: Outcomes, events and fences of a session that nobody cleaned up: a day.
SESSION_DATA = 24 * 3600
#: Progress and console output, after the last entry: a minute; and about how many entries are kept.
LIVE, LIVE_LENGTH = 60, 10_000
#: Result files that nobody fetched: an hour.
RESULT_FILES = 3600
#: Content that runs need, after its last use: a week.
CONTENT = 7 * 24 * 3600


def kept(deadline: float) -> int:
    """Return the seconds that the data of a session are kept: a day, for a detached one after its deadline.

    `deadline` is in seconds since 1970, 0 for a session that was not detached.
    """
    return SESSION_DATA + max(0, int(deadline - time.time()))


def slots(queue: str) -> str:
    """Return the key of the set of slots of `queue`."""
    return f"oppcloud:slots:{queue}"


def slot(name: str) -> str:
    """Return the key of a slot's lease."""
    return f"oppcloud:slot:{name}"


def bell(slot: str) -> str:
    """Return the key of the list that an idle slot waits at."""
    return f"oppcloud:bell:{slot}"


def duty(queue: str) -> str:
    """Return the key that makes one slot look after the others."""
    return f"oppcloud:duty:{queue}"


def taken(queue: str) -> str:
    """Return the key of what was taken from `queue`."""
    return f"oppcloud:taken:{queue}"


def pending(queue: str) -> tuple[str, ...]:
    """Return the keys that `queue.lua` is given, in its order; the last one is RQ's."""
    return (
        f"oppcloud:waiting:{queue}",
        taken(queue),
        f"oppcloud:idle:{queue}",
        f"oppcloud:turn:{queue}",
        f"rq:queue:{queue}",
    )


def record(session: str) -> str:
    """Return the key of what people are told of a session."""
    return f"oppcloud:session:{session}"


def submitted(session: str) -> str:
    """Return the key of the list of a session's runs."""
    return f"oppcloud:session:{session}:runs"


def client(session: str) -> str:
    """Return the key that tells which process judges the runs of a session."""
    return f"oppcloud:session:{session}:client"


def lease(session: str) -> str:
    """Return the key of a session's lease."""
    return f"oppcloud:{session}:lease"


def queues(session: str) -> str:
    """Return the key of the set of queues that runs of a session went to."""
    return f"oppcloud:{session}:queues"


def submitter(session: str) -> str:
    """Return the key that makes one process the submitter."""
    return f"oppcloud:{session}:submitter"


def objection(session: str) -> str:
    """Return the key of why no more of a session may be run."""
    return f"oppcloud:{session}:objection"


def events(session: str) -> str:
    """Return the key of a session's stream of events."""
    return f"oppcloud:{session}:events"


def live(session: str) -> str:
    """Return the key of a session's stream of progress and console output."""
    return f"oppcloud:{session}:live"


def followed(session: str) -> str:
    """Return the key of the runs that somebody follows."""
    return f"oppcloud:{session}:followed"


def attempts(session: str) -> str:
    """Return the key of a session's fences."""
    return f"oppcloud:{session}:attempts"


def outcome(session: str, run: str) -> str:
    """Return the key of the outcome of a run."""
    return f"oppcloud:{session}:outcome:{run}"


def files(session: str, run: str) -> str:
    """Return the prefix of the result files of a run."""
    return f"oppcloud:{session}:files:{run}:"


def content() -> str:
    """Return the prefix of the files that runs need."""
    return "oppcloud:content:"


def product(build: str) -> str:
    """Return the key of what the build `build` made."""
    return f"oppcloud:product:{build}"


def builder(build: str) -> str:
    """Return the key of who has the build made."""
    return f"oppcloud:builder:{build}"
