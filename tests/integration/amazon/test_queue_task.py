"""The queue as its task starts it: the template's own command, on this machine, with a real server."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pytest_oppcloud.cloud.stack import certificates


def test_talks_to_those_it_knows(queue: Any) -> None:
    for user in ("client", "worker"):
        connection = redis.Redis.from_url(queue.url(user))
        assert connection.ping()
        connection.set(f"oppcloud:{user}", "x", ex=60)
        connection.xadd("oppcloud:stream", {"a": 1})
        assert connection.info("server")
    assert redis.Redis.from_url(queue.url()).xread({"oppcloud:stream": "0"})


def test_refuses_everybody_else(queue: Any, tmp_path: Path) -> None:
    at_once = Retry(NoBackoff(), 0)
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(queue.url(password="wrong"), retry=at_once).ping()  # noqa: S106  # nobody's
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=queue.port, ssl=True, ssl_ca_certs=str(queue.authority), retry=at_once).ping()
    with pytest.raises(redis.ConnectionError):
        redis.Redis(port=queue.port, retry=at_once).ping()
    other = tmp_path / "other.pem"
    other.write_text(certificates.make("default").authority)
    with pytest.raises(redis.ConnectionError, match=r"certificate verify failed"):
        redis.Redis.from_url(queue.url().replace(str(queue.authority), str(other)), retry=at_once).ping()
    # Amazon's and everybody's authorities, that is, but not ours.
    with pytest.raises(redis.ConnectionError, match=r"certificate verify failed"):
        redis.Redis(
            port=queue.port, ssl=True, username="client", password=queue.secrets["client/password"], retry=at_once
        ).ping()


FORBIDDEN = (
    "GET somebody",
    "PUBLISH somebody x",
    "KEYS *",
    "SCAN 0",
    "RANDOMKEY",
    "FLUSHALL",
    "FLUSHDB",
    "CONFIG GET *",
    "ACL LIST",
    "SHUTDOWN NOSAVE",
    "CLIENT KILL TYPE normal",
    "EVAL return{redis.call('FLUSHALL')} 0",
    "EVAL return{redis.call('GET','other')} 0",
    "SCRIPT FLUSH",
    "REPLICAOF somewhere 6379",
    "MODULE LIST",
    "MONITOR",
    "MIGRATE somewhere 6379 oppcloud:key 0 1000",
    "SWAPDB 0 1",
)


#: What only workers do: wait for a message, and end their own wait.
FORBIDDEN_FOR_CLIENTS = ("SUBSCRIBE rq:pubsub:x", "CLIENT LIST", "CLIENT UNBLOCK 1")


_REFUSED = re.compile(r"permission|user executing the script can't")


@pytest.mark.parametrize(("user", "forbidden"), [("client", FORBIDDEN + FORBIDDEN_FOR_CLIENTS), ("worker", FORBIDDEN)])
def test_nobody_may_do_more_than_is_needed(queue: Any, user: str, forbidden: tuple[str, ...]) -> None:
    connection = redis.Redis.from_url(queue.url(user))
    allowed = []
    for command in forbidden:
        try:
            answer: object = connection.execute_command(*command.split())  # type: ignore[no-untyped-call]  # redis-py's
        except redis.exceptions.ResponseError as error:
            # A script is bound by the same rules; how that is said depends on the server's version.
            if isinstance(error, redis.exceptions.NoPermissionError) or _REFUSED.search(str(error)):
                continue
            raise
        allowed.append((command, answer))
    assert allowed == []


@pytest.mark.parametrize("user", ["client", "worker"])
def test_scripts_may_no_more_than_who_sends_them(queue: Any, user: str) -> None:
    connection = redis.Redis.from_url(queue.url(user))
    for call in ("'KEYS', '*'", "'GET', 'somebody'", "'FLUSHALL'"):
        with pytest.raises(redis.ResponseError, match=r"The user executing the script|ACL failure"):
            connection.eval(f"return redis.call({call})", 0)


def test_forgets_nothing_when_it_is_killed(queue: Any) -> None:
    connection = redis.Redis.from_url(queue.url())
    connection.set("oppcloud:kept", "x")
    # Written to the file every second.
    deadline = time.monotonic() + 60
    while not any(b"oppcloud:kept" in file.read_bytes() for file in (queue.folder / "data").rglob("*.incr.aof")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    connection.close()
    (process,) = queue.processes
    process.kill()
    process.wait()
    queue.start()
    assert redis.Redis.from_url(queue.url()).get("oppcloud:kept") == b"x"


def test_secrets_are_for_the_server_alone(queue: Any) -> None:
    assert all(file.stat().st_mode & 0o077 == 0 for file in (queue.folder / "run").iterdir())
    (process,) = queue.processes
    environment = Path(f"/proc/{process.pid}/environ")
    if environment.exists():
        assert queue.secrets["client/password"].encode() not in environment.read_bytes()


def test_workers_find_it_by_their_own_task(queue: Any, worker: Any) -> None:
    connection = redis.Redis.from_url(queue.url())
    assert connection.smembers("oppcloud:slots:oppcloud")
    worker.process.terminate()
    assert worker.process.wait(60) == 0
    assert not connection.smembers("oppcloud:slots:oppcloud")
    assert "NOPERM" not in worker.log.read_text()
