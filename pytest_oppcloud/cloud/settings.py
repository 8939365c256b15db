"""The settings of the cloud part: options, and the one thing that is a secret, from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest
from oppcloud_worker.remote.connection import connect, redacted
from oppcloud_worker.remote.keys import DEFAULT_QUEUE
from oppcloud_worker.settings import URL_VARIABLE, available_cores

from .stack.names import NAME_VARIABLE

#: Seconds to wait for a worker to appear, and for a lost Redis to come back.
DEFAULT_WAIT = 60.0
#: The same for a cluster, where the worker's machine has to appear first.
DEFAULT_CLUSTER_WAIT = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSettings:
    """Where simulations run."""

    #: None: a private server, or a cluster's.
    url: str | None
    #: Name of the cluster in Amazon's cloud; "" for none.
    stack: str
    #: USD that the session may cost there; None for no limit.
    max_cost: float | None
    queue: str
    #: Slots of the private worker.
    slots: int
    wait: float


def read_settings(config: pytest.Config) -> CloudSettings:
    """Return the settings; raise `pytest.UsageError` for what cannot be."""
    workers = config.getoption("oppcloud_workers")
    if workers is not None and workers < 1:
        raise pytest.UsageError(f"--oppcloud-workers: at least 1 was expected, found {workers}")
    stack, max_cost = _read_cluster(config)
    wait = config.getoption("oppcloud_wait")
    if wait is None:
        wait = DEFAULT_CLUSTER_WAIT if stack else DEFAULT_WAIT
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
    if stack and (url is not None or workers is not None):
        other = "--oppcloud-workers" if url is None else URL_VARIABLE
        raise pytest.UsageError(f"the cluster {stack!r} has a queue with workers of its own, but there is {other}, too")
    queue = config.getoption("oppcloud_queue") or DEFAULT_QUEUE
    return CloudSettings(
        url=url, stack=stack, max_cost=max_cost, queue=queue, slots=workers or available_cores(), wait=wait
    )


def _read_cluster(config: pytest.Config) -> tuple[str, float | None]:
    """Return the name of the cluster, and what the session may cost there."""
    stack = config.getoption("oppcloud_stack") or os.environ.get(NAME_VARIABLE, "")
    max_cost: float | None = config.getoption("oppcloud_max_cost")
    if max_cost is not None and not stack:
        raise pytest.UsageError("--oppcloud-max-cost is for clusters: name one with --oppcloud-stack")
    if max_cost is not None and not max_cost > 0:
        raise pytest.UsageError(f"--oppcloud-max-cost: more than 0 was expected, found {max_cost:g}")
    return stack, max_cost
