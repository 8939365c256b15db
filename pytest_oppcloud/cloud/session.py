"""The cloud's part in a pytest session: who submits, who owns the queue, and the run loop.

The run loop is modelled on xdist's DSession: a plugin object that owns `pytest_runtestloop`, drains one source of
events, and leaves everything else to pytest.
"""

from __future__ import annotations

import enum
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from oppcloud_worker.address import redacted
from oppcloud_worker.signing import ClusterKey

from pytest_oppcloud.errors import LocatedError, MachineryError, SettingsError
from pytest_oppcloud.items import SimulationItem, simulation_items
from pytest_oppcloud.queues.fetching import ResultsFolder, model_folder

from .campaign import QueueAddress
from .dispatcher import Dispatcher
from .embedded import EmbeddedQueue
from .executor import QueueExecutor, Submission
from .loop import run_loop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .settings import CloudSettings

#: Name in `workerinput` of what a process of xdist must know.
_INPUT = "oppcloud"


class Role(enum.Enum):
    """What this process is in its session."""

    #: The only one.
    SINGLE = "single"
    #: The process that xdist distributes tests from; it collects nothing and owns the queue.
    CONTROLLER = "controller"
    #: A process of xdist that runs tests.
    WORKER = "worker"


class CloudSession:
    """The plugin that has the simulations of a session run through a queue."""

    def __init__(self, config: pytest.Config, settings: CloudSettings) -> None:
        """Prepare; nothing is started before it is known that there are simulations."""
        self._config = config
        self._settings = settings
        self._name = secrets.token_hex(6)
        self._embedded: EmbeddedQueue | None = None
        self._dispatcher: Dispatcher | None = None
        self._ended = False
        self._executor = QueueExecutor(
            description=self._description(),
            open_queue=self._open,
            notify=self._notify,
            results=None if settings.results is None else ResultsFolder(settings.results),
        )

    @property
    def _role(self) -> Role:
        if hasattr(self._config, "workerinput"):
            return Role.WORKER
        return Role.CONTROLLER if self._config.pluginmanager.has_plugin("dsession") else Role.SINGLE

    def _description(self) -> str:
        if self._settings.url is not None:
            where = (
                f"simulations run on workers of the queue {self._settings.queue!r} at {redacted(self._settings.url)}"
            )
            return f"{where}\noppcloud: {self._settings.note}" if self._settings.note else where
        return f"simulations run through a private queue, {self._settings.slots} at a time"

    def _notify(self, text: str) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(text, yellow=True)

    def _open(self) -> Dispatcher:
        """Start what the session needs of the queue, once; raise `SettingsError` or `MachineryError`."""
        if self._dispatcher is None:
            self._dispatcher = Dispatcher(self._address(), owner=self._role is not Role.WORKER)
            self._dispatcher.start()
        return self._dispatcher

    def _address(self) -> QueueAddress:
        settings = self._settings
        if self._role is Role.WORKER:
            given: dict[str, str] = self._config.workerinput[_INPUT]  # type: ignore[attr-defined]  # xdist's
            return QueueAddress(
                url=given["url"],
                queue=settings.queue,
                session=given["session"],
                patience=settings.wait,
                key=ClusterKey.from_text(given["key"]) if given["key"] else None,
                store=settings.store,
                all_results=settings.results is not None,
            )
        if settings.url is not None:
            return QueueAddress(
                url=settings.url,
                queue=settings.queue,
                session=self._name,
                patience=settings.wait,
                key=settings.key,
                store=settings.store,
                all_results=settings.results is not None,
            )
        self._embedded = EmbeddedQueue(slots=settings.slots, queue=settings.queue)
        return QueueAddress(
            url=self._embedded.url,
            queue=settings.queue,
            session=self._name,
            patience=settings.wait,
            private=True,
            key=self._embedded.key,
            store=settings.store,
            all_results=settings.results is not None,
            trouble=self._embedded.trouble,
        )

    def _end(self) -> None:
        """Cancel what is left and end what was started; may be called twice."""
        if self._ended:
            return
        self._ended = True
        try:
            self._executor.close()
            if self._dispatcher is not None:
                self._dispatcher.finish()
        finally:
            if self._embedded is not None:
                self._embedded.close()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a process of xdist where the queue is; the controller owns it."""
        try:
            address = self._open().address
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from error
        except MachineryError as error:
            pytest.exit(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR)
        key = "" if address.key is None else address.key.to_text()
        node.workerinput[_INPUT] = {"url": address.url, "session": address.session, "key": key}

    def pytest_oppcloud_make_executor(self) -> QueueExecutor:
        """Return the executor of the queue."""
        return self._executor

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Submit all simulations, in the order of the session, as soon as it is known which they are."""
        interrupted = session.testsfailed and not session.config.option.continue_on_collection_errors
        wanted = [] if interrupted else [item for item in simulation_items(session) if item.is_wanted]
        submissions = self._submissions(wanted)
        if not submissions:
            return
        try:
            self._executor.submit(submissions)
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from error

    def _submissions(self, items: Sequence[SimulationItem]) -> list[Submission]:
        """Return what is to be sent; what cannot be is refused, and its item tells why when its turn comes."""
        submissions: dict[str, Submission] = {}
        for item in items:
            try:
                model = model_folder(item.ini_file.path.parent, self._config.rootpath)
                submission = Submission(request=item.request, content=item.content, model=model)
                submissions.setdefault(item.nodeid, submission)
            except (LocatedError, OSError) as error:  # noqa: PERF203  # one item among many
                self._executor.refuse(item.nodeid, str(error))
        return list(submissions.values())

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Judge simulations as they come back; leave the loop to others where that is theirs."""
        config = session.config
        if self._role is not Role.SINGLE or config.option.collectonly or not simulation_items(session):
            return None
        if session.testsfailed and not config.option.continue_on_collection_errors:
            return None
        others = self._other_owners()
        if others:
            self._notify(f"oppcloud: {', '.join(others)} owns the run loop; simulations are judged in its order")
            return None
        try:
            run_loop(session, self._executor)
        finally:
            self._end()
        return True

    def _other_owners(self) -> list[str]:
        """Return the plugins other than pytest itself that implement the run loop."""
        manager = self._config.pluginmanager
        return [
            implementation.plugin_name
            for implementation in manager.hook.pytest_runtestloop.get_hookimpls()
            if not (implementation.hookwrapper or implementation.wrapper)
            and implementation.plugin is not self
            and implementation.plugin is not manager.get_plugin("main")
        ]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """End the queue wherever the loop was not ours."""
        self._end()

    def pytest_unconfigure(self) -> None:
        """End the queue where the session broke before its end."""
        self._end()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell what the queue did, if it did anything."""
        lines = [] if self._dispatcher is None else self._dispatcher.statistics.lines()
        if lines and self._config.get_verbosity() >= 0:
            terminalreporter.write_sep("=", "oppcloud")
            for line in lines:
                terminalreporter.write_line(line)
