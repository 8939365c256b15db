"""The executor of a queue: outcomes as they come back, for whoever asks.

All work with Redis on the way there is the dispatcher's, in its own thread; this is the session's end. Only result
files are fetched here, when somebody wants them.
"""

from __future__ import annotations

import contextlib
import hashlib
import queue
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import redis
from oppcloud_worker.messages import Cause

from pytest_oppcloud.errors import MachineryError
from pytest_oppcloud.queues.fetching import fetch, note_left_out, too_large

from .campaign import Arrival, Order, Start, Submission

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from oppcloud_worker.messages import ResultFile, RunOutcome, RunRequest

    from pytest_oppcloud.queues.fetching import ResultsFolder

    from .dispatcher import Dispatcher

#: How often a wait looks up, so that Ctrl-C is heard on every system.
_HEARING = 1.0
#: What befalls runs before they are queued.
_NEVER_SIMULATED = frozenset({Cause.BUILD_FAILED, Cause.VERSION_MISMATCH})


def fixed_name(name: str) -> str:
    """Return what the run `name` is called in keys and in what is kept over sessions: 16 hexadecimal digits."""
    return hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:16]


class QueueExecutor:
    """Has simulations run on the workers of a queue."""

    announces = True

    def __init__(  # noqa: PLR0913  # all by name
        self,
        *,
        description: str,
        open_queue: Callable[[], Dispatcher],
        notify: Callable[[str], None],
        heard: Callable[[str, str], None] = lambda _name, _slot: None,
        results: ResultsFolder | None = None,
        followed: Collection[str] = (),
    ) -> None:
        """Prepare; `open_queue` is called when the first run is sent, `notify` to tell people something at once.

        `heard` is told the names of requests that were submitted (with the slot "") and started. The files of all runs
        go to `results`, if there is such a folder; what the requests named `followed` print is wanted as it comes.
        """
        self.description = description
        self._results = results
        self._followed = frozenset(followed)
        self._open_queue = open_queue
        self._notify = notify
        self._heard = heard
        #: By the name of the request: how often it was submitted, and how, for the next time.
        self._rounds: dict[str, int] = {}
        self._submissions: dict[str, Submission] = {}
        #: By the name of the request: why it cannot be sent.
        self._refused: dict[str, str] = {}
        #: Names of the requests by run, for runs that are under way, and these names.
        self._names: dict[str, str] = {}
        self._under_way: set[str] = set()
        #: Outcomes that nobody has asked for yet, by the name of the request, in the order of their arrival.
        self._arrived: dict[str, RunOutcome] = {}
        #: The runs whose outcomes were handed out, by the identity of their files, which stays where an outcome is
        #: copied; the files are kept so that their id stays their own.
        self._handed_out: dict[int, tuple[tuple[ResultFile, ...], str]] = {}
        self._runs: dict[str, str] = {}
        #: Folders with the files of runs, by the identity of these.
        self._folders: dict[int, Path] = {}

    @property
    def _dispatcher(self) -> Dispatcher:
        return self._open_queue()

    def submit(self, submissions: Sequence[Submission]) -> None:
        """Have runs sent, in this order; return at once."""
        orders = []
        for submission in submissions:
            name = submission.request.name
            self._rounds[name] = self._rounds.get(name, 0) + 1
            run = f"{fixed_name(name)}_{self._rounds[name]}"
            self._names[run] = name
            self._under_way.add(name)
            self._runs[name] = run
            self._submissions[name] = submission
            orders.append(
                Order(
                    run=run,
                    submission=submission,
                    again=self._rounds[name] > 1,
                    followed=name in self._followed,
                )
            )
        self._dispatcher.order(orders)
        for submission in submissions:
            self._heard(submission.request.name, "")

    def wait_until_sent(self) -> dict[str, str]:
        """Wait until all that was submitted lies in the queue; return what could not be sent, by name, and why."""
        while self._names and not self._dispatcher.all_sent:
            self._take_arrivals(_HEARING / 10)
        self._take_arrivals(0.0)
        # An outcome of no attempt was made here; most others are there for whoever attaches.
        lost = {
            name: outcome.message
            for name, outcome in self._arrived.items()
            if outcome.attempt == 0 or outcome.cause in _NEVER_SIMULATED
        }
        return {**self._refused, **lost}

    def refuse(self, name: str, why: str) -> None:
        """Note that the run `name` cannot be sent: whoever asks for its result hears why."""
        self._refused[name] = why

    def arrived(self, timeout: float | None = None) -> list[str]:
        """Return the names of requests whose outcomes wait to be asked for; wait for one if there are none yet."""
        self._take_arrivals(0.0)
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._arrived and self._names and (deadline is None or time.monotonic() < deadline):
            self._take_arrivals(_HEARING if deadline is None else max(0.0, min(_HEARING, deadline - time.monotonic())))
        return list(self._arrived)

    def is_under_way(self, name: str) -> bool:
        """Tell whether the run was submitted and nobody has its outcome yet."""
        return name in self._arrived or name in self._under_way

    def peek(self, name: str) -> RunOutcome | None:
        """Return an outcome that has arrived, without taking it."""
        return self._arrived.get(name)

    def result(self, request: RunRequest) -> RunOutcome:
        """Return the outcome of `request`, simulated anew if it was handed out before; block until there is one.

        Raise `MachineryError` if it cannot be sent, or if its files are wanted, and lost.
        """
        name = request.name
        if name in self._refused:
            raise MachineryError(f"the run cannot be sent: {self._refused[name]}")
        if not self.is_under_way(name):
            before = self._submissions.get(name, Submission(request=request, content=None))
            self.submit([replace(before, request=request)])
        while name not in self._arrived:
            self._take_arrivals(_HEARING)
        outcome = self._arrived.pop(name)
        run = self._runs[name]
        self._handed_out[id(outcome.files)] = outcome.files, run
        if self._results is not None:
            model = self._submissions[name].model
            store = self._dispatcher.results_of(run)
            self._results.fetch(outcome, store, model=model, config=request.config, name=name)
        return outcome

    def _take_arrivals(self, timeout: float) -> None:
        """Take what the dispatcher has, waiting for the first thing."""
        try:
            while True:
                item = (
                    self._dispatcher.arrivals.get(timeout=timeout)
                    if timeout
                    else self._dispatcher.arrivals.get_nowait()
                )
                timeout = 0.0
                if isinstance(item, Arrival):
                    name = self._names.pop(item.run, None)
                    if name is not None:
                        self._under_way.discard(name)
                        self._arrived[name] = item.outcome
                elif isinstance(item, Start):
                    if item.run in self._names:
                        self._heard(self._names[item.run], item.slot)
                else:
                    self._notify(item.text)
        except queue.Empty:
            return

    def files_of(self, outcome: RunOutcome) -> Path:
        """Fetch the files of the run to a temporary folder."""
        _, run = self._handed_out[id(outcome.files)]
        folder = self._folders[id(outcome.files)] = Path(tempfile.mkdtemp(prefix="oppcloud-"))
        left_out = fetch(outcome.files, self._dispatcher.results_of(run), lambda path: folder / path)
        if left_out:
            raise MachineryError(f"a check wants to see the files of the run, but {too_large(left_out)}")
        return folder

    def keep_files(self, outcome: RunOutcome, destination: Path) -> None:
        """Fetch the files of the run to `destination`; say there which were left out."""
        _, run = self._handed_out.get(id(outcome.files), ((), ""))
        left_out = fetch(outcome.files, self._dispatcher.results_of(run), lambda path: destination / path)
        note_left_out(left_out, destination)
        self.discard_files(outcome)

    def discard_files(self, outcome: RunOutcome) -> None:
        """Have the store forget the files of the run."""
        _, run = self._handed_out.pop(id(outcome.files), ((), ""))
        folder = self._folders.pop(id(outcome.files), None)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        address = self._dispatcher.address
        if address.store:
            # Each request costs time and money there; all go together at the end of the session.
            return
        if address.record is not None and address.record.deadline:
            # Whoever attaches once more wants them, too.
            return
        digests = self._dispatcher.take_result_files(run)
        if digests:
            # They go by themselves after an hour, if Redis cannot be reached now.
            with contextlib.suppress(redis.RedisError):
                self._dispatcher.results_of(run).remove(digests)

    def close(self) -> None:
        """Remove folders that are left; the session ends the dispatcher, which cleans up the rest."""
        while self._folders:
            shutil.rmtree(self._folders.popitem()[1], ignore_errors=True)
