"""The settings of the cloud part: options, and the one thing that is a secret, from the environment."""

from __future__ import annotations

import importlib.util
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from oppcloud_worker.address import AddressError, check, redacted, redis_url
from oppcloud_worker.remote.connection import connect
from oppcloud_worker.remote.keys import CONTENT, DEFAULT_QUEUE
from oppcloud_worker.remote.stores import STORE_VARIABLE, check_store
from oppcloud_worker.settings import URL_VARIABLE, available_cores
from oppcloud_worker.signing import ClusterKey, KeyUnusableError, read_key
from oppcloud_worker.store import ContentError
from oppcloud_worker.ticket import HIGHEST

from pytest_oppcloud.project import seconds

from .stack.names import NAME_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Seconds to wait for a worker to appear, and for a lost Redis to come back.
DEFAULT_WAIT = 60.0
#: Seconds that a detached session is served, and the most that can be asked for: content is kept no longer.
DEFAULT_DEADLINE = 24 * 3600.0
LONGEST_DEADLINE = float(CONTENT)
#: The same for a cluster, where the worker's machine has to appear first.
DEFAULT_CLUSTER_WAIT = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSettings:
    """Where simulations run."""

    #: With password and CA file; None: a private server, or a cluster's.
    url: str | None = field(repr=False)
    #: What requests are signed with; a private server has a key of its own, and so has a cluster.
    key: ClusterKey | None
    #: What people should know about how safe the queue is, "" if there is nothing.
    note: str
    #: Name of the cluster in Amazon's cloud; "" for none.
    stack: str
    #: Where it is; "" for the region that Amazon's own settings name.
    region: str
    #: USD that the session may cost there; None for no limit.
    max_cost: float | None
    queue: str
    #: Slots of the private worker.
    slots: int
    wait: float
    #: Sessions with a higher one are served first.
    priority: int
    #: Where content and result files lie: "" for Redis, or "s3://bucket/prefix".
    store: str
    #: Id of the session to go on with, "" for a new one.
    attach: str
    #: Seconds that a new session is served without pytest; None: it is not to be detached.
    detach: float | None
    #: Where the result files of all runs go; None: only those of failed runs are kept, where failures are.
    results: Path | None
    #: "auto", "live", "lines" or "off"; and seconds between two lines.
    progress: str
    heartbeat: float
    #: Node ids of the runs whose console output is shown as it comes.
    followed: tuple[str, ...]


def read_settings(config: pytest.Config) -> CloudSettings:
    """Return the settings; raise `pytest.UsageError` for what cannot be."""
    workers = config.getoption("oppcloud_workers")
    if workers is not None and workers < 1:
        raise pytest.UsageError(f"--oppcloud-workers: at least 1 was expected, found {workers}")
    stack, max_cost = _read_cluster(config)
    wait = config.getoption("oppcloud_wait")
    if wait is None:
        wait = DEFAULT_CLUSTER_WAIT if stack else DEFAULT_WAIT
    # Nothing is ever later than nan: a session that lost its queue would not end.
    if not 0 < wait < threading.TIMEOUT_MAX:
        raise pytest.UsageError(f"--oppcloud-wait: more than 0 seconds were expected, found {wait:g}")
    try:
        url, key, note = _queue()
    except AddressError as error:
        raise pytest.UsageError(f"{URL_VARIABLE}: {error}") from error
    except KeyUnusableError as error:
        raise pytest.UsageError(f"--oppcloud: {error}") from error
    if url is not None:
        try:
            connect(url)
        except (ValueError, TypeError):
            # What is wrong with it is not told in full: it may be a part of the password.
            raise pytest.UsageError(f"{URL_VARIABLE}: {redacted(url)!r} is no URL of a Redis server") from None
        if workers is not None:
            raise pytest.UsageError(
                f"--oppcloud-workers is for the private worker, but {URL_VARIABLE} names a queue that has workers"
            )
    store = _store()
    if stack:
        _check_alone(stack, {URL_VARIABLE: url, "--oppcloud-workers": workers, STORE_VARIABLE: store or None})
    attach, detach = _detaching(config, shared=url is not None or bool(stack))
    queue = config.getoption("oppcloud_queue") or DEFAULT_QUEUE
    results = config.getoption("oppcloud_results")
    return CloudSettings(
        url=url,
        key=key,
        note=note,
        stack=stack,
        region=config.getoption("oppcloud_region") or "",
        max_cost=max_cost,
        queue=queue,
        slots=workers or available_cores(),
        wait=wait,
        priority=_priority(config),
        store=store,
        attach=attach,
        detach=detach,
        results=None if results is None else config.invocation_params.dir / results,
        progress=config.getoption("oppcloud_progress"),
        heartbeat=_heartbeat(config),
        followed=tuple(dict.fromkeys(config.getoption("oppcloud_follow"))),
    )


