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
from .fleet import Demand
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
        if settings.stack:
            return f"simulations run in the cluster {settings.stack!r} in Amazon's cloud"
        if settings.url is not None:
            lines = [f"simulations run on workers of the queue {settings.queue!r} at {redacted(settings.url)}"]
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
            url = self._settings.url or ""
            queue = SharedQueue(connection=connect(url), key=self._settings.key, url=url)
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
            address = replace(common, url=given.url, session=given.session, key=given.key, store=given.store)
            return address if given.record is None else self._recorded(address, given.record, given.token)
        if settings.url is not None:
            address = replace(common, url=settings.url, key=settings.key)
            before = self.attachment
            record = new_record(self._config, settings, self.session) if before is None else before.record
            return self._recorded(address, record, self._token)
        if settings.stack:
            return self._rent(common)
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

    def _rent(self, address: QueueAddress) -> QueueAddress:
        """Wake the cluster; return where its queue is."""
        # Here and not above: sessions without a cluster have no use for all that it needs.
        from .rented import ClusterWish, RentedQueue  # noqa: PLC0415

        settings = self._settings
        wish = ClusterWish(
            name=settings.stack, region=settings.region, session=self.session, max_cost=settings.max_cost
        )
        self._rented = RentedQueue(wish, demand=self._demand, notify=self._notify)
        return replace(
            address,
            url=self._rented.url,
            key=self._rented.key,
            store=self._rented.store,
            objection=self._rented.objection,
        )

    def _demand(self) -> Demand:
        """Return what is left to be done; asked from another thread, also before there is a dispatcher."""
        dispatcher = self.dispatcher
        return Demand(runs=self.expected) if dispatcher is None else dispatcher.demand(self.expected)

    def close(self, *, leave: bool) -> None:
        """Cancel what is left, or `leave` it to the workers, and end what was started."""
        try:
            if self.dispatcher is not None:
                self.dispatcher.finish(leave=leave)
        finally:
            if self._embedded is not None:
                self._embedded.close()
            if self._rented is not None:
                self._rented.close()
