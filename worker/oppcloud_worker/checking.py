"""What comes back from a worker is data from outside: its form is checked before anybody uses it.

Standard library only. `wire.decode` has made sure of the types; this module looks at what they hold.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from .manifest import check_path
from .store import ContentError, check_digest
from .wire import MessageError

if TYPE_CHECKING:
    from .messages import RunOutcome

#: Files that one run may leave behind.
MAX_FILES = 10_000
#: Bytes of one of them: more than any file system here would take.
MAX_SIZE = 2**50
KINDS = frozenset({"scalar", "statistic", "bin", "par", "attr", "fingerprint"})
VERDICTS = frozenset({"", "verified", "mismatch"})
#: What would have a terminal do something; only tab and newline are of use in a text.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
#: Characters of a message that people are meant to read.
MAX_MESSAGE = 100_000


def checked(outcome: RunOutcome) -> RunOutcome:
    """Return an outcome as it may be used; raise `MessageError` for one that no worker of ours would send.

    Texts that people will read come back without control characters.
    """
    for name in ("wall_time", "cpu_time"):
        value = getattr(outcome, name)
        if not (math.isfinite(value) and value >= 0):
            raise MessageError(f"RunOutcome.{name}: {value} is no time")
    if outcome.attempt < 1:
        raise MessageError(f"RunOutcome.attempt: {outcome.attempt} is no attempt")
    if outcome.fingerprint_verdict not in VERDICTS:
        raise MessageError(f"RunOutcome.fingerprint_verdict: {outcome.fingerprint_verdict!r:.40} is none")
    if outcome.directory:
        # It would name a folder of this machine.
        raise MessageError("RunOutcome.directory: files of other machines lie in no folder here")
    _check_files(outcome)
    if outcome.product:
        _check_product(outcome.product)
    for value in outcome.values:
        if value.kind not in KINDS:
            raise MessageError(f"RunOutcome.values: {value.kind!r:.40} is no kind of value")
    return replace(
        outcome,
        message=printable(outcome.message[:MAX_MESSAGE]),
        end_line=printable(outcome.end_line),
        sim_time=printable(outcome.sim_time),
        host=printable(outcome.host),
    )


def _check_files(outcome: RunOutcome) -> None:
    """Raise `MessageError` for files that cannot be those of a run."""
    if len(outcome.files) > MAX_FILES:
        raise MessageError(f"RunOutcome.files: {len(outcome.files)} files are more than the {MAX_FILES} of a run")
    paths = [file.path for file in outcome.files]
    if len(set(paths)) < len(paths):
        raise MessageError("RunOutcome.files: a path occurs twice")
    try:
        for file in outcome.files:
            check_path(file.path)
            if file.digest:
                check_digest(file.digest)
            if not 0 <= file.size <= MAX_SIZE:
                raise MessageError(f"RunOutcome.files: {file.path!r:.100} cannot have {file.size} bytes")
    except ContentError as error:
        raise MessageError(f"RunOutcome.files: {error}") from error


def _check_product(digest: str) -> None:
    try:
        check_digest(digest)
    except ContentError as error:
        raise MessageError(f"RunOutcome.product: {error}") from error


def printable(text: str) -> str:
    """Return `text` with control characters written as escapes, so that it is safe on a terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