def _detaching(config: pytest.Config, *, shared: bool) -> tuple[str, float | None]:
    """Return the session to attach to, and how long one that is detached is served; raise `pytest.UsageError`."""
    attach: str = config.getoption("oppcloud_attach") or ""
    if not attach and config.getoption("oppcloud_attach") is not None:
        raise pytest.UsageError("--oppcloud-attach: the id of a session was expected, found ''")
    detach = bool(config.getoption("oppcloud_detach"))
    deadline = config.getoption("oppcloud_deadline")
    if not (attach or detach):
        return "", None
    option = "--oppcloud-attach" if attach else "--oppcloud-detach"
    if attach and detach:
        raise pytest.UsageError("--oppcloud-attach and --oppcloud-detach exclude each other")
    if not shared:
        raise pytest.UsageError(
            f"{option} needs a queue that is there without pytest: set {URL_VARIABLE}, or name a cluster with "
            "--oppcloud-stack (a private one ends with pytest)"
        )
    if attach:
        return attach, None
    if config.getoption("dist", "no") != "no":
        raise pytest.UsageError(
            "--oppcloud-detach runs nothing here that -n could distribute: leave it out, or say -n 0"
        )
    lasting = DEFAULT_DEADLINE if deadline is None else seconds(deadline)
    if not 60 <= lasting <= LONGEST_DEADLINE:
        raise pytest.UsageError(
            f"--oppcloud-deadline: from 1min to {LONGEST_DEADLINE // 86400:g} days were expected, found {deadline}"
        )
    return "", lasting


def _heartbeat(config: pytest.Config) -> float:
    heartbeat: float = config.getoption("oppcloud_heartbeat")
    if not 0 < heartbeat < threading.TIMEOUT_MAX:
        raise pytest.UsageError(f"--oppcloud-heartbeat: more than 0 seconds were expected, found {heartbeat:g}")
    return heartbeat


def _priority(config: pytest.Config) -> int:
    priority: int = config.getoption("oppcloud_priority") or 0
    if abs(priority) > HIGHEST:
        raise pytest.UsageError(f"--oppcloud-priority: -{HIGHEST} to {HIGHEST} was expected, found {priority}")
    return priority


def _store() -> str:
    """Return the URL of the store, "" for Redis; raise `pytest.UsageError` for one that cannot be used."""
    url = os.environ.get(STORE_VARIABLE, "")
    try:
        check_store(url)
    except ContentError as error:
        raise pytest.UsageError(f"{STORE_VARIABLE}: {error}") from error
    if url and importlib.util.find_spec("boto3") is None:
        raise pytest.UsageError(f"{STORE_VARIABLE}: a store in S3 needs boto3: pip install 'pytest-oppcloud[s3]'")
    return url


def _queue() -> tuple[str | None, ClusterKey | None, str]:
    """Return the URL of the queue, the key for it, and a note; raise `AddressError` or `KeyUnusableError`."""
    url = redis_url(os.environ)
    if url is None:
        return None, None, ""
    key = read_key(os.environ)
    return url, key, check(url, signed=key is not None, environment=os.environ)


def _read_cluster(config: pytest.Config) -> tuple[str, float | None]:
    """Return the name of the cluster, and what the session may cost there."""
    stack = config.getoption("oppcloud_stack") or os.environ.get(NAME_VARIABLE, "")
    max_cost: float | None = config.getoption("oppcloud_max_cost")
    for option, given in (
        ("--oppcloud-max-cost", max_cost),
        ("--oppcloud-region", config.getoption("oppcloud_region")),
    ):
        if given is not None and not stack:
            raise pytest.UsageError(f"{option} is for clusters: name one with --oppcloud-stack")
    if max_cost is not None and not max_cost > 0:
        raise pytest.UsageError(f"--oppcloud-max-cost: more than 0 was expected, found {max_cost:g}")
    return stack, max_cost


def _check_alone(stack: str, others: Mapping[str, object]) -> None:
    """Raise `pytest.UsageError` if something was given that a cluster brings itself."""
    for name, given in others.items():
        if given is not None:
            raise pytest.UsageError(
                f"the cluster {stack!r} has a queue, workers and a store of its own, but there is {name}, too"
            )
