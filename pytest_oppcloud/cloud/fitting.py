"""Which workers can run a program as it is, and where it is to be built otherwise: decided from what both tell.

Pure: what programs tell of themselves was read before, what workers tell comes as values.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from oppcloud_worker.remote.presence import SlotInfo

    from pytest_oppcloud.project import Binary

_NUMBERS = re.compile(r"\d+")
#: What machines are called on some systems, and on others.
_SAME_MACHINE = {"arm64": "aarch64", "amd64": "x86_64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A kind of worker, as far as programs are concerned."""

    #: The container image, "" where nobody said.
    image: str = ""
    #: "linux-x86_64-glibc-2.36", "" where it is not known.
    system: str = ""
    #: Version of OMNeT++, "" where there is none, or none that is known.
    omnetpp: str = ""

    def __str__(self) -> str:
        return ", ".join(filter(None, [self.image, self.system, self.omnetpp and f"OMNeT++ {self.omnetpp}"])) or "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to run."""

    #: What is built already: the program and its libraries, scripts left out.
    binaries: tuple[Binary, ...]
    #: Whether all of it is there, and whether a build command could make it anew.
    built: bool
    buildable: bool
    #: The version of OMNeT++ that it must be; "" if nobody says.
    omnetpp: str
    #: The system of this machine, where it was built.
    system: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is to be done."""

    #: Whether the program is to be built there.
    build: bool = False
    #: The kind of worker that runs it; None: any.
    place: Place | None = None
    #: Why nothing can be done, "" if something can.
    mismatch: str = ""


def places(slots: Iterable[SlotInfo]) -> Counter[Place]:
    """Return the kinds of workers there are, with their number of slots."""
    return Counter(Place(image=slot.image, system=slot.system, omnetpp=slot.omnetpp) for slot in slots)


def choose(wish: Wish, found: Mapping[Place, int]) -> Choice:
    """Return how a program gets to run at one of the places `found`, which must be some.

    Where it can be built, what is built already travels only to machines of the same system: others may have other
    libraries. Of several kinds of workers, the one with the most slots is taken.
    """
    order = sorted(found, key=lambda place: (-found[place], str(place)))
    reasons = {place: _why_unfit(wish, place) for place in order}
    if wish.built:
        fit = [place for place in order if not reasons[place] and not (wish.buildable and place.system != wish.system)]
        if fit:
            return Choice(place=None if len(fit) == len(order) else fit[0])
    if not wish.buildable:
        return Choice(mismatch=_mismatch(reasons[order[0]], order, "have it built there (`build` in oppcloud.toml)"))
    wrong = {place: _wrong_omnetpp(wish.omnetpp, place) for place in order}
    able = [place for place in order if not wrong[place]]
    if not able:
        return Choice(mismatch=_mismatch(wrong[order[0]], order, "change `omnetpp` in oppcloud.toml"))
    return Choice(build=True, place=able[0])


def _mismatch(reason: str, order: Iterable[Place], advice: str) -> str:
    workers = "; ".join(map(str, order))
    return f"{reason}, but the workers of the queue are: {workers}. Start workers that fit, or {advice}."


def _why_unfit(wish: Wish, place: Place) -> str:
    """Return why what is built cannot run at a place, "" if it can as far as is known."""
    for binary in wish.binaries:
        built_for = _built_for(binary, place.system)
        if built_for:
            return f"{binary.path.name} {built_for}"
    return _wrong_omnetpp(wish.omnetpp, place)


def _built_for(binary: Binary, system: str) -> str:
    """Return what a binary was built for, or needs, where that is not `system`; "" where it fits."""
    if not system:
        return ""
    name, machine, library, version = (*system.split("-"), "", "", "")[:4]
    if binary.system != name:
        return f"was built for {binary.system}"
    if binary.machine and _SAME_MACHINE.get(binary.machine, binary.machine) != _SAME_MACHINE.get(machine, machine):
        return f"was built for {binary.machine}"
    if binary.needs_musl != (library == "musl") and (binary.needs_musl or binary.glibc):
        return f"was built for the C library {'musl' if binary.needs_musl else 'of GNU'}"
    if library == "glibc" and binary.glibc > _numbers(version):
        return f"needs glibc {'.'.join(map(str, binary.glibc))}"
    return ""


def _wrong_omnetpp(wanted: str, place: Place) -> str:
    """Return which OMNeT++ is needed where a place has another: the first two numbers count."""
    if not wanted or not place.omnetpp or _numbers(wanted)[:2] == _numbers(place.omnetpp)[:2]:
        return ""
    return f"OMNeT++ {wanted} is needed"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, _NUMBERS.findall(version)))
