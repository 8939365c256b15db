"""Which Redis may be used how: a server that others can reach must have a password, TLS, and signed requests.

Standard library only. On a unix socket or a loopback address, the machine itself is the fence; everywhere else,
whoever reaches the server unhindered could run programs on the workers.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

from .settings import URL_VARIABLE
from .signing import KEY_FILE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

#: File with the certificates of the authority that vouches for the server (PEM).
CA_VARIABLE = "OPPCLOUD_REDIS_CA"
#: Has everything below allowed, if its value is `INSISTED`.
INSIST_VARIABLE = "OPPCLOUD_DANGER_LET_THE_NETWORK_RUN_PROGRAMS"
INSISTED = "yes"

_SCHEMES = ("redis", "rediss", "unix")
_FALSE = {"0", "f", "false", "n", "no", ""}


class AddressError(ValueError):
    """The address of a Redis server cannot be used; the text has no password in it."""


def redis_url(environment: Mapping[str, str], given: str | None = None) -> str | None:
    """Return the URL of the queue, `given` or from the environment, with the CA file in it; None without one.

    Raises `AddressError`.
    """
    url = given or environment.get(URL_VARIABLE)
    if not url:
        return None
    parts = _split(url)
    authority = environment.get(CA_VARIABLE)
    if authority and parts.scheme == "rediss":
        if not Path(authority).is_file():
            raise AddressError(f"there is no file {authority} ({CA_VARIABLE})")
        query = {name: values[0] for name, values in _query(parts).items()}
        query["ssl_ca_certs"] = str(Path(authority).absolute())
        parts = parts._replace(query=urlencode(query, quote_via=quote))
    return urlunsplit(parts) if parts.scheme != "unix" else url


def is_private(url: str) -> bool:
    """Tell whether only this machine can reach the server: a unix socket, or a loopback address."""
    parts = _split(url)
    if parts.scheme == "unix" or parts.hostname in {None, "localhost"}:
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def check(url: str, *, signed: bool, environment: Mapping[str, str]) -> str:
    """Return a note for people, or "" if all is well; raise `AddressError` for a server that lets others in.

    `signed` tells whether there is a cluster key.
    """
    if is_private(url):
        if signed:
            return ""
        return f"requests are not signed ({KEY_FILE_VARIABLE} is not set): who can write to this Redis can run programs"
    missing = objections(url, signed=signed)
    if not missing:
        return ""
    if environment.get(INSIST_VARIABLE) == INSISTED:
        return f"DANGER: {'; '.join(missing)}, and {INSIST_VARIABLE} is set: others may run programs on the workers"
    raise AddressError(
        f"the Redis at {redacted(url)} can be reached from elsewhere, but {'; '.join(missing)}. Whoever reaches it "
        f"could read and change everything. (On a network that nobody else can enter, {INSIST_VARIABLE}={INSISTED} "
        "allows it.)"
    )


def objections(url: str, *, signed: bool) -> list[str]:
    """Return what a server that others can reach lacks, each with what to do about it."""
    parts = _split(url)
    query = _query(parts)
    missing = []
    if parts.scheme != "rediss":
        missing.append("the connection is not encrypted (use rediss://)")
    elif query.get("ssl_cert_reqs", ["required"])[0] != "required":
        missing.append("the server's certificate is not checked (leave ssl_cert_reqs away)")
    elif query.get("ssl_check_hostname", ["true"])[0].lower() in _FALSE:
        missing.append("the name in the server's certificate is not checked (leave ssl_check_hostname away)")
    if not (parts.password or query.get("password")):
        missing.append(f"there is no password (put user and password into {URL_VARIABLE})")
    if not signed:
        missing.append(f"requests are not signed (make a key with `oppcloud key new FILE` and set {KEY_FILE_VARIABLE})")
    return missing


def has_password(url: str) -> bool:
    """Tell whether the URL holds a secret."""
    parts = _split(url)
    return bool(parts.password or "password" in _query(parts))


def redacted(url: str) -> str:
    """Return `url` without its password and its parameters, for people; works for what is no URL as well."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES:
            return "(not a URL of a Redis server)"
        user, _, host = parts.netloc.rpartition("@")
        netloc = f"{user.partition(':')[0]}:***@{host}" if ":" in user else f"{user}@{host}" if user else host
    except ValueError:
        return "(not a URL)"
    return f"{parts.scheme}://{netloc}{parts.path}"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        # The message of urllib quotes the part that is wrong, which may be a part of the password.
        raise AddressError(
            "not a URL; characters of a password such as / # ? @ must be written as %2F %23 %3F %40"
        ) from None
    if parts.scheme not in _SCHEMES:
        raise AddressError(f"not a URL of a Redis server: it must begin with {', '.join(f'{s}://' for s in _SCHEMES)}")
    return parts


def _query(parts: SplitResult) -> dict[str, list[str]]:
    return parse_qs(parts.query, keep_blank_values=True)
