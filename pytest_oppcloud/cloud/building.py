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
from .serving import serves
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


#: Seconds that a build is said to take, so that it comes before the simulations of its session.
_FIRST = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """How a run gets what it needs."""

    content: Content
    needs: Needs
    #: What made its program, for its outcome; "" if nobody built it for the run.
    product: str = ""


@dataclass(slots=True, kw_only=True)
class _Failure:
    """Why runs cannot be, for all of them."""

    outcome: RunOutcome
    #: The build that failed, where its log is; "" if there is none.
    build: str = ""
    #: What all runs but the first one are told: where to read it; None until there was a first one.
    reference: RunOutcome | None = None


@dataclass(slots=True, kw_only=True)
class _Build:
    """A build, for all contents of the session that need what it makes."""

    name: products.BuildName
    #: What people call the thing that is built.
    title: str
    timeout: float
    sources: Content
    #: The job of this session, if it is one.
    flight: Flight | None = None
    #: How that job ended, until somebody has looked at it.
    outcome: RunOutcome | None = None
    #: What was made: digest of its manifest, and the manifest itself.
    digest: str = ""
    product: Manifest | None = None
    #: What is still to be remembered for other sessions.
    news: products.Product | None = None
    failure: _Failure | None = None
    #: What people were told last.
    told: str = ""

    @property
    def run(self) -> str:
        """The name of its job."""
        return f"{BUILD}{self.name.digest[:16]}"

    @property
    def place(self) -> str:
        """Where it is built, in words."""
        return self.name.image or self.name.system or "an unknown system"


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
    build: _Build | None = None
    #: Where the runs may run; None as long as that is open.
    place: Place | None = None
    #: What made their program, for their outcomes; "" if nobody built it for them.
    product: str = ""
    failure: _Failure | None = None
    next_look: float = 0.0


