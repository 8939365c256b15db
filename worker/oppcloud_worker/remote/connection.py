"""How both ends reach Redis."""

from __future__ import annotations

import inspect
import re
import time

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from oppcloud_worker.address import AddressError, parse
from oppcloud_worker.settings import URL_VARIABLE

#: Errors after which the same command may succeed a moment later.
_CUT = (redis.ConnectionError, redis.TimeoutError)
#: The same from a server that answers, and takes nothing for the time being: it is full, or another one takes over.
_REFUSED = (redis.OutOfMemoryError, redis.ReadOnlyError, redis.exceptions.ClusterDownError)
#: Errors that are bridged by those who have the time.
LOST = (*_CUT, *_REFUSED)

#: What redis-py says before the error of a command that it sent together with others.
_BEFORE = re.compile(r"^Command # \d+ \(.*?\) of pipeline caused error: ", re.DOTALL)

#: Seconds between two tries, growing from the first to the second figure.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0

#: Seconds to wait for a connection, and for the answer to a command that does not block.
_CONNECT_TIMEOUT, _ANSWER_TIMEOUT = 5, 10


def connect(url: str, *, retries: int = 3, name: str | None = None) -> redis.Redis:
    """Return a client for `url`; nothing is sent yet. Raise `ValueError` where the URL cannot be understood.

    `retries` bounds how often a command is tried again after the connection was lost; the pauses between grow to two
    seconds, so that 30 of them bridge about a minute. `name` is what Redis calls its connections.
    """
    parse(url)
    options: dict[str, object] = {}
    if url.startswith("rediss:"):
        # What newer versions of redis-py do by themselves.
        options = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    # Redis would be told the version of redis-py: one command more that the ACL would have to allow, and older
    # servers do not know.
    if "driver_info" in inspect.signature(redis.connection.AbstractConnection.__init__).parameters:
        options["driver_info"] = None
    else:
        options |= {"lib_name": None, "lib_version": None}
    try:
        return _client(url, retries, name, options)
    except ValueError:
        # What redis-py says may quote a piece of the password.
        raise AddressError from None


def _client(url: str, retries: int, name: str | None, options: dict[str, object]) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=_CONNECT_TIMEOUT,
        socket_timeout=_ANSWER_TIMEOUT,
        retry=Retry(ExponentialBackoff(cap=_LONGEST_PAUSE, base=_FIRST_PAUSE), retries),
        retry_on_error=[*_CUT, redis.BusyLoadingError],
        health_check_interval=30,
        client_name=name,
        **options,
    )


def reach(url: str, seconds: float) -> None:
    """Wait until the server at `url` answers, so many seconds at most; raise the redis error that it ends with.

    A password that it refuses shows at once: redis-py would try it again like a lost connection, in two loops at that.
    """
    client = connect(url, retries=0)
    deadline = time.monotonic() + seconds
    while True:
        try:
            client.ping()
        except redis.AuthenticationError:  # noqa: PERF203  # the next time may be better
            raise
        except LOST:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_FIRST_PAUSE)
        else:
            client.close()
            return


def told(error: Exception) -> str:
    """Return an error of Redis for people: one that wants to know who we are says it in the words of its protocol."""
    text = _BEFORE.sub("", str(error))
    if isinstance(error, redis.AuthenticationError) or "NOAUTH" in text or "authenticated" in text:
        return f"it wants a user and a password, or others than {URL_VARIABLE} holds ({text})"
    return text


def as_text(value: bytes | str) -> str:
    """Return what Redis gave as text; it is bytes, though the types of redis-py allow for both."""
    return value.decode() if isinstance(value, bytes) else value


def as_bytes(value: bytes | str) -> bytes:
    """Return what Redis gave as bytes."""
    return value if isinstance(value, bytes) else value.encode()
