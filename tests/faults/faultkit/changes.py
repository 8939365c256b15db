"""What a test may change in the processes of the product.

Clocks, leases, the moment of their death, and the protections that it takes away to show what they are good for.

A change names what it replaces; where that is no longer there, the process says so and ends.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

#: Leases of a hurried test: of slots, between two renewals, of sessions. In the real thing they are 10, 3 and 18.
HURRIED = 3, 1, 6


def make(words: list[str]) -> None:
    """Make changes, each a word: the name of a function below, and what it takes after a "="."""
    for word in words:
        name, _, value = word.partition("=")
        _CHANGES[name](value)


def _replace(module: str, name: str, change: Callable[[Any], object]) -> None:
    """Replace `name` ("function" or "Class.method") of `module` by what `change` makes of it."""
    owner: Any = importlib.import_module(module)
    *path, last = name.split(".")
    for step in path:
        owner = getattr(owner, step)
    setattr(owner, last, change(getattr(owner, last)))


def _clock(seconds: str) -> None:
    """Have the clock of this machine be wrong."""
    real = time.time
    offset = float(seconds)
    time.time = lambda: real() + offset


def _hurry(_: str) -> None:
    """Have leases end sooner."""
    keys = importlib.import_module("oppcloud_worker.remote.keys")
    assert hasattr(keys, "SLOT_LEASE")
    keys.SLOT_LEASE, keys.RENEW, keys.SESSION_LEASE = HURRIED  # type: ignore[attr-defined]  # a module


def _retries(count: str) -> None:
    """Have runs be tried again so often: chance hits one run out of few more often than one out of a thousand."""
    for cause in importlib.import_module("oppcloud_worker.messages").Cause:
        if cause.retries:
            cause.retries = int(count)


def _slow_start(seconds: str) -> None:
    """Have slots pause whenever they have announced themselves, the first time included."""

    def change(note: Callable[..., None]) -> Callable[..., None]:
        def pausing(scratch: object) -> None:
            note(scratch)
            time.sleep(float(seconds))

        return pausing

    _replace("oppcloud_worker.health", "note", change)


def _die_now() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit("unreachable")


def _once(file: str) -> bool:
    """Tell whether nobody has been here before."""
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


#: Phases of a slot's life, and the functions where they begin (or, with "after", end).
PHASES = {
    "taken": ("oppcloud_worker.job", "run", "before"),
    "checked": ("oppcloud_worker.remote.runs", "announce_start", "before"),
    "started": ("oppcloud_worker.remote.runs", "announce_start", "after"),
    "unpacking": ("oppcloud_worker.cache", "_write", "after"),
    "simulated": ("oppcloud_worker.simulation", "execute", "after"),
    "storing": ("oppcloud_worker.remote.results", "_digest", "after"),
    "settling": ("oppcloud_worker.remote.runs", "settle", "before"),
    "settled": ("oppcloud_worker.remote.runs", "settle", "after"),
}


def _die(value: str) -> None:
    """Be killed in a phase, "PHASE,FILE": only the first slot that comes there and makes the file."""
    if "oppcloud_worker.remote.slot" not in sys.orig_argv:
        return
    phase, _, file = value.partition(",")
    module, name, moment = PHASES[phase]

    def change(function: Callable[..., object]) -> Callable[..., object]:
        def dying(*arguments: Any, **options: Any) -> object:
            result = function(*arguments, **options) if moment == "after" else None
            if _once(file):
                _die_now()
            return result if moment == "after" else function(*arguments, **options)

        return dying

    _replace(module, name, change)


def _without_fence(_: str) -> None:
    """Queue the next attempt whoever else may have done so."""
    pipeline = importlib.import_module("redis.client").Pipeline
    original = pipeline.hexists

    def hexists(self: Any, name: str, key: str) -> object:
        original(self, name, key)
        return False

    pipeline.hexists = hexists


def _without_first(_: str) -> None:
    """Have a later outcome take the place of an earlier one."""
    commands = importlib.import_module("redis.client").Pipeline
    original = commands.set

    def overwrite(self: Any, name: str, value: object, **options: Any) -> object:
        options.pop("nx", None)
        return original(self, name, value, **options)

    commands.set = overwrite


def _without_lease(_: str) -> None:
    """Have the leases of slots never end."""
    keys = importlib.import_module("oppcloud_worker.remote.keys")
    assert hasattr(keys, "SLOT_LEASE")
    keys.SLOT_LEASE = 10**6  # type: ignore[attr-defined]  # a module


def _without_search(_: str) -> None:
    """Miss no run that Redis lost."""
    _replace("pytest_oppcloud.cloud.watching", "Watch._miss", lambda _: lambda *_: None)


def _without_signature(_: str) -> None:
    """Serve whatever asks."""

    def trusting(ticket: dict[str, object], *_: object, **__: object) -> tuple[dict[str, object], None]:
        return {name: value for name, value in ticket.items() if name != "proof"}, None

    _replace("oppcloud_worker.job", "verify_ticket", lambda _: trusting)


def _without_replay(_: str) -> None:
    """Serve a ticket as often as it comes."""
    _replace("oppcloud_worker.replay", "ServedTickets.admit", lambda _: lambda *_: None)


def _without_seal(_: str) -> None:
    """Believe whatever lies where an outcome is expected."""
    module = "oppcloud_worker.remote.runs"
    split = importlib.import_module("oppcloud_worker.signing")._split
    _replace(module, "unseal", lambda _: lambda stored, *_, **__: split(stored)[1])


def _without_digest(_: str) -> None:
    """Unpack whatever comes."""

    class Gullible:
        """A sink that checks nothing."""

        def __init__(self, target: Any, *_: object) -> None:
            self._target = target

        def write(self, data: bytes) -> int:
            return int(self._target.write(data))

        def finish(self) -> None:
            """Find nothing wrong."""

    _replace("oppcloud_worker.cache", "VerifyingSink", lambda _: Gullible)


_CHANGES: dict[str, Callable[[str], None]] = {
    "clock": _clock,
    "hurry": _hurry,
    "retries": _retries,
    "slow-start": _slow_start,
    "die": _die,
    "without-fence": _without_fence,
    "without-first": _without_first,
    "without-lease": _without_lease,
    "without-search": _without_search,
    "without-signature": _without_signature,
    "without-replay": _without_replay,
    "without-seal": _without_seal,
    "without-digest": _without_digest,
}