class Builds:
    """Decides for each content whether it travels as it is, and has built what does not."""

    def __init__(self, campaign: Campaign, shipping: Shipping) -> None:
        self._campaign = campaign
        self._shipping = shipping
        #: By identity of the content, which is kept here, and image.
        self._cases: dict[tuple[int, str], _Case] = {}
        #: By digest of the name: contents that differ in nothing that is built share one.
        self._builds: dict[str, _Build] = {}
        #: Digests of those that this session has the lease of.
        self._leases: set[str] = set()
        self._renewed = 0.0
        #: Products of which there is no copy here.
        self._uncopied: list[Manifest] = []
        #: What is to be queued next.
        self._ready: list[Flight] = []
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
        return waiting or bool(self._leases or self._uncopied)

    def advance(self, *, lead: bool) -> list[Flight]:
        """Do what can be done now; return what may be queued. To `lead` is up to the process that queues runs."""
        now = time.monotonic()
        self._keep_leases(now)
        if self._uncopied:
            self._shipping.keep_copy(self._uncopied.pop())
        for case in self._cases.values():
            case.waiting = [flight for flight in case.waiting if flight.ticket.run in self._campaign.flights]
            ended = case.build is not None and case.build.outcome is not None
            if case.waiting and (ended or now >= case.next_look):
                case.next_look = now + _PAUSE
                self._advance(case, lead=lead)
        ready, self._ready = self._ready, []
        return ready

    @property
    def holds_any(self) -> bool:
        """Whether there are runs that wait here."""
        return bool(self._ready) or any(case.waiting for case in self._cases.values())

    def leave(self) -> None:
        """Let other sessions have built what this one no longer waits for."""
        for build in self._leases:
            products.leave_builder(self._campaign.connection, build, self._campaign.address.session)
        self._leases.clear()

    def _keep_leases(self, now: float) -> None:
        if self._leases and now >= self._renewed + keys.RENEW:
            self._renewed = now
            for build in self._leases:
                products.keep_builder(self._campaign.connection, build, self._campaign.address.session)

    def _advance(self, case: _Case, *, lead: bool) -> None:
        if case.failure is None and case.place is None:
            try:
                if case.build is None:
                    self._choose(case, lead=lead)
                if case.build is not None:
                    self._provide(case.build, lead=lead)
                    self._use(case, case.build)
            except (ContentError, OSError) as error:
                message = f"its files cannot be sent: {error}"
                case.failure = _Failure(outcome=RunOutcome(cause=Cause.CONTENT_MISSING, message=message))
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
            case.failure = _Failure(outcome=RunOutcome(cause=Cause.VERSION_MISMATCH, message=choice.mismatch))
        elif recipe is None or not choice.build:
            if lead:
                self._shipping.send(case.content)
            case.place = place
        else:
            sources = case.content.sources()
            name = products.BuildName(
                sources=self._shipping.manifest(sources).digest,
                command=recipe.command,
                directory=recipe.directory,
                mode=recipe.mode,
                image=place.image,
                system=place.system,
                omnetpp=place.omnetpp,
            )
            title = ", ".join(path.rpartition("/")[2] for path in recipe.makes) or "the program"
            build = _Build(name=name, title=title, timeout=recipe.timeout, sources=sources)
            case.build = self._builds.setdefault(name.digest, build)

    def _provide(self, build: _Build, *, lead: bool) -> None:
        """Go on with a build that has come to nothing yet."""
        if build.product is not None or build.failure is not None:
            return
        if build.outcome is not None:
            self._take_outcome(build, build.outcome)
        elif build.flight is None:
            self._find_product(build, lead=lead)
        elif build.flight.slot:
            slot = self._slots.get(build.flight.slot)
            self._tell(build, f"building {build.title} on {slot.host if slot else build.flight.slot} ({build.place})")

    def _find_product(self, build: _Build, *, lead: bool) -> None:
        """Use what was built before, or have it built, unless another session does so already."""
        campaign, digest = self._campaign, build.name.digest
        known = products.recall(campaign.connection, digest, key=campaign.address.key)
        product = None if known is None else self._shipping.fetch(known.digest)
        if known is not None and product is not None:
            build.digest, build.product = known.digest, product
            if lead:
                self._tell(build, f"{build.title} was built before on {known.host}; that is used")
        elif not lead:
            return
        elif products.become_builder(campaign.connection, digest, campaign.address.session):
            self._leases.add(digest)
            # All that it needs is there before anybody is told to build.
            self._shipping.send(build.sources)
            self._order(build)
        else:
            self._tell(build, f"{build.title} is being built for another session; waiting for that")

    def _order(self, build: _Build) -> None:
        """Send the build as a job of its own."""
        address, name = self._campaign.address, build.name
        request = RunRequest(
            name=f"build of {build.title}",
            program=name.command,
            arguments=(),
            directory=name.directory,
            config="",
            run_number=0,
            repetition=0,
            environment={"MODE": name.mode} if name.mode else {},
            limits=Limits(timeout=build.timeout, output=_LOG_SIZE),
            content=name.sources,
        )
        ticket = Ticket(
            session=address.session,
            run=build.run,
            queue=address.queue,
            request=request,
            kind=Kind.BUILD,
            store=address.store,
            needs=Needs(image=name.image, system=name.system, omnetpp=name.omnetpp),
            priority=address.priority,
            # First of all runs of the session.
            expected=_FIRST,
        )

        def take(outcome: RunOutcome) -> None:
            build.outcome = outcome

        build.flight = Flight(ticket=ticket, content=build.sources, then=take)
        self._campaign.flights[build.run] = build.flight
        self._ready.append(build.flight)
        self._show()

    def _take_outcome(self, build: _Build, outcome: RunOutcome) -> None:
        """Take in how the build ended.

        Should Redis be lost on the way, all of it is done again; so the outcome is forgotten last.
        """
        self._show()
        product = self._shipping.fetch(outcome.product) if outcome.product else None
        if outcome.cause is not Cause.COMPLETED:
            build.failure = _Failure(outcome=outcome, build=build.run)
            self._give_lease_back(build)
        elif product is None:
            message = "what the worker built is not in the store (any more)"
            lost = RunOutcome(cause=Cause.CONTENT_MISSING, message=message, host=outcome.host)
            build.failure = _Failure(outcome=lost)
            self._give_lease_back(build)
        else:
            build.digest, build.product = outcome.product, product
            build.news = products.Product(digest=outcome.product, host=outcome.host, seconds=outcome.wall_time)
            what, count = f"{build.title} on {outcome.host} in {outcome.wall_time:.1f} s", len(product.entries)
            self._tell(build, f"built {what}, {count} file{'' if count == 1 else 's'}")
            self._campaign.statistics.built.append(what)

    def _use(self, case: _Case, build: _Build) -> None:
        """Have the runs get what was built, once it was."""
        if build.failure is not None:
            case.failure = build.failure
        if build.product is None:
            return
        campaign = self._campaign
        missing = _missing(case.content, build.product)
        if missing:
            blank = build.outcome or RunOutcome(cause=Cause.BUILD_FAILED)
            outcome = replace(blank, cause=Cause.BUILD_FAILED, message=missing, product="")
            case.failure = _Failure(outcome=outcome, build=build.run)
            self._give_lease_back(build)
            return
        if build.news is not None:
            products.remember(campaign.connection, build.name.digest, build.news, key=campaign.address.key)
            build.news = None
        self._give_lease_back(build)
        self._shipping.adopt(case.content, build.sources, build.product)
        self._shipping.send(case.content)
        case.product = f"{build.digest[:16]} built for {build.place}"
        name = build.name
        case.place = Place(image=name.image, system=name.system, omnetpp=name.omnetpp)
        if not (campaign.address.private or campaign.address.store or build.product in self._uncopied):
            # Redis may forget everything; then what was built is sent again from here.
            self._uncopied.append(build.product)

    def _give_lease_back(self, build: _Build) -> None:
        if build.name.digest in self._leases:
            products.leave_builder(self._campaign.connection, build.name.digest, self._campaign.address.session)
            self._leases.discard(build.name.digest)

    def _fail(self, case: _Case, failure: _Failure) -> None:
        """End the runs that wait: the first one of all tells everything, the others where to look."""
        for flight in case.waiting:
            if failure.reference is None:
                self._end(flight, self._with_log(failure, flight))
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

    def _with_log(self, failure: _Failure, flight: Flight) -> RunOutcome:
        """Return how a build failed, its log where that of the run `flight` is looked for."""
        address, connection = self._campaign.address, self._campaign.connection
        source = result_store(address.store, connection, address.session, failure.build)
        target = result_store(address.store, connection, address.session, flight.ticket.run)
        try:
            for file in failure.outcome.files:
                if file.digest not in {"", EMPTY}:
                    data = io.BytesIO()
                    sink = VerifyingSink(data, file.digest, file.size)
                    source.get(file.digest, sink)
                    sink.finish()
                    data.seek(0)
                    target.put(file.digest, data, file.size)
        except ContentError:
            return replace(failure.outcome, files=())
        return failure.outcome

    def _release(self, case: _Case, place: Place) -> None:
        """Let the runs that wait be queued."""
        for flight in case.waiting:
            provision = self._provision(case, place, flight.ticket.needs)
            request = replace(self._shipping.addressed(flight.ticket.request, case.content), product=provision.product)
            flight.ticket = replace(flight.ticket, request=request, needs=provision.needs)
            flight.held = False
        self._ready += case.waiting
        case.waiting = []

    def _show(self) -> None:
        """Show how many of the builds of this session have ended."""
        ordered = [build for build in self._builds.values() if build.flight is not None]
        self._campaign.board.stage("build", sum(build.outcome is not None for build in ordered), len(ordered))

    def _tell(self, build: _Build, text: str) -> None:
        if text != build.told:
            build.told = text
            self._campaign.notify(f"oppcloud: {text}")


def _missing(content: Content, product: Manifest) -> str:
    """Return what a build should have made and has not, in words; "" if all is there."""
    made = {entry.path for entry in product.entries}
    missing = [] if content.recipe is None else [name for name in content.recipe.makes if name not in made]
    if not missing:
        return ""
    shown = ", ".join(sorted(made)[:5]) or "nothing"
    advice = "Mend `build`, or `program`, in oppcloud.toml"
    return f"the build command made no {', '.join(missing)}; it made: {shown}. {advice}"
