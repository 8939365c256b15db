"""The queue of a session, from the first need of it to its end: one that is there, a cluster's, or one of its own.

Which of them it is the settings say; xdist's controller opens it for all processes, and tells its workers where it is.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from oppcloud_worker.address import redacted
from oppcloud_worker.remote.connection import connect

from pytest_oppcloud.queues.sessions import SharedQueue

from .attaching import Attachment, attach, join, new_record
from .campaign import QueueAddress
from .dispatcher import Dispatcher
from .embedded import EmbeddedQueue
from .fleet import Demand, of_runs
from .roles import Role, handed_over, role_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from oppcloud_worker.remote.sessions import SessionRecord

    from .rented import RentedQueue
    from .settings import CloudSettings


class SessionQueue:
    """The queue of a session, the thread that works on it, and what was started for both."""

    def __init__(self, config: pytest.Config, settings: CloudSettings, notify: Callable[[str], None]) -> None:
        """Prepare; nothing is started before it is known that there are simulations."""
        self._config = config
        self._settings = settings
        self._notify = notify
        #: The id of the session.
        self.session = settings.attach or secrets.token_hex(6)
        #: What all processes of the session share; with this they keep it to themselves.
        self._token = secrets.token_hex(8)
        #: The session of before that this one goes on with.
        self.attachment: Attachment | None = None
        #: None until the queue is open.
        self.dispatcher: Dispatcher | None = None
        #: How many runs are going to be sent, before they are.
        self.expected = 0
        self._embedded: EmbeddedQueue | None = None
        self._rented: RentedQueue | None = None

    @property
    def cost(self) -> tuple[str, ...]:
        """Lines on what a cluster cost; empty before its end, and where there is none."""
        return () if self._rented is None else self._rented.lines

    def describe(self) -> str:
        """Return where simulations run, for the header."""
        settings = self._settings
        if settings.stack or settings.url is not None:
            where = (
                f"in the cluster {settings.stack!r} in Amazon's cloud"
                if settings.url is None
                else f"on workers of the queue {settings.queue!r} at {redacted(settings.url)}"
            )
            lines = [f"simulations run {where}"]
            if settings.note:
                lines.append(f"oppcloud: {settings.note}")
            if not settings.attach and settings.detach is None:
                lines.append(
                    f"session {self.session}; should pytest be lost: pytest --oppcloud-attach {self.session} ..."
                )
            return "\n".join(lines)
        return f"simulations run through a private queue, {settings.slots} at a time"

    def attach(self) -> Attachment:
        """Find the session to go on with, and become the one that judges it, unless a worker of xdist.

        Raises `SettingsError` or `MachineryError`.
        """
        if role_of(self._config) is Role.WORKER:
            given = handed_over(self._config)
            queue = SharedQueue(connection=connect(given.url), key=given.key, url=given.url)
            self.attachment = join(queue, self.session)
        else:
            url, key = self._settings.url or "", self._settings.key
            if self._settings.stack:
                rented = self._rent()
                url, key = rented.url, rented.key
            queue = SharedQueue(connection=connect(url), key=key, url=url)
            self.attachment = attach(queue, self.session, self._token, self._notify)
        return self.attachment

    def open(self, *, all_results: bool) -> Dispatcher:
        """Start all that is needed, to be called once; raise `SettingsError` or `MachineryError`.

        With `all_results`, the result files of all runs are wanted, not of failed ones alone.
        """
        role = role_of(self._config)
        address = self._address(role, all_results=all_results)
        self.dispatcher = Dispatcher(address, owner=role is not Role.WORKER)
        self.dispatcher.start()
        return self.dispatcher

    def _address(self, role: Role, *, all_results: bool) -> QueueAddress:
        """Find, rent or start the queue; return where it is."""
        settings = self._settings
        common = QueueAddress(
            url="",
            queue=settings.queue,
            session=self.session,
            patience=settings.wait,
            priority=settings.priority,
            store=settings.store,
            all_results=all_results,
            judges=role is not Role.CONTROLLER,
        )
        if role is Role.WORKER:
            given = handed_over(self._config)
            address = replace(
                common,
                url=given.url,
                session=given.session,
                key=given.key,
                store=given.store,
                machines=given.machines,
                memory=given.memory,
            )
            return address if given.record is None else self._recorded(address, given.record, given.token)
        if settings.url is not None:
            address = replace(common, url=settings.url, key=settings.key)
            return self._recorded(address, self._record(settings.store), self._token)
        if settings.stack:
            return self._address_of_cluster(common)
        self._embedded = EmbeddedQueue(slots=settings.slots, queue=settings.queue)
        return replace(
            common,
            url=self._embedded.url,
            key=self._embedded.key,
            private=True,
            trouble=self._embedded.trouble,
        )

    def _recorded(self, address: QueueAddress, record: SessionRecord, token: str) -> QueueAddress:
        """Return the address of a session that people may come back to."""
        submitted = None if self.attachment is None else self.attachment.runs
        return replace(address, queue=record.queue, store=record.store, record=record, token=token, submitted=submitted)

    def _record(self, store: str) -> SessionRecord:
        """Return what people are told of the session: of before, or of this one, whose files are in `store`."""
        if self.attachment is not None:
            return self.attachment.record
        return new_record(self._config, replace(self._settings, store=store), self.session)

    def _rent(self) -> RentedQueue:
        """Wake the cluster, once, and find its queue; no worker comes yet."""
        # Here and not above: sessions without a cluster have no use for all that it needs.
        from .rented import ClusterWish, RentedQueue  # noqa: PLC0415

        if self._rented is None:
            settings = self._settings
            wish = ClusterWish(name=settings.stack, region=settings.region, max_cost=settings.max_cost)
            self._rented = RentedQueue(wish, notify=self._notify)
        return self._rented

    def _address_of_cluster(self, common: QueueAddress) -> QueueAddress:
        """Have workers in the cluster, as many as the session deserves; return where its queue is."""
        rented = self._rent()
        rented.begin(self.session, self._demand)
        address = replace(
            common,
            url=rented.url,
            key=rented.key,
            store=rented.store,
            objection=rented.objection,
            machines=rented.machines,
            memory=rented.memory,
        )
        return self._recorded(address, self._record(rented.store), self._token)

    def _demand(self) -> Demand:
        """Return what is left to be done; asked from another thread, also before there is a dispatcher."""
        dispatcher = self.dispatcher
        return Demand(runs=self.expected) if dispatcher is None else dispatcher.demand(self.expected)

    def close(self, *, leave: bool) -> None:
        """Cancel what is left, or `leave` it to the workers, and end what was started."""
        demand = self._demand()
        try:
            if self.dispatcher is not None:
                self.dispatcher.finish(leave=leave)
        finally:
            if self._embedded is not None:
                self._embedded.close()
            if self._rented is not None:
                self._give_back(self._rented, demand)

    def _give_back(self, rented: RentedQueue, demand: Demand) -> None:
        """Let the cluster go, or leave it what is to be done, where `demand` was what it was at the end."""
        dispatcher = self.dispatcher
        if dispatcher is not None and dispatcher.left and dispatcher.address.record is not None:
            rented.leave(of_runs(demand, dispatcher.unfinished), dispatcher.address.record.deadline)
        else:
            rented.close()
