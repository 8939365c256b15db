"""Whether there is a worker for a run, and what people are told where there is none. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from oppcloud_worker.messages import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oppcloud_worker.remote.presence import SlotInfo
    from oppcloud_worker.ticket import Needs

#: Kinds of workers that a message tells of.
_KINDS = 3


def can_serve(needs: Needs, slots: Iterable[SlotInfo]) -> bool:
    """Tell whether any of `slots` can take a run with these needs, now or when others have ended."""
    return any(
        serves(slot) and needs.met_by(memory=slot.memory, image=slot.image, system=slot.system, omnetpp=slot.omnetpp)
        for slot in slots
    )


def serves(slot: SlotInfo) -> bool:
    """Tell whether a slot takes runs of ours at all."""
    return slot.protocol == PROTOCOL and not slot.trouble


def why_not(needs: Needs, slots: Iterable[SlotInfo]) -> str:
    """Return what such a run needs and what the workers have, as the end of a sentence."""
    workers = {slot.worker or slot.name: slot for slot in slots}.values()
    others = sorted({slot.version for slot in workers if slot.protocol != PROTOCOL})
    if len(workers) == sum(slot.protocol != PROTOCOL for slot in workers):
        return f"its workers are of another version ({', '.join(others)})"
    if not any(map(serves, workers)):
        return f"its workers take no runs: {'; '.join(sorted({slot.trouble for slot in workers if slot.trouble}))}"
    wanted = [
        f"{gibibytes(needs.memory)} of memory (as last time, or as needs.memory in oppcloud.toml says)"
        if needs.memory
        else "",
        f"the image {needs.image}" if needs.image else "",
        f"the system {needs.system} that its program was built for" if needs.system else "",
        f"OMNeT++ {needs.omnetpp}" if needs.omnetpp else "",
    ]
    kinds = Counter(
        f"{gibibytes(slot.memory)} and {f'the image {slot.image}' if slot.image else 'no image'}{_system(slot)}"
        for slot in workers
    )
    found = [f"{count} with {kind}" for kind, count in kinds.most_common(_KINDS)]
    if len(kinds) > _KINDS:
        found.append("others")
    return f"it needs {' and '.join(part for part in wanted if part)}, and the workers are {', '.join(found)}"


def too_large(needs: Needs, machines: str, memory: int) -> str:
    """Return why no worker for a run can ever come, "" if one can: `machines` have that much `memory` at most."""
    if not memory or needs.memory <= memory:
        return ""
    return (
        f"it needs {gibibytes(needs.memory)} of memory (as last time, or as needs.memory in oppcloud.toml says), and "
        f"{machines} have {gibibytes(memory)} for runs: `oppcloud up --instance-types` with types that all have more "
        "(the letter m has twice as much as c, r four times as much)"
    )


def gibibytes(size: int) -> str:
    """Return a figure of memory for people."""
    return f"{size / 2**30:.3g} GiB"


def _system(slot: SlotInfo) -> str:
    """Return what programs must be built for to run there, in brackets."""
    words = [slot.system, f"OMNeT++ {slot.omnetpp}" if slot.omnetpp else ""]
    return f" ({', '.join(filter(None, words))})" if any(words) else ""
