"""The builds that a session has made on workers, each a job of its own.

One is enough for all runs, all sessions and all clients: what it made is remembered under all that decided it, and only
one session at a time has it made. Which contents need a build, and what becomes of their runs, is up to `providing`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oppcloud_worker.messages import Cause, Limits, RunOutcome, RunRequest
from oppcloud_worker.remote import keys, products
from oppcloud_worker.remote.results import EMPTY
from oppcloud_worker.remote.stores import result_store
from oppcloud_worker.store import ContentError, VerifyingSink
from oppcloud_worker.ticket import Kind, Needs, Ticket

from .campaign import Flight
from .statistics import BUILD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oppcloud_worker.manifest import Manifest
    from oppcloud_worker.remote.presence import SlotInfo

    from pytest_oppcloud.content import Content, Recipe

    from .campaign import Campaign
    from .fitting import Place
    from .shipping import Shipping

#: Bytes of a build's output that are kept.
_LOG_SIZE = 16 * 1024 * 1024
#: Seconds that a build is said to take, so that it comes before the simulations of its session.
_FIRST = 1e6


@dataclass(slots=True, kw_only=True)
class Failure:
    """Why runs cannot be, for all of them."""

    outcome: RunOutcome
    #: The build that failed, where its log is; "" if there is none.
    build: str = ""
    #: What all runs but the first one are told: where to read it; None until there was a first one.
    reference: RunOutcome | None = None


@dataclass(slots=True, kw_only=True)
class Build:
    """A build, for all contents of the session that need what it makes."""

    name: products.BuildName
    #: What people call the thing that is built.
    title: str
    timeout: float
    sources: Content
    #: The job of this session, if it is one.
    flight: Flight | None = None
    #: How that job ended, once it has.
    outcome: RunOutcome | None = None
    #: What was made: digest of its manifest, and the manifest itself.
    digest: str = ""
    product: Manifest | None = None
    #: What is still to be remembered for other sessions.
    news: products.Product | None = None
    failure: Failure | None = None
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


class Builds:
    """The builds of a session: found where they were made before, or ordered."""

    def __init__(self, campaign: Campaign, shipping: Shipping) -> None:
        self._campaign = campaign
        self._shipping = shipping
        #: By digest of the name: contents that differ in nothing that is built share one.
        self._builds: dict[str, Build] = {}
        #: Digests of those that this session has the lease of.
        self._leases: set[str] = set()
        self._renewed = 0.0
        #: Products of which there is no copy here.
        self._uncopied: list[Manifest] = []
        #: Builds that are to be queued next.
        self._jobs: list[Flight] = []

    def wanted(self, sources: Content, recipe: Recipe, place: Place) -> Build:
        """Return the build of `sources` at a place; raise `ContentError` or OSError where they cannot be read."""
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
        build = Build(name=name, title=title, timeout=recipe.timeout, sources=sources)
        return self._builds.setdefault(name.digest, build)

    @property
    def has_jobs(self) -> bool:
        """Whether builds are to be queued."""
        return bool(self._jobs)

    def take_jobs(self) -> list[Flight]:
        """Return the builds that are to be queued, each once."""
        jobs, self._jobs = self._jobs, []
        return jobs

    @property
    def has_chores(self) -> bool:
        """Whether there is a lease to renew, or a copy to fetch."""
        return bool(self._leases or self._uncopied)

    def do_chores(self, now: float) -> None:
        """Renew the leases in time (`now` is monotonic), and fetch one copy."""
        if self._leases and now >= self._renewed + keys.RENEW:
            self._renewed = now
            for build in self._leases:
                products.keep_builder(self._campaign.connection, build, self._campaign.address.session)
        if self._uncopied:
            self._shipping.keep_copy(self._uncopied.pop())

    def leave(self) -> None:
        """Let other sessions have built what this one no longer waits for."""
        for build in self._leases:
            products.leave_builder(self._campaign.connection, build, self._campaign.address.session)
        self._leases.clear()

    def advance(self, build: Build, slots: Mapping[str, SlotInfo], *, lead: bool) -> None:
        """Go on with a build that has come to nothing yet; `slots` tell where it is, for people.

        To `lead` is up to the process that queues runs. Raises `ContentError` and OSError.
        """
        if build.product is not None or build.failure is not None:
            return
        if build.outcome is not None:
            self._take_outcome(build, build.outcome)
        elif build.flight is None:
            self._find_product(build, lead=lead)
        elif build.flight.slot:
            slot = slots.get(build.flight.slot)
            self._tell(build, f"building {build.title} on {slot.host if slot else build.flight.slot} ({build.place})")

    def _find_product(self, build: Build, *, lead: bool) -> None:
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

    def _order(self, build: Build) -> None:
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
        self._jobs.append(build.flight)
        self._campaign.board.order_build(build.run, request.name)

    def _take_outcome(self, build: Build, outcome: RunOutcome) -> None:
        """Take in how the build ended.

        Should Redis be lost while the product is looked for, all of it is done again: nothing is noted before.
        """
        product = self._shipping.fetch(outcome.product) if outcome.product else None
        if outcome.cause is not Cause.COMPLETED:
            build.failure = Failure(outcome=outcome, build=build.run)
            self.give_up(build)
        elif product is None:
            message = "what the worker built is not in the store (any more)"
            lost = RunOutcome(cause=Cause.CONTENT_MISSING, message=message, host=outcome.host)
            build.failure = Failure(outcome=lost)
            self.give_up(build)
        else:
            build.digest, build.product = outcome.product, product
            build.news = products.Product(digest=outcome.product, host=outcome.host, seconds=outcome.wall_time)
            what, count = f"{build.title} on {outcome.host} in {outcome.wall_time:.1f} s", len(product.entries)
            self._tell(build, f"built {what}, {count} file{'' if count == 1 else 's'}")
            self._campaign.statistics.built.append(what)

    def publish(self, build: Build) -> None:
        """Let other sessions use what was built."""
        if build.news is not None:
            products.remember(self._campaign.connection, build.name.digest, build.news, key=self._campaign.address.key)
            build.news = None
        self.give_up(build)

    def give_up(self, build: Build) -> None:
        """Let other sessions have it built: this one has no use for its lease any more."""
        if build.name.digest in self._leases:
            products.leave_builder(self._campaign.connection, build.name.digest, self._campaign.address.session)
            self._leases.discard(build.name.digest)

    def want_copy(self, product: Manifest) -> None:
        """Have a copy of what was built here, where Redis may forget everything: then it is sent again from here."""
        if not (self._campaign.address.private or self._campaign.address.store or product in self._uncopied):
            self._uncopied.append(product)

    def with_log(self, failure: Failure, flight: Flight) -> RunOutcome:
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

    def _tell(self, build: Build, text: str) -> None:
        if text != build.told:
            build.told = text
            self._campaign.notify(f"oppcloud: {text}")
