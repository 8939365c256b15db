"""What becomes of programs on their way to workers: the built files travel, or a worker builds them first.

Runs wait here, unsent, until that is settled for the content that they need. A build is a job of its own on a worker;
one is enough for all runs, all sessions and all clients: what it made is remembered under all that decided it, and only
one session at a time has it made. Of a session, only the process that queues runs sends anything and ends runs that
cannot be; the others look what becomes of it.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from oppcloud_worker import machine
from oppcloud_worker.messages import Cause, Limits, RunOutcome, RunRequest
from oppcloud_worker.remote import keys, presence, products
from oppcloud_worker.remote.results import EMPTY
from oppcloud_worker.remote.stores import result_store
from oppcloud_worker.store import ContentError, VerifyingSink
from oppcloud_worker.ticket import Kind, Needs, Ticket

from pytest_oppcloud.project import read_binary

from .campaign import Flight
from .fitting import Place, Wish, choose, places
from .statistics import BUILD

if TYPE_CHECKING:
    from oppcloud_worker.manifest import Manifest
    from oppcloud_worker.remote.presence import SlotInfo

    from pytest_oppcloud.content import Content

    from .campaign import Campaign
    from .shipping import Shipping

#: Seconds between two looks at who serves the queue, and at what another session has built.
_PAUSE = 0.25
#: Bytes of a build's output that are kept.
_LOG_SIZE = 16 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class _Case:
    """A content that cannot travel before it is known how, and the runs that wait for it."""

    content: Content
    wish: Wish
    #: Its files without those that a build makes.
    sources: Content
    waiting: list[Flight] = field(default_factory=list)
    #: Where the runs may run; None as long as that is open.
    needs: Needs | None = None
    #: What made their program, for their outcomes; "" if nobody built it for them.
    product: str = ""
    #: How the build ended, where it did not end well, and where people find that: so do the runs.
    failure: RunOutcome | None = None
    reference: RunOutcome | None = None
    #: The build that is wanted, and where.
    name: products.BuildName | None = None
    #: The build as a job of this session.
    flight: Flight | None = None
    #: How that job ended, until somebody has looked at it.
    outcome: RunOutcome | None = None
    #: What people were told last.
    told: str = ""
    next_look: float = 0.0


class Builds:
    """Decides for each content whether it travels as it is, and has built what does not."""

    def __init__(self, campaign: Campaign, shipping: Shipping) -> None:
        self._campaign = campaign
        self._shipping = shipping
        #: By identity of the content, which is kept here.
        self._cases: dict[int, _Case] = {}
        #: Builds that this session has made, by the name of their job.
        self._leading: dict[str, str] = {}
        self._renewed = 0.0
        #: What is to be queued next.
        self._ready: list[Flight] = []
        self._slots: dict[str, SlotInfo] = {}

    def settled(self, content: Content) -> tuple[Needs, str] | None:
        """Return what runs with this content need of a worker, and what made their program; None if that is open."""
        case = self._cases.get(id(content))
        if case is None:
            wish = self._wish(content)
            if wish is None:
                return Needs(), ""
            case = self._cases[id(content)] = _Case(content=content, wish=wish, sources=content.sources())
        return None if case.needs is None else (case.needs, case.product)

    def hold(self, flight: Flight) -> None:
        """Keep a run whose content is not settled."""
        flight.held = True
        self._cases[id(flight.content)].waiting.append(flight)

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
            system=machine.system(),
        )

    def is_due(self) -> bool:
        """Tell whether there may be something to do."""
        now = time.monotonic()
        return bool(self._leading) or any(case.waiting and case.next_look <= now for case in self._cases.values())

    def advance(self, *, lead: bool) -> list[Flight]:
        """Do what can be done now; return what may be queued. To `lead` is up to the process that queues runs."""
        now = time.monotonic()
        self._keep_leases(now)
        for case in self._cases.values():
            case.waiting = [flight for flight in case.waiting if flight.ticket.run in self._campaign.flights]
            if not case.waiting or (now < case.next_look and case.outcome is None):
                continue
            case.next_look = now + _PAUSE
            try:
                self._advance(case, lead=lead)
            except (ContentError, OSError) as error:
                message = f"its files cannot be sent: {error}"
                self._fail(case, RunOutcome(cause=Cause.CONTENT_MISSING, message=message))
        ready, self._ready = self._ready, []
        return ready

    def leave(self) -> None:
        """Let other sessions have built what this one no longer waits for."""
        for build in self._leading.values():
            products.leave_builder(self._campaign.connection, build, self._campaign.address.session)
        self._leading.clear()

    def _keep_leases(self, now: float) -> None:
        if self._leading and now >= self._renewed + keys.RENEW:
            self._renewed = now
            for build in self._leading.values():
                products.keep_builder(self._campaign.connection, build, self._campaign.address.session)

    def _advance(self, case: _Case, *, lead: bool) -> None:
        if case.failure is None and case.needs is None:
            if case.outcome is not None:
                self._take_outcome(case, case.outcome)
            elif case.flight is not None:
                self._tell_where(case, case.flight)
            elif case.name is not None or self._choose(case, lead=lead):
                self._find_product(case, lead=lead)
        if case.failure is not None:
            if lead:
                self._fail(case, case.failure)
        elif case.needs is not None:
            self._release(case, case.needs)

    def _choose(self, case: _Case, *, lead: bool) -> bool:
        """Decide where a content goes, once there are workers; return whether it must be built."""
        campaign = self._campaign
        self._slots = presence.present(campaign.connection, campaign.address.queue)
        if not self._slots:
            return False
        choice = choose(case.wish, places(self._slots.values()))
        place = choice.place or Place()
        if choice.mismatch:
            case.failure = RunOutcome(cause=Cause.VERSION_MISMATCH, message=choice.mismatch)
        elif not choice.build:
            if lead:
                self._shipping.send(case.content)
            case.needs = _needs(place)
        recipe = case.content.recipe
        if not choice.build or recipe is None:
            return False
        if lead:
            # All that it needs is there before anybody is told to build.
            self._shipping.send(case.sources)
        case.name = products.BuildName(
            sources=self._shipping.manifest(case.sources).digest,
            command=recipe.command,
            directory=recipe.directory,
            mode=recipe.mode,
            image=place.image,
            system=place.system,
            omnetpp=place.omnetpp,
        )
        return True

    def _find_product(self, case: _Case, *, lead: bool) -> None:
        """Use what was built before, or have it built, unless another session does so already."""
        campaign = self._campaign
        assert case.name is not None  # noqa: S101  # whoever calls has looked
        build = case.name.digest
        known = products.recall(campaign.connection, build, key=campaign.address.key)
        product = None if known is None else self._shipping.fetch(known.digest)
        if known is not None and product is not None:
            self._use(case, known.digest, product)
            if lead:
                self._tell(case, f"{_program(case)} was built before on {known.host}; that is used")
        elif not lead:
            return
        elif products.become_builder(campaign.connection, build, campaign.address.session):
            self._order_build(case, build)
        else:
            self._tell(case, f"{_program(case)} is being built for another session; waiting for that")

    def _order_build(self, case: _Case, build: str) -> None:
        """Send the build as a job of its own."""
        address, recipe, name = self._campaign.address, case.content.recipe, case.name
        assert recipe is not None  # noqa: S101  # without one nothing is built
        assert name is not None  # noqa: S101
        request = RunRequest(
            name=f"build of {_program(case)}",
            program=recipe.command,
            arguments=(),
            directory=recipe.directory,
            config="",
            run_number=0,
            repetition=0,
            environment={"MODE": recipe.mode} if recipe.mode else {},
            limits=Limits(timeout=recipe.timeout, output=_LOG_SIZE),
            content=name.sources,
        )
        ticket = Ticket(
            session=address.session,
            run=f"{BUILD}{build[:16]}",
            queue=address.queue,
            request=request,
            kind=Kind.BUILD,
            store=address.store,
            needs=_needs(name),
        )

        def take(outcome: RunOutcome) -> None:
            case.outcome = outcome

        case.flight = Flight(ticket=ticket, content=case.sources, then=take)
        self._leading[ticket.run] = build
        self._campaign.flights[ticket.run] = case.flight
        self._ready.append(case.flight)

    def _tell_where(self, case: _Case, flight: Flight) -> None:
        """Tell people which worker builds."""
        if flight.slot:
            slot = self._slots.get(flight.slot)
            host = flight.slot if slot is None else slot.host
            self._tell(case, f"building {_program(case)} on {host} ({_place(case)})")

    def _take_outcome(self, case: _Case, outcome: RunOutcome) -> None:
        """Take in how the build ended, and remember what it made.

        Should Redis be lost on the way, all of it is done again; so the outcome is forgotten last.
        """
        assert case.name is not None  # noqa: S101  # it was ordered
        assert case.flight is not None  # noqa: S101
        campaign, build = self._campaign, case.name.digest
        product = self._shipping.fetch(outcome.product) if outcome.product else None
        missing = "" if product is None else _missing(case, product)
        if outcome.cause is not Cause.COMPLETED:
            case.failure = self._with_log(case, outcome)
        elif product is None:
            message = "what the worker built is not in the store (any more)"
            case.failure = RunOutcome(cause=Cause.CONTENT_MISSING, message=message, host=outcome.host)
        elif missing:
            failure = replace(outcome, cause=Cause.BUILD_FAILED, message=missing, product="")
            case.failure = self._with_log(case, failure)
        else:
            known = products.Product(digest=outcome.product, host=outcome.host, seconds=outcome.wall_time)
            products.remember(campaign.connection, build, known, key=campaign.address.key)
            self._use(case, outcome.product, product)
            seconds, count = f"{outcome.wall_time:.1f} s", len(product.entries)
            self._tell(case, f"built {_program(case)} in {seconds}, {count} file{'' if count == 1 else 's'}")
            campaign.statistics.built.append(f"{_program(case)} on {outcome.host} in {seconds}")
        products.leave_builder(campaign.connection, build, campaign.address.session)
        self._leading.pop(case.flight.ticket.run, None)
        case.outcome = None

    def _use(self, case: _Case, digest: str, product: Manifest) -> None:
        """Have the runs get what was built."""
        assert case.name is not None  # noqa: S101  # there is a build
        self._shipping.adopt(case.content, case.sources, product)
        self._shipping.send(case.content)
        case.product = f"{digest[:16]} built for {_place(case)}"
        case.needs = _needs(case.name)

    def _with_log(self, case: _Case, outcome: RunOutcome) -> RunOutcome:
        """Return how a build failed, its log where the first of the waiting runs is looked for."""
        assert case.flight is not None  # noqa: S101  # it was ordered
        address, connection = self._campaign.address, self._campaign.connection
        source = result_store(address.store, connection, address.session, case.flight.ticket.run)
        target = result_store(address.store, connection, address.session, case.waiting[0].ticket.run)
        try:
            for file in outcome.files:
                if file.digest not in {"", EMPTY}:
                    data = io.BytesIO()
                    sink = VerifyingSink(data, file.digest, file.size)
                    source.get(file.digest, sink)
                    sink.finish()
                    data.seek(0)
                    target.put(file.digest, data, file.size)
        except ContentError:
            return replace(outcome, files=())
        return outcome

    def _fail(self, case: _Case, outcome: RunOutcome) -> None:
        """End the runs that wait: the first one of all tells everything, the others where to look."""
        waiting = case.waiting
        if case.reference is None:
            first = waiting[0]
            self._end(first, outcome)
            summary = outcome.message.partition("\n")[0]
            message = f"{summary} (in full at {first.ticket.request.name})"
            case.reference = RunOutcome(cause=outcome.cause, message=message)
            case.failure = outcome
            waiting = waiting[1:]
        for flight in waiting:
            self._end(flight, case.reference)
        case.waiting = []

    def _end(self, flight: Flight, outcome: RunOutcome) -> None:
        # All attempts that the cause allows have been made.
        spent = replace(flight.ticket, losses=outcome.cause.retries)
        self._campaign.settle(replace(flight, ticket=spent), outcome)

    def _release(self, case: _Case, needs: Needs) -> None:
        """Let the runs that wait be queued."""
        for flight in case.waiting:
            request = self._shipping.addressed(flight.ticket.request, case.content)
            flight.ticket = replace(flight.ticket, request=replace(request, product=case.product), needs=needs)
            flight.held = False
        self._ready += case.waiting
        case.waiting = []

    def _tell(self, case: _Case, text: str) -> None:
        if text != case.told:
            case.told = text
            self._campaign.notify(f"oppcloud: {text}")


def _needs(place: Place | products.BuildName) -> Needs:
    """Return what is needed of a worker so that it is one of this kind."""
    return Needs(image=place.image, system=place.system, omnetpp=place.omnetpp)


def _missing(case: _Case, product: Manifest) -> str:
    """Return what a build should have made and has not, in words; "" if all is there."""
    recipe = case.content.recipe
    made = {entry.path for entry in product.entries}
    missing = [] if recipe is None else [name for name in recipe.makes if name not in made]
    if not missing:
        return ""
    shown = ", ".join(sorted(made)[:5]) or "nothing"
    advice = "Mend `build`, or `program`, in oppcloud.toml"
    return f"the build command made no {', '.join(missing)}; it made: {shown}. {advice}"


def _program(case: _Case) -> str:
    """Return how people call what is built."""
    recipe = case.content.recipe
    return ", ".join(name.rpartition("/")[2] for name in recipe.makes) if recipe and recipe.makes else "the program"


def _place(case: _Case) -> str:
    """Return where it is built, in words."""
    name = case.name
    return "" if name is None else name.image or name.system or "an unknown system"
