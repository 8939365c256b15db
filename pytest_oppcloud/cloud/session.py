"""The cloud's part in a pytest session: what its hooks do, from the first file that is collected to the summary.

Where the queue is, `opening` knows; what this process is under xdist, `roles`.
The run loop is modelled on xdist's DSession: a plugin object that owns `pytest_runtestloop`, drains one source of
events, and leaves everything else to pytest.
"""

from __future__ import annotations

import contextlib
import difflib
import os
from typing import TYPE_CHECKING, Any

import pytest
from oppcloud_worker.store import ContentError

from pytest_oppcloud import asking
from pytest_oppcloud.errors import LocatedError, MachineryError, SettingsError
from pytest_oppcloud.items import SimulationItem, simulation_items
from pytest_oppcloud.queues.fetching import ResultsFolder, model_folder
from pytest_oppcloud.session import NOTES_KEY, PROJECTS_KEY

from .attaching import attach_command, where_of
from .campaign import Submission
from .display import start_display
from .executor import QueueExecutor
from .loop import run_loop
from .opening import SessionQueue
from .planning import plan, remember
from .roles import Role, hand_over, role_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from oppcloud_worker.messages import RunRequest

    from .dispatcher import Dispatcher
    from .display import Display
    from .settings import CloudSettings

#: Files, or runs, that are named where many stay behind.
_SHOWN = 5
#: What starts a worker.
_WORKER = "`python -m oppcloud_worker`"


