"""What lies in the queue: one attempt at one run of one session.

Standard library only. The form of a ticket may change with `PROTOCOL`; the two fields that tell whether this worker
can serve it at all are read first, from any form that is a JSON object.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace

from . import __version__
from .messages import PROTOCOL, Cause, RunRequest
from .wire import MessageError, decode, encode

#: What RQ allows in the id of a job; sessions and runs are made of it.
_NAME = re.compile(r"[A-Za-z0-9_]+")
#: A reference to an image, a system, a version: printable, without blanks, of bearable length.
_IMAGE = re.compile(r"[!-~]{0,500}")
#: Seconds and priorities that the order of a queue can hold; priorities from the negative of that.
LONGEST, HIGHEST = 1e7, 1000
#: Seconds since 1970: the year 9999.
_END_OF_TIME = 253_402_300_799.0


class VersionMismatchError(Exception):
    """Client and worker are not of the same version."""


class Kind(enum.Enum):
    """What is asked for."""

    #: A simulation.
    RUN = "run"
    #: The program that simulates, made of its sources; the request's program and arguments are the build command.
    BUILD = "build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a run needs of the worker that takes it."""

    #: Bytes of memory that are set aside for it; 0: none in particular.
    memory: int = 0
    #: The container image that the worker must run in; "": any, or none.
    image: str = ""
    #: System and OMNeT++ of the worker, as it announces them; "": any.
    system: str = ""
    omnetpp: str = ""

    def met_by(self, *, memory: int, image: str, system: str, omnetpp: str) -> bool:
        """Tell whether a worker with this memory (0: it does not know), image, system and OMNeT++ can take the run."""
        wanted = ((self.image, image), (self.system, system), (self.omnetpp, omnetpp))
        return all(need in {"", there} for need, there in wanted) and (not memory or self.memory <= memory)

    def __post_init__(self) -> None:
        if self.memory < 0:
            raise MessageError(f"Needs.memory: {self.memory} bytes cannot be needed")
        if not _IMAGE.fullmatch(self.image):
            raise MessageError(f"Needs.image: {self.image!r:.80} names no image")
        for name, text in (("system", self.system), ("omnetpp", self.omnetpp)):
            if not _IMAGE.fullmatch(text):
                raise MessageError(f"Needs.{name}: {text!r:.80} is none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One attempt at one run: the request, and who asked for it."""

    #: Names the session in all keys; letters, digits and underscores.
    session: str
    #: Names the run within its session; letters, digits and underscores.
    run: str
    #: Name of the queue it goes back to when it is handed back.
    queue: str
    request: RunRequest
    kind: Kind = Kind.RUN
    #: The fence: 1 for the first attempt; only one attempt of each number is ever queued.
    attempt: int = 1
    #: Names of the causes of those earlier attempts that count against `Cause.retries`, each against its own; a worker
    #: that was told to stop counts for none.
    causes: tuple[str, ...] = ()
    #: Where content and result files lie: "" for Redis, or "s3://bucket/prefix".
    store: str = ""
    #: Whether the result files are wanted however the run ends.
    all_results: bool = False
    #: Which workers may take it.
    needs: Needs = Needs()
    #: Seconds that the simulation is expected to take; of a session's runs, the longest are taken first.
    expected: float = 0.0
    #: Sessions with a higher one are served first.
    priority: int = 0
    #: Seconds since 1970 until which its session is served without a client; what comes of it is kept a day longer.
    #: 0: as long as the client is there.
    deadline: float = 0.0
    protocol: int = PROTOCOL
    version: str = __version__

    def __post_init__(self) -> None:
        for name in (self.session, self.run):
            if not _NAME.fullmatch(name):
                raise MessageError(f"Ticket: {name!r:.80} cannot name a session or a run")
        if not 0 <= self.expected <= LONGEST:
            raise MessageError(f"Ticket.expected: {self.expected} is no time to expect")
        if not 0 <= self.deadline <= _END_OF_TIME:
            raise MessageError(f"Ticket.deadline: {self.deadline} is no time")
        if abs(self.priority) > HIGHEST:
            raise MessageError(f"Ticket.priority: {self.priority} is not from -{HIGHEST} to {HIGHEST}")

    @property
    def job_id(self) -> str:
        """Id of the RQ job, which people see in the tools of RQ."""
        return f"{self.session}-{self.run}-{self.attempt}"

    @property
    def losses(self) -> int:
        """How many of the earlier attempts count."""
        return len(self.causes)

    def may_be_repeated(self, cause: Cause) -> bool:
        """Tell whether there is another attempt after one that ends with `cause`."""
        return cause.retries > self.causes.count(cause.name)

    def again(self, *, counted: str = "", memory: int | None = None) -> Ticket:
        """Return the ticket of the next attempt.

        `counted` names the cause of this one's end if it counts; `memory` is what the next one needs, None for the
        same.
        """
        causes = (*self.causes, counted) if counted else self.causes
        needs = self.needs if memory is None else replace(self.needs, memory=memory)
        return replace(self, attempt=self.attempt + 1, causes=causes, needs=needs)

    def to_json(self) -> dict[str, object]:
        """Return the ticket as JSON values; protocol and version always stand in them."""
        return encode(self) | {"protocol": self.protocol, "version": self.version}

    @classmethod
    def from_json(cls, data: object) -> Ticket:
        """Read a ticket; raise `MessageError` or `VersionMismatchError`."""
        check_version(data)
        return decode(cls, data)


def check_version(data: object) -> dict[str, object]:
    """Return `data`, a ticket of any form; raise `MessageError` or `VersionMismatchError` unless it is of our form."""
    if not isinstance(data, dict):
        raise MessageError(f"Ticket: an object was expected, found {data!r:.80}")
    theirs = (data.get("protocol"), data.get("version"))
    if theirs != (PROTOCOL, __version__):
        raise VersionMismatchError(
            f"the client is pytest-oppcloud {theirs[1]!s:.40} (protocol {theirs[0]!s:.10}), "
            f"this worker is {__version__} (protocol {PROTOCOL})"
        )
    return data
