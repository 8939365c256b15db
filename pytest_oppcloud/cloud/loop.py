"""The run loop: ordinary tests in pytest's order while the cloud works, simulations as they come back.

An item is run with pytest's own protocol and nothing else, so that all that hangs on it works as always.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oppcloud_worker.messages import Verdict

from pytest_oppcloud.items import SimulationItem
from pytest_oppcloud.judging import Result, judge
from pytest_oppcloud.settings import SETTINGS_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from .executor import QueueExecutor


def run_loop(session: pytest.Session, executor: QueueExecutor) -> None:
    """Run all items of the session; raise `session.Failed` or `session.Interrupted` as pytest's own loop does."""
    Loop(session, executor).run()


class Loop:
    """One pass over the items of a session."""

    def __init__(self, session: pytest.Session, executor: QueueExecutor) -> None:
        self._session = session
        self._executor = executor
        #: Simulations that are under way, by node id; equal ones share their outcome.
        self._waiting: dict[str, list[SimulationItem]] = {}
        self._others: list[pytest.Item] = []
        #: Simulations that have arrived, and are known not to fail.
        self._harmless: set[str] = set()
        for item in session.items:
            if isinstance(item, SimulationItem) and executor.is_under_way(item.nodeid):
                self._waiting.setdefault(item.nodeid, []).append(item)
            else:
                self._others.append(item)

    def run(self) -> None:
        """Run the others in their order, then wait for simulations."""
        maxfail = bool(self._session.config.getvalue("maxfail"))
        for index, item in enumerate(self._others):
            following = self._others[index + 1] if index + 1 < len(self._others) else None
            self._run(item, following)
            if maxfail and following is not None:
                self._look_at_arrivals(item, following)
        while self._waiting:
            for name in self._executor.arrived():
                for item in self._waiting.pop(name, []):
                    # Which item comes next is not known, and simulations have no fixtures to keep for it.
                    self._run(item, None)

    def _run(self, item: pytest.Item, following: pytest.Item | None) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if self._session.shouldfail:
            raise self._session.Failed(self._session.shouldfail)
        if self._session.shouldstop:
            raise self._session.Interrupted(self._session.shouldstop)

    def _look_at_arrivals(self, previous: pytest.Item, following: pytest.Item) -> None:
        """Under `-x` and `--maxfail`, judge what has arrived between two ordinary tests.

        Where what both share of modules, packages and classes is shared by the simulation, too, it is judged at once:
        fixtures stay as they are. Elsewhere only what must fail is judged, and what is set up is torn down before.
        """
        arrived = [item for name in self._executor.arrived(timeout=0) for item in self._waiting.get(name, [])]
        kept = set(previous.listchain()) & set(following.listchain())
        harmless = [item for item in arrived if kept <= set(item.listchain())]
        self._judge(harmless, following)
        failing = [item for item in arrived if item not in harmless and self._must_fail(item)]
        if failing:
            self._session._setupstate.teardown_exact(None)  # noqa: SLF001  # as pytest's own runner does at the end
            self._judge(failing, None)

    def _judge(self, items: Sequence[SimulationItem], following: pytest.Item | None) -> None:
        for index, item in enumerate(items):
            self._waiting.pop(item.nodeid, None)
            self._run(item, items[index + 1] if index + 1 < len(items) else following)

    def _must_fail(self, item: SimulationItem) -> bool:
        """Tell whether it is certain that an item that has arrived counts as failed."""
        outcome = self._executor.peek(item.nodeid)
        if outcome is None or item.nodeid in self._harmless or any(True for _ in item.iter_markers("xfail")):
            return False
        fails = outcome.cause.verdict in {Verdict.FAILED, Verdict.ERROR}
        if outcome.cause.verdict is Verdict.PASSED and not item.config.stash[SETTINGS_KEY].update.value:
            fails = judge(outcome, item.expectation(), None).result is Result.FAILED
        if not fails:
            self._harmless.add(item.nodeid)
        return fails
