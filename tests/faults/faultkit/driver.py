"""A client in a process of its own: `python -m faultkit.driver`, its orders as a line of JSON on standard input.

What it judges goes to a file, one line of JSON each, written as soon as it is known: so it is known also of a client
that was killed, and one that is started again, or attached to the session of the one before, goes on with what is
missing.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oppcloud_worker.remote.connection import connect
from oppcloud_worker.remote.sessions import SessionRecord
from oppcloud_worker.signing import ClusterKey

from pytest_oppcloud.cloud.attaching import Attachment, attach
from pytest_oppcloud.cloud.campaign import QueueAddress, Submission
from pytest_oppcloud.cloud.dispatcher import Dispatcher
from pytest_oppcloud.cloud.executor import QueueExecutor
from pytest_oppcloud.errors import MachineryError, SettingsError
from pytest_oppcloud.queues.sessions import SharedQueue

from .model import Tiny, content_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from oppcloud_worker.messages import RunOutcome, RunRequest

#: Seconds between two tries to find a session at a queue that is away.
_PAUSE = 0.2


def value_of(outcome: RunOutcome) -> str:
    """Return the one value that a tiny run records, "" for a run that recorded none."""
    return " ".join(value.value for value in outcome.values if value.kind == "scalar")


class Log:
    """The file of verdicts."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("a", encoding="utf-8", buffering=1)
        #: The session that the lines are of.
        self.session = ""

    def add(self, **fields: object) -> None:
        """Write a line."""
        self._stream.write(json.dumps({"time": time.time(), "session": self.session, **fields}) + "\n")


def attached(address: QueueAddress, session: str, log: Log) -> Attachment | None:
    """Return the session that is gone on with; None if nothing is left of it, as Redis forgot it or never knew it."""
    queue = SharedQueue(connection=connect(address.url), key=address.key, url=address.url)
    deadline = time.monotonic() + address.patience
    while True:
        try:
            return attach(queue, session, address.token, lambda text: log.add(notice=text))
        except SettingsError as error:  # noqa: PERF203  # the next time may be better
            log.add(notice=str(error))
            return None
        except MachineryError:
            # Whoever comes back tries again where the queue is away.
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)


def begun(address: QueueAddress, attachment: Attachment | None) -> QueueAddress:
    """Return the address of the session that goes on, or of one that begins."""
    if attachment is not None:
        record = attachment.record
        return replace(address, session=record.id, record=record, submitted=attachment.runs)
    record = SessionRecord(
        id=address.session,
        user="faults",
        host="client",
        started=time.time(),
        command="faultkit.driver",
        root="faults",
        queue=address.queue,
    )
    return replace(address, record=record)


def judge(executor: QueueExecutor, requests: Sequence[RunRequest], again: AbstractSet[str], log: Log) -> None:
    """Write down how each run came out, as it is known; those of `again` in lines of another kind."""
    by_name = {request.name: request for request in requests}
    while by_name:
        for name in executor.arrived():
            outcome = executor.result(by_name.pop(name))
            log.add(
                **{"again" if name in again else "run": name},
                cause=outcome.cause.name,
                value=value_of(outcome),
                attempt=outcome.attempt,
                message=outcome.message[:500],
                host=outcome.host,
                stdout=outcome.stdout[:200],
            )
            executor.discard_files(outcome)


def main() -> None:
    """Run a campaign."""
    orders: dict[str, Any] = json.loads(sys.stdin.readline())
    log = Log(Path(orders["log"]))
    address = QueueAddress(
        url=orders["url"],
        queue="oppcloud",
        session=orders["session"],
        patience=orders["patience"],
        key=ClusterKey.from_text(orders["key"]),
        token=secrets.token_hex(8),
    )
    attachment = attached(address, orders["attach"], log) if orders["attach"] else None
    address = begun(address, attachment)
    log.session = address.session
    log.add(began=True)
    dispatcher = Dispatcher(address, owner=True)
    executor = QueueExecutor(description="", open_queue=lambda: dispatcher, notify=lambda text: log.add(notice=text))
    dispatcher.start()
    content = content_in(Path(orders["content"])) if orders["content"] else None
    # A session that is attached to tells once more what became of its runs.
    known = set() if attachment is None else attachment.names
    runs, again = ([Tiny(**run) for run in orders[name]] for name in ("runs", "again"))
    again = [run for run in again if run.name in known]
    executions = Path(orders["executions"])
    requests = [run.request(shipped=content is not None, executions=executions) for run in (*runs, *again)]
    if attachment is not None:
        asked = [dispatcher.addressed(request, content) if content else request for request in requests]
        assert attachment.objection({request.name: request for request in asked}) == ""
    executor.submit([Submission(request=request, content=content) for request in requests])
    judge(executor, requests, {run.name for run in again}, log)
    if orders["linger"]:
        # Until whoever started it has seen enough.
        sys.stdin.read()
    executor.close()
    dispatcher.finish()
    log.add(statistics={"lost": dict(dispatcher.statistics.lost), "lines": dispatcher.statistics.lines()})


def orders_for(runs: list[Tiny], again: list[Tiny], **fields: object) -> str:
    """Return the orders as they are read above; `again`: runs that were judged before."""
    return json.dumps({**fields, "runs": list(map(asdict, runs)), "again": list(map(asdict, again))}) + "\n"


if __name__ == "__main__":
    main()
