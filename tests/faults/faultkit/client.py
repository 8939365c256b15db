"""Clients, and what they judged."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from oppcloud_worker.remote import keys
from oppcloud_worker.remote.events import Event
from oppcloud_worker.wire import decode

from .driver import orders_for
from .machines import RedisServer, injected
from .processes import Processes, eventually

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from oppcloud_worker.signing import ClusterKey

    from .model import Tiny


#: How many of the runs that were judged last a client that is attached asks for once more.
_AGAIN = 20


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a client was told of a run."""

    run: str
    session: str
    cause: str
    value: str
    attempt: int
    message: str
    host: str
    stdout: str


def _verdict(line: Mapping[str, Any]) -> Verdict:
    return Verdict(**{name: line[name] for name in Verdict.__dataclass_fields__})


@dataclass
class Client:
    """A campaign of tiny runs, and the process that drives it.

    It may be killed and started again, in a new session, or attached to the session of the one before.
    """

    processes: Processes
    folder: Path
    url: str
    key: ClusterKey
    runs: Sequence[Tiny]
    #: Folder with the content, None where the script stands in the command line.
    content: Path | None = None
    patience: float = 60.0
    changes: tuple[str, ...] = ()
    #: Whether it stays after the last verdict until it is told to end.
    linger: bool = False
    process: subprocess.Popen[str] | None = None

    @property
    def executions_file(self) -> Path:
        """Where each execution leaves a line."""
        return self.folder / "executions"

    @property
    def session(self) -> str:
        """The session that its process is in; "" before the first one has begun."""
        begun = [line["session"] for line in self._lines() if "began" in line]
        return str(begun[-1]) if begun else ""

    def start(self) -> None:
        """Start with the runs that nobody has judged yet, in a session of its own."""
        self._start(attach="")

    def attach(self) -> None:
        """Start in the session of the one that was killed, or in another if nothing is left of that."""
        self._start(attach=self.session)

    def _start(self, *, attach: str) -> None:
        judged = {verdict.run: None for verdict in self.verdicts()}
        runs = {run.name: run for run in self.runs}
        with (self.folder / "client.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "faultkit.driver"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                env=self.processes.environment(**injected(*self.changes)),
            )
        orders = orders_for(
            [run for run in self.runs if run.name not in judged],
            [runs[name] for name in list(judged)[-_AGAIN:]] if attach else [],
            url=self.url,
            key=self.key.to_text(),
            session=uuid.uuid4().hex[:12],
            attach=attach,
            patience=self.patience,
            content="" if self.content is None else str(self.content),
            executions=str(self.executions_file),
            log=str(self.folder / "verdicts"),
            linger=self.linger,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(orders)
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it without a chance to clean up."""
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def end(self) -> None:
        """End it if it still runs."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def finish(self, seconds: float = 180) -> None:
        """Wait until it has judged all runs and cleaned up."""
        assert self.process is not None
        try:
            # Closes standard input: a client that lingers does so no more.
            self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            missing = sorted({run.name for run in self.runs} - {verdict.run for verdict in self.verdicts()})
            pytest.fail(
                f"no verdict within {seconds:g} s for {len(missing)} runs: {missing[:10]}; {self.log()[-2000:]}"
            )
        assert self.process.returncode == 0, self.log()

    def has_ended(self) -> bool:
        """Tell whether its process has ended."""
        assert self.process is not None
        return self.process.poll() is not None

    def finished(self, seconds: float) -> bool:
        """Tell whether it has ended by itself after `seconds` at most."""
        assert self.process is not None
        try:
            self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return self.process.returncode == 0

    def log(self) -> str:
        """Return what it has said."""
        return (self.folder / "client.log").read_text()

    def _lines(self) -> list[dict[str, Any]]:
        path = self.folder / "verdicts"
        if not path.exists():
            return []
        # One that was killed may have left half a line.
        text = path.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def verdicts(self) -> list[Verdict]:
        """Return all verdicts so far."""
        return [_verdict(line) for line in self._lines() if "run" in line]

    def repeated(self) -> list[Verdict]:
        """Return what was told once more of runs that had been judged, by sessions that were attached to."""
        return [_verdict({**line, "run": line["again"]}) for line in self._lines() if "again" in line]

    def verdict(self, run: str, seconds: float = 60) -> Verdict:
        """Wait for the verdict on a run."""
        eventually(lambda: any(verdict.run == run for verdict in self.verdicts()), seconds, f"a verdict on {run}")
        return next(verdict for verdict in self.verdicts() if verdict.run == run)

    def notices(self) -> list[str]:
        """Return what people were told meanwhile."""
        return [line["notice"] for line in self._lines() if "notice" in line]

    def statistics(self) -> dict[str, Any]:
        """Return the counts of the summary, of a client that has finished."""
        found: dict[str, Any] = next(line["statistics"] for line in self._lines() if "statistics" in line)
        return found

    def executions(self) -> Counter[str]:
        """Return how often each run was executed."""
        path = self.executions_file
        return Counter(path.read_text().split()) if path.exists() else Counter()

    def events(self, server: RedisServer) -> list[Event]:
        """Return what the session was told so far."""
        stream: Any = server.connection.xrange(keys.events(self.session))
        return [decode(Event, json.loads(fields[b"event"])) for _, fields in stream]

    def has_judged(self, count: int) -> bool:
        """Tell whether there are so many verdicts."""
        return len(self.verdicts()) >= count

    def has_executed(self, executions: dict[str, int]) -> bool:
        """Tell whether runs were executed as often as told."""
        return self.executions() == executions

    def times(self, server: RedisServer, kind: str) -> list[float]:
        """Return when events of a kind came, in seconds since 1970 by the clock of Redis."""
        stream: Any = server.connection.xrange(keys.events(self.session))
        return [
            int(number.partition(b"-")[0]) / 1000
            for number, fields in stream
            if json.loads(fields[b"event"])["kind"] == kind
        ]

    def judged_wrong(self) -> list[str]:
        """Return what is wrong with the verdicts: those missing, those that came twice, those that are not right."""
        counted = Counter(verdict.run for verdict in self.verdicts())
        wrong = [f"{run.name}: no verdict" for run in self.runs if not counted[run.name]]
        wrong += [f"{name}: {count} verdicts" for name, count in counted.items() if count > 1]
        values = {run.name: run.value for run in self.runs}
        wrong += [
            f"{verdict.run}: {verdict.cause} with {verdict.value!r} instead of {values[verdict.run]!r}: "
            f"{verdict.message}"
            for verdict in (*self.verdicts(), *self.repeated())
            if (verdict.cause, verdict.value) != ("COMPLETED", values[verdict.run])
        ]
        return wrong
