"""The settings of the cloud part: options, and the one thing that is a secret, from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest
from oppcloud_worker.remote.connection import connect, redacted
from oppcloud_worker.remote.keys import DEFAULT_QUEUE
from oppcloud_worker.settings import URL_VARIABLE, available_cores

#: Seconds to wait for a worker to appear, and for a lost Redis to come back.
DEFAULT_WAIT = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSettings:
    """Where simulations run."""

    #: None: a private server.
    url: str | None
    queue: str
    #: Slots of the private worker.
    slots: int
    wait: float


def read_settings(config: pytest.Config) -> CloudSettings:
    """Return the settings; raise `pytest.UsageError` for what cannot be."""
    workers = config.getoption("oppcloud_workers")
    if workers is not None and workers < 1:
        raise pytest.UsageError(f"--oppcloud-workers: at least 1 was expected, found {workers}")
    wait = config.getoption("oppcloud_wait")
    if wait is None:
        wait = DEFAULT_WAIT
    if wait <= 0:
        raise pytest.UsageError(f"--oppcloud-wait: more than 0 seconds were expected, found {wait:g}")
    url = os.environ.get(URL_VARIABLE) or None
    if url is not None:
        try:
            connect(url)
        except ValueError as error:
            raise pytest.UsageError(
                f"{URL_VARIABLE}: {redacted(url)!r} is no URL of a Redis server: {error}"
            ) from error
        if workers is not None:
            raise pytest.UsageError(
                f"--oppcloud-workers is for the private worker, but {URL_VARIABLE} names a queue that has workers"
            )
    queue = config.getoption("oppcloud_queue") or DEFAULT_QUEUE
    return CloudSettings(url=url, queue=queue, slots=workers or available_cores(), wait=wait)
