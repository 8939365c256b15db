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


#: Said of a URL that cannot be understood: what others say of it may quote pieces of the password.
_EXPECTED = (
    "not a URL of a Redis server: redis://, rediss:// or unix:// was expected, with a port that is a number, and in "
    "the password %2F for /, %3F for ?, %23 for # and %40 for @"
)


class AddressError(ValueError):
    """The address of a Redis server cannot be used; the text has no password in it."""

    def __init__(self, message: str = _EXPECTED) -> None:
        super().__init__(message)


def redis_url(environment: Mapping[str, str], given: str | None = None) -> str | None:
    """Return the URL of the queue, `given` or from the environment, with the CA file in it; None without one.

    Raises `AddressError`.
    """
    url = given or environment.get(URL_VARIABLE)
    if not url:
        return None
    parts = parse(url)
    authority = environment.get(CA_VARIABLE)
    if authority and parts.scheme == "rediss":
        if not Path(authority).is_file():
            raise AddressError(f"there is no file {authority} ({CA_VARIABLE})")
        query = {name: values[0] for name, values in _query(parts).items()}
        query["ssl_ca_certs"] = str(Path(authority).absolute())
        return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))
    return url


def is_private(url: str) -> bool:
    """Tell whether only this machine can reach the server: a unix socket, or a loopback address."""
    parts = parse(url)
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
    parts = parse(url)
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
    parts = parse(url)
    return bool(parts.password or "password" in _query(parts))


def redacted(url: str) -> str:
    """Return `url` without its password, for people; of a URL that cannot be understood, nothing that may be one."""
    scheme, separator, rest = url.partition("://")
    if scheme not in _SCHEMES or not separator:
        return "(not a URL of a Redis server)"
    if _is_cut_short(url):
        return f"{scheme}://***@{rest.rpartition('@')[2].partition('?')[0] if '@' in rest else ''}"
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}:***@{host}" if ":" in user else f"{user}@{host}" if user else host
    return f"{parts.scheme}://{netloc}{parts.path}"


def parse(url: str) -> SplitResult:
    """Return the parts of the URL of a Redis server; raise `AddressError` where it cannot be understood."""
    if _is_cut_short(url):
        raise AddressError
    parts = urlsplit(url)
    try:
        _ = parts.port
    except ValueError:
        raise AddressError from None
    if parts.scheme not in _SCHEMES:
        raise AddressError
    return parts


def _is_cut_short(url: str) -> bool:
    """Tell whether a password holds a character that ends the host of a URL, so that its rest is taken for a path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    if parts.scheme == "unix" and not parts.netloc:
        # The name of a file.
        return False
    return "@" in parts.path + parts.query + parts.fragment


def _query(parts: SplitResult) -> dict[str, list[str]]:
    return parse_qs(parts.query, keep_blank_values=True)
