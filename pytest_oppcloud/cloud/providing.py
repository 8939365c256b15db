"""What becomes of programs on their way to workers: the built files travel, or a worker builds them first.

Runs wait here, unsent, until that is settled for the content that they need. Of a session, only the process that queues
runs sends anything and ends runs that cannot be; the others look what becomes of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from oppcloud_worker import machine
from oppcloud_worker.messages import Cause, RunOutcome
from oppcloud_worker.remote import presence
from oppcloud_worker.store import ContentError

from pytest_oppcloud.project import read_binary

from .building import Builds, Failure
from .fitting import Place, Wish, choose, places
from .serving import serves

if TYPE_CHECKING:
    from oppcloud_worker.manifest import Manifest
    from oppcloud_worker.remote.presence import SlotInfo
    from oppcloud_worker.ticket import Needs

    from pytest_oppcloud.content import Content

    from .building import Build
    from .campaign import Campaign, Flight
    from .shipping import Shipping

#: Seconds between two looks at who serves the queue, and at what another session has built.
_PAUSE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """How a run gets what it needs."""

    content: Content
    needs: Needs
    #: What made its program, for its outcome; "" if nobody built it for the run.
    product: str = ""


@dataclass(slots=True, kw_only=True)
class _Case:
    """A content that cannot travel before it is known how, and the runs that wait for it."""

    #: As it was given, and as the runs refer to it.
    origin: Content
    content: Content
    #: The image that the runs need in any case, "" for none.
    image: str
    wish: Wish
    waiting: list[Flight] = field(default_factory=list)
    #: What makes its program; None where nothing must be built, or nothing is decided.
    build: Build | None = None
    #: Where the runs may run; None as long as that is open.
    place: Place | None = None
    #: What made their program, for their outcomes; "" if nobody built it for them.
    product: str = ""
    failure: Failure | None = None
    next_look: float = 0.0


class Provider:
    """Decides for each content whether it travels as it is, and has built what does not."""

    def __init__(self, campaign: Campaign, shipping: Shipping) -> None:
        self._campaign = campaign
        self._shipping = shipping
        self._builds = Builds(campaign, shipping)
        #: By identity of the content, which is kept here, and image.
        self._cases: dict[tuple[int, str], _Case] = {}
        #: Runs that need to wait no longer.
        self._released: list[Flight] = []
        #: Where what is built was built.
        self._system = machine.system()
        self._slots: dict[str, SlotInfo] = {}

    def provided(self, content: Content, needs: Needs) -> Provision | None:
        """Return how runs get what they need of this content; None if that is open, and they are to be held."""
        key = id(content), needs.image
        case = self._cases.get(key)
        if case is None:
            wish = self._wish(content)
            if wish is None:
                return Provision(content=content, needs=needs)
            # Another image has another product; and what `content` is must stay, as its identity is the key.
            own = replace(content) if needs.image else content
            case = self._cases[key] = _Case(origin=content, content=own, wish=wish, image=needs.image)
        return None if case.place is None else self._provision(case, case.place, needs)

    def hold(self, flight: Flight) -> None:
        """Keep a run whose content is not provided."""
        flight.held = True
        case = self._cases[id(flight.content), flight.ticket.needs.image]
        flight.content = case.content
        case.waiting.append(flight)

    @staticmethod
    def _provision(case: _Case, place: Place, needs: Needs) -> Provision:
        image = place.image or needs.image
        needs = replace(needs, image=image, system=place.system, omnetpp=place.omnetpp)
        return Provision(content=case.content, needs=needs, product=case.product)

    def _wish(self, content: Content) -> Wish | None:
        """Return what is to be decided about a content; None where it travels as it is."""
        if self._campaign.address.private and content.is_built:
            # The workers are here, where it was built.
            return None
        binaries = tuple(found for path in content.programs if (found := read_binary(path)) is not None)
        if content.recipe is None and not binaries:
            return None
        found_version = next((version for binary in binaries if (version := binary.omnetpp)), "")
        return Wish(
            binaries=binaries,
            built=content.is_built,
            buildable=content.recipe is not None,
            omnetpp=content.omnetpp or found_version,
            system=self._system,
        )

    def is_due(self) -> bool:
        """Tell whether there may be something to do."""
        now = time.monotonic()
        waiting = any(case.waiting and case.next_look <= now for case in self._cases.values())
        return waiting or self._builds.has_chores

    def advance(self, *, lead: bool) -> list[Flight]:
        """Do what can be done now; return what may be queued. To `lead` is up to the process that queues runs."""
        now = time.monotonic()
        self._builds.do_chores(now)
        for case in self._cases.values():
            case.waiting = [flight for flight in case.waiting if flight.ticket.run in self._campaign.flights]
            ended = case.build is not None and case.build.outcome is not None
            if case.waiting and (ended or now >= case.next_look):
                case.next_look = now + _PAUSE
                self._advance(case, lead=lead)
        ready, self._released = [*self._builds.take_jobs(), *self._released], []
        return ready

    @property
    def holds_any(self) -> bool:
        """Whether there are runs that wait here."""
        waiting = any(case.waiting for case in self._cases.values())
        return waiting or bool(self._released) or self._builds.has_jobs

    def leave(self) -> None:
        """Let other sessions have built what this one no longer waits for."""
        self._builds.leave()

    def _advance(self, case: _Case, *, lead: bool) -> None:
        if case.failure is None and case.place is None:
            try:
                if case.build is None:
                    self._choose(case, lead=lead)
                if case.build is not None:
                    self._builds.advance(case.build, self._slots, lead=lead)
                    self._use(case, case.build)
            except (ContentError, OSError) as error:
                message = f"its files cannot be sent: {error}"
                case.failure = Failure(outcome=RunOutcome(cause=Cause.CONTENT_MISSING, message=message))
        if case.failure is not None and lead:
            self._fail(case, case.failure)
        if case.place is not None:
            self._release(case, case.place)

    def _choose(self, case: _Case, *, lead: bool) -> None:
        """Decide where a content goes, and whether it is built there, once there are workers."""
        campaign = self._campaign
        self._slots = presence.present(campaign.connection, campaign.address.queue)
        found = [slot for slot in self._slots.values() if serves(slot) and case.image in {"", slot.image}]
        if not found:
            return
        choice = choose(case.wish, places(found))
        place, recipe = choice.place or Place(), case.content.recipe
        if choice.mismatch:
            case.failure = Failure(outcome=RunOutcome(cause=Cause.VERSION_MISMATCH, message=choice.mismatch))
        elif recipe is None or not choice.build:
            if lead:
                self._shipping.send(case.content)
            case.place = place
        else:
            case.build = self._builds.wanted(case.content.sources(), recipe, place)

    def _use(self, case: _Case, build: Build) -> None:
        """Have the runs get what was built, once it was."""
        if build.failure is not None:
            case.failure = build.failure
        if build.product is None:
            return
        missing = _missing(case.content, build.product)
        if missing:
            blank = build.outcome or RunOutcome(cause=Cause.BUILD_FAILED)
            outcome = replace(blank, cause=Cause.BUILD_FAILED, message=missing, product="")
            case.failure = Failure(outcome=outcome, build=build.run)
            self._builds.give_up(build)
            return
        self._builds.publish(build)
        self._shipping.adopt(case.content, build.sources, build.product)
        self._shipping.send(case.content)
        case.product = f"{build.digest[:16]} built for {build.place}"
        name = build.name
        case.place = Place(image=name.image, system=name.system, omnetpp=name.omnetpp)
        self._builds.want_copy(build.product)

    def _fail(self, case: _Case, failure: Failure) -> None:
        """End the runs that wait: the first one of all tells everything, the others where to look."""
        for flight in case.waiting:
            if failure.reference is None:
                self._end(flight, self._builds.with_log(failure, flight))
                summary = failure.outcome.message.partition("\n")[0]
                message = f"{summary} (in full at {flight.ticket.request.name})"
                failure.reference = RunOutcome(cause=failure.outcome.cause, message=message)
            else:
                self._end(flight, failure.reference)
        case.waiting = []

    def _end(self, flight: Flight, outcome: RunOutcome) -> None:
        # All attempts that the cause allows have been made.
        spent = replace(flight.ticket, causes=(outcome.cause.name,) * outcome.cause.retries)
        self._campaign.settle(replace(flight, ticket=spent), outcome)

    def _release(self, case: _Case, place: Place) -> None:
        """Let the runs that wait be queued."""
        for flight in case.waiting:
            provision = self._provision(case, place, flight.ticket.needs)
            request = replace(self._shipping.addressed(flight.ticket.request, case.content), product=provision.product)
            flight.ticket = replace(flight.ticket, request=request, needs=provision.needs)
            flight.held = False
        self._released += case.waiting
        case.waiting = []


def _missing(content: Content, product: Manifest) -> str:
    """Return what a build should have made and has not, in words; "" if all is there."""
    made = {entry.path for entry in product.entries}
    missing = [] if content.recipe is None else [name for name in content.recipe.makes if name not in made]
    if not missing:
        return ""
    shown = ", ".join(sorted(made)[:5]) or "nothing"
    advice = "Mend `build`, or `program`, in oppcloud.toml"
    return f"the build command made no {', '.join(missing)}; it made: {shown}. {advice}"
