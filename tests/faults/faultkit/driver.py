"""A client in a process of its own: `python -m faultkit.driver`, its orders as a line of JSON on standard input.

What it judges goes to a file, one line of JSON each, written as soon as it is known: so it is known also of a client
that was killed, and one that is started again goes on with what is missing.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oppcloud_worker.signing import ClusterKey

from pytest_oppcloud.cloud.campaign import QueueAddress
from pytest_oppcloud.cloud.dispatcher import Dispatcher
from pytest_oppcloud.cloud.executor import QueueExecutor, Submission

from .model import Tiny, content_in

if TYPE_CHECKING:
    from oppcloud_worker.messages import RunOutcome


def value_of(outcome: RunOutcome) -> str:
    """Return the one value that a tiny run records, "" for a run that recorded none."""
    return " ".join(value.value for value in outcome.values if value.kind == "scalar")


class Log:
    """The file of verdicts."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("a", encoding="utf-8", buffering=1)

    def add(self, **fields: object) -> None:
        """Write a line."""
        self._stream.write(json.dumps({"time": time.time(), **fields}) + "\n")


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
    )
    dispatcher = Dispatcher(address, owner=True)
    executor = QueueExecutor(
        description="", open_queue=lambda: dispatcher, notify=lambda text: log.add(notice=text, session=address.session)
    )
    dispatcher.start()
    content = content_in(Path(orders["content"])) if orders["content"] else None
    requests = [
        Tiny(**run).request(shipped=content is not None, executions=Path(orders["executions"]))
        for run in orders["runs"]
    ]
    by_name = {request.name: request for request in requests}
    executor.submit([Submission(request=request, content=content) for request in requests])
    while by_name:
        for name in executor.arrived():
            outcome = executor.result(by_name.pop(name))
            log.add(
                run=name,
                session=address.session,
                cause=outcome.cause.name,
                value=value_of(outcome),
                attempt=outcome.attempt,
                message=outcome.message[:500],
                host=outcome.host,
                stdout=outcome.stdout[:200],
            )
            executor.discard_files(outcome)
    if orders["linger"]:
        # Until whoever started it has seen enough.
        sys.stdin.read()
    executor.close()
    dispatcher.finish()
    log.add(statistics={"lost": dict(dispatcher.statistics.lost), "lines": dispatcher.statistics.lines()})


def orders_for(runs: list[Tiny], **fields: object) -> str:
    """Return the orders as they are read above."""
    return json.dumps({**fields, "runs": [asdict(run) for run in runs]}) + "\n"


if __name__ == "__main__":
    main()