class CloudSession:
    """The plugin that has the simulations of a session run through a queue."""

    def __init__(self, config: pytest.Config, settings: CloudSettings) -> None:
        """Prepare; nothing is started before it is known that there are simulations."""
        self._config = config
        self._settings = settings
        self._queue = SessionQueue(config, settings, self._notify)
        #: In a session that goes on with one of before: the items that came to their end now.
        self._judged: set[str] = set()
        self._display: Display | None = None
        self._ended = False
        #: By node id, as long as hooks may want to hear of them.
        self._items: dict[str, SimulationItem] = {}
        #: In a process of xdist: by node id, what is to be told of an item in its turn (slots, "" for submitted).
        self._news: dict[str, list[str]] = {}
        #: The item that this process has turned to.
        self._turned_to = ""
        config.stash[PROJECTS_KEY].buildable = True
        self._results = None if settings.results is None else ResultsFolder(settings.results)
        self._executor = QueueExecutor(
            description=self._queue.describe(),
            open_queue=self._open,
            notify=self._notify,
            heard=self._heard,
            results=self._results,
            followed=settings.followed,
        )

    @property
    def _role(self) -> Role:
        return role_of(self._config)

    def _notify(self, text: str) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(text, yellow=True)

    def _heard(self, name: str, slot: str) -> None:
        """Tell hooks that a run was submitted, or started on `slot`.

        Each process of xdist hears of all runs of the session, and tells of those that it is going to judge.
        """
        if self._role is Role.WORKER and name != self._turned_to:
            self._news.setdefault(name, []).append(slot)
        elif name in self._items:
            self._tell(self._items[name], slot)

    @staticmethod
    def _tell(item: SimulationItem, slot: str) -> None:
        if slot:
            asking.tell_started(item, slot)
        else:
            asking.tell_submitted(item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Tell hooks what was heard of a run before its turn came."""
        if isinstance(item, SimulationItem) and self._role is Role.WORKER:
            self._turned_to = item.nodeid
            for slot in self._news.pop(item.nodeid, ()):
                self._tell(item, slot)

    def _open(self) -> Dispatcher:
        """Start what the session needs of the queue, once; raise `SettingsError` or `MachineryError`."""
        dispatcher = self._queue.dispatcher
        if dispatcher is None:
            dispatcher = self._queue.open(all_results=self._all_results)
            self._display = start_display(self._config, dispatcher.board, self._settings)
        return dispatcher

    @property
    def _all_results(self) -> bool:
        """Whether the files of all runs are wanted: by people, or by a check of the project."""
        return self._settings.results is not None or any(map(asking.wants_files, self._items.values()))

    def _end(self, *, leave: bool = False) -> None:
        """Cancel what is left and end what was started, or `leave` it to the workers; may be called twice."""
        if self._ended:
            return
        self._ended = True
        try:
            if self._display is not None:
                self._display.stop()
            self._executor.close()
        finally:
            self._queue.close(leave=leave or self._has_unjudged())
        if self._queue.dispatcher is not None and self._role is not Role.WORKER:
            remember(self._config, self._queue.dispatcher.statistics.seen)

    def _has_unjudged(self) -> bool:
        """Tell whether the session was detached and has runs whose outcome nobody has been told."""
        attachment = self._queue.attachment
        return attachment is not None and attachment.record.detached and bool(attachment.names - self._judged)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Find the session to go on with, and the folder for results, before anything is collected."""
        if self._results is not None and self._role is not Role.WORKER:
            try:
                self._results.prepare()
            except SettingsError as error:
                raise pytest.UsageError(f"--oppcloud-results: {error}") from error
        if not self._settings.attach:
            return
        try:
            attachment = self._queue.attach()
            if self._role is not Role.WORKER:
                # From now on its place is kept.
                self._open()
        except (SettingsError, MachineryError) as error:
            raise pytest.UsageError(f"--oppcloud-attach: {error}") from error
        self._executor.description += f"\n{attachment.describe()}"

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a process of xdist where the queue is; the controller owns it."""
        try:
            address = self._open().address
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from error
        except MachineryError as error:
            pytest.exit(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR)
        hand_over(address, node.workerinput)

    def pytest_oppcloud_make_executor(self) -> QueueExecutor:
        """Return the executor of the queue."""
        return self._executor

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        """Refuse to judge by a session what it was not asked for, when it is known what is collected."""
        yield
        attachment = self._queue.attachment
        if attachment is None:
            return
        wanted = [item for item in items if isinstance(item, SimulationItem) and item.is_wanted]
        objection = attachment.objection(self._requests(wanted))
        if not objection:
            return
        if self._role is not Role.WORKER:
            raise pytest.UsageError(f"--oppcloud-attach: {objection}")
        # An xdist worker cannot raise it; with nothing to do it ends, and the controller says so.
        session.config.stash[NOTES_KEY].refusal = f"--oppcloud-attach: {objection}"
        items.clear()

    def _requests(self, items: Sequence[SimulationItem]) -> dict[str, RunRequest]:
        """Return what workers would be asked for, by node id; runs that cannot be sent tell why in their turn."""
        dispatcher = self._open()
        requests = {}
        for item in items:
            with contextlib.suppress(LocatedError, ContentError, OSError):
                requests[item.nodeid] = dispatcher.addressed(item.request, item.content)
        return requests

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Refuse to follow what is not there."""
        self._check_followed(ids)

    def _check_followed(self, names: Iterable[str]) -> None:
        """Raise `pytest.UsageError` if a run that is to be followed is not one of `names`."""
        names = set(names)
        for name in self._settings.followed:
            if name not in names:
                alike = difflib.get_close_matches(name, names, n=3)
                advice = f"there are: {', '.join(alike)}" if alike else "pytest --collect-only -q shows them"
                raise pytest.UsageError(f"--oppcloud-follow: no simulation of this session is {name!r}; {advice}")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Submit all simulations, in the order of the session, as soon as it is known which they are."""
        if self._role is Role.SINGLE:
            self._check_followed(item.nodeid for item in simulation_items(session))
        interrupted = session.testsfailed and not session.config.option.continue_on_collection_errors
        wanted = [] if interrupted else [item for item in simulation_items(session) if item.is_wanted]
        submissions = self._submissions(wanted)
        if not submissions:
            if self._settings.detach is not None and not interrupted:
                raise pytest.UsageError("--oppcloud-detach: there is no simulation to submit")
            return
        self._queue.expected = len(submissions)
        self._tell_what_stays_behind(submissions)
        try:
            self._executor.submit(submissions)
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from error
        except MachineryError as error:
            pytest.exit(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR)

    def _tell_what_stays_behind(self, submissions: Sequence[Submission]) -> None:
        """Tell which files git does not track that look as if they were needed."""
        contents = {id(item.content): item.content for item in submissions if item.content is not None}
        left = sorted({path for content in contents.values() for path in content.left_behind})
        if left:
            here = self._config.invocation_params.dir
            shown = ", ".join(os.path.relpath(path, here) for path in left[:_SHOWN])
            more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
            self._notify(f"oppcloud: left behind, as git does not track it: {shown}{more} (git add, or files.extra)")

    def _submissions(self, items: Sequence[SimulationItem]) -> list[Submission]:
        """Return what is to be sent; what cannot be is refused, and its item tells why when its turn comes."""
        submissions: dict[str, Submission] = {}
        items_by_id = {item.nodeid: item for item in items}
        for item in items:
            try:
                model = model_folder(item.ini_file.path.parent, self._config.rootpath)
                queue = self._queue_of(item)
                submission = Submission(request=item.request, content=item.content, model=model, queue=queue)
                submissions.setdefault(item.nodeid, submission)
                self._items[item.nodeid] = item
            except (LocatedError, OSError) as error:  # noqa: PERF203  # one item among many
                self._executor.refuse(item.nodeid, str(error))
        return plan(self._config, items_by_id, submissions)

    def _queue_of(self, item: SimulationItem) -> str:
        """Return where hooks want a run to go; a queue that comes with the session is the only one there."""
        return "" if self._settings.url is None else asking.queue_of(item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Judge simulations as they come back; leave the loop to others where that is theirs."""
        config = session.config
        if self._role is not Role.SINGLE or not simulation_items(session):
            return None
        if session.testsfailed and not config.option.continue_on_collection_errors:
            return None
        if self._settings.detach is not None:
            self._detach()
            return True
        if config.getoption("stepwise", default=False):
            # The next session goes on at the item that failed, and takes all before it for passed.
            return None
        others = self._other_owners()
        if others:
            self._notify(f"oppcloud: {' or '.join(others)} owns the run loop; simulations are judged in its order")
            return None
        try:
            run_loop(session, self._executor)
        finally:
            self._end()
        return True

    def _detach(self) -> None:
        """Leave the session to the workers when all is sent, or cancel it where something cannot be."""
        trouble = self._executor.wait_until_sent()
        if trouble:
            self._end()
            shown = [f"{name}: {why}" for name, why in list(trouble.items())[:_SHOWN]]
            more = [f"... and {len(trouble) - _SHOWN} more"] if len(trouble) > _SHOWN else []
            text = "\n".join([f"nothing was submitted, as {len(trouble)} runs cannot be sent", *shown, *more])
            pytest.exit(text, returncode=pytest.ExitCode.INTERNAL_ERROR)
        self._end(leave=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which items came to their end."""
        if self._queue.attachment is not None and report.when == "teardown":
            self._judged.add(report.nodeid)

    def _other_owners(self) -> list[str]:
        """Return the plugins other than pytest itself that implement the run loop.

        One that wraps it may also run the tests itself, and keep the others from it with the words of `--collect-only`,
        under which this session would not be there.
        """
        wrapped = self._config.option.collectonly
        return [
            implementation.plugin_name
            for implementation in self._config.pluginmanager.hook.pytest_runtestloop.get_hookimpls()
            if (wrapped or not (implementation.hookwrapper or implementation.wrapper))
            and implementation.plugin is not self
            and not implementation.function.__module__.startswith("_pytest.")
        ]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """End the queue wherever the loop was not ours."""
        self._end()

    def pytest_unconfigure(self) -> None:
        """End the queue where the session broke before its end."""
        self._end()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell what the queue did, if it did anything, and how to come back to what was left."""
        dispatcher = self._queue.dispatcher
        if dispatcher is None:
            return
        lines = [] if self._settings.detach else dispatcher.statistics.lines()
        lines += self._queue.cost
        if dispatcher.left:
            lines += self._left_lines(dispatcher)
        if lines and (dispatcher.left or self._config.get_verbosity() >= 0):
            terminalreporter.write_sep("=", "oppcloud")
            for line in lines:
                terminalreporter.write_line(line)

    def _left_lines(self, dispatcher: Dispatcher) -> list[str]:
        """Return what people need to know of a session that goes on without pytest."""
        attachment, session = self._queue.attachment, self._queue.session
        names = None if attachment is None else attachment.names - self._judged
        count = self._queue.expected if names is None else len(names)
        told = f"{count:,} run{'' if count == 1 else 's'}"
        lines = [
            f"{told} submitted as session {session}, none judged yet"
            if names is None
            else f"session {session} goes on without pytest: {told} not judged yet",
            f"judge them:  {attach_command(self._config.invocation_params.args, session, self._settings.stack)}",
            f"stop them:   oppcloud cancel {session}{where_of(self._settings)}",
        ]
        if not (self._settings.stack or dispatcher.statistics.workers):
            lines.append(f"no worker serves the queue {self._settings.queue!r} now: start one with {_WORKER}")
        return lines
