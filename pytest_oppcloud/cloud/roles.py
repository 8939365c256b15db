"""What a process is in its session, and what xdist's controller tells its workers of the queue.

The controller opens the queue before there are workers; what they are told travels as plain values, which is all that
xdist sends.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oppcloud_worker.remote.sessions import SessionRecord
from oppcloud_worker.signing import ClusterKey
from oppcloud_worker.wire import decode, encode

if TYPE_CHECKING:
    import pytest

    from .campaign import QueueAddress

#: Name in `workerinput` of what a worker must know.
_INPUT = "oppcloud"


class Role(enum.Enum):
    """What this process is in its session."""

    #: The only one.
    SINGLE = "single"
    #: The process that xdist distributes tests from; it collects nothing and owns the queue.
    CONTROLLER = "controller"
    #: A process of xdist that runs tests.
    WORKER = "worker"


def role_of(config: pytest.Config) -> Role:
    """Return what this process is; a controller is not known before all plugins are configured."""
    if hasattr(config, "workerinput"):
        return Role.WORKER
    return Role.CONTROLLER if config.pluginmanager.has_plugin("dsession") else Role.SINGLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What a worker must know of the queue that its controller has opened."""

    #: With password and CA file.
    url: str = field(repr=False)
    session: str
    key: ClusterKey | None
    store: str
    #: What people are told of the session, and the token that its processes share; None: it is private.
    record: SessionRecord | None
    token: str


def hand_over(address: QueueAddress, workerinput: dict[str, Any]) -> None:
    """Tell a worker where the queue is (called by the controller)."""
    workerinput[_INPUT] = {
        "url": address.url,
        "session": address.session,
        "key": "" if address.key is None else address.key.to_text(),
        "store": address.store,
        "record": None if address.record is None else encode(address.record),
        "token": address.token,
    }


def handed_over(config: pytest.Config) -> Handover:
    """Return what the controller said (called by a worker)."""
    given: dict[str, Any] = config.workerinput[_INPUT]  # type: ignore[attr-defined]  # xdist's
    return Handover(
        url=given["url"],
        session=given["session"],
        key=ClusterKey.from_text(given["key"]) if given["key"] else None,
        store=given["store"],
        record=None if given["record"] is None else decode(SessionRecord, given["record"]),
        token=given["token"],
    )
