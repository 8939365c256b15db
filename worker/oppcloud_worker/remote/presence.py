"""Who serves a queue: each slot announces itself under a key that ends by itself when the slot does not renew it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oppcloud_worker import __version__
from oppcloud_worker.checking import printable
from oppcloud_worker.messages import PROTOCOL
from oppcloud_worker.wire import MessageError, decode, encode

from . import keys, pending
from .connection import as_text

if TYPE_CHECKING:
    import redis
    from redis.client import Pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotInfo:
    """What a slot tells about itself."""

    #: Unique; also the name of the RQ worker.
    name: str
    #: Name of the worker that it belongs to.
    worker: str
    host: str
    pid: int
    #: The container image that it runs in, "" where nobody said.
    image: str = ""
    #: What programs must have been built for to run there, as "linux-x86_64-glibc-2.36".
    system: str = ""
    #: Version of OMNeT++, "" without one.
    omnetpp: str = ""
    #: Bytes of memory that the worker may use, all its slots together; 0: it does not know.
    memory: int = 0
    #: Id of the job that it is busy with, "" for none.
    job: str = ""
    #: Why it takes no runs for the time being, "" if it does.
    trouble: str = ""
    protocol: int = PROTOCOL
    version: str = __version__


def announce(pipeline: Pipeline, queue: str, info: SlotInfo) -> None:
    """Announce the slot, or renew its lease."""
    pipeline.set(keys.slot(info.name), json.dumps(encode(info)), ex=keys.SLOT_LEASE)
    pipeline.sadd(keys.slots(queue), info.name)


def withdraw(pipeline: Pipeline, queue: str, name: str) -> None:
    """Take the announcement back at once: the slot ends, or was found dead."""
    pending.leave(pipeline, queue, [name])
    pipeline.delete(keys.slot(name))
    pipeline.srem(keys.slots(queue), name)


def present(connection: redis.Redis, queue: str) -> dict[str, SlotInfo]:
    """Return the slots that serve `queue` now, by name, and forget those whose lease has ended."""
    names = [as_text(name) for name in connection.smembers(keys.slots(queue))]
    if not names:
        return {}
    found: dict[str, SlotInfo] = {}
    gone: list[str] = []
    for name, data in zip(names, connection.mget([keys.slot(name) for name in names]), strict=True):
        if data is None:
            gone.append(name)
            continue
        try:
            info = decode(SlotInfo, json.loads(data))
            found[name] = replace(
                info,
                host=printable(info.host),
                worker=printable(info.worker),
                image=printable(info.image),
                system=printable(info.system),
                omnetpp=printable(info.omnetpp),
                trouble=printable(info.trouble),
            )
        except (ValueError, MessageError):
            # A slot of another version may tell other things about itself; that it is there is what counts.
            found[name] = SlotInfo(name=name, worker="", host="", pid=0, protocol=0, version="unknown")
    if gone:
        pipeline = connection.pipeline()
        pipeline.srem(keys.slots(queue), *gone)
        pending.leave(pipeline, queue, gone)
        pipeline.execute()
    return found
