"""Which Redis may be used how, and what people are told of its address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from oppcloud_worker.address import (
    AddressError,
    check,
    has_password,
    is_private,
    objections,
    redacted,
    redis_url,
)

if TYPE_CHECKING:
    from pathlib import Path

SAFE = "rediss://client:secret@redis.example:6380/0"


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("unix:///run/redis.sock", True),
        ("redis://localhost", True),
        ("redis:///0", True),
        ("redis://127.3.2.1:6379/0", True),
        ("rediss://u:p@[::1]:6379/0", True),
        ("redis://0.0.0.0", False),
        ("redis://10.0.0.1", False),
        ("redis://localhost.example.org", False),
        ("redis://127.0.0.1.example.org", False),
        ("redis://user:localhost@redis", False),
    ],
)
def test_private_is_what_only_this_machine_reaches(url: str, private: bool) -> None:
    assert is_private(url) is private


@pytest.mark.parametrize(
    ("url", "signed", "words"),
    [
        (SAFE, True, []),
        ("rediss://h?password=x", True, []),
        (SAFE, False, ["not signed"]),
        ("rediss://h", True, ["no password"]),
        ("rediss://client@h", True, ["no password"]),
        (SAFE.replace("rediss", "redis"), True, ["not encrypted"]),
        (SAFE + "?ssl_cert_reqs=none", True, ["certificate is not checked"]),
        (SAFE + "?ssl_cert_reqs=optional", True, ["certificate is not checked"]),
        (SAFE + "?ssl_check_hostname=false", True, ["name in the server's certificate"]),
        ("redis://h", False, ["not encrypted", "no password", "not signed"]),
    ],
)
def test_what_a_server_that_others_reach_lacks(url: str, signed: bool, words: list[str]) -> None:
    found = objections(url, signed=signed)

    assert len(found) == len(words)
    assert all(word in text for word, text in zip(words, found, strict=True))


def test_a_server_that_others_reach_is_refused_unless_it_is_safe() -> None:
    assert check(SAFE, signed=True, environment={}) == ""
    with pytest.raises(AddressError, match="OPPCLOUD_DANGER_LET_THE_NETWORK_RUN_PROGRAMS=yes") as caught:
        check("redis://client:secret@h/0", signed=True, environment={})
    assert "secret" not in str(caught.value)


def test_who_insists_is_warned() -> None:
    note = check("redis://h", signed=False, environment={"OPPCLOUD_DANGER_LET_THE_NETWORK_RUN_PROGRAMS": "yes"})

    assert note.startswith("DANGER")
    for other in ("", "1", "no"):
        with pytest.raises(AddressError):
            check("redis://h", signed=True, environment={"OPPCLOUD_DANGER_LET_THE_NETWORK_RUN_PROGRAMS": other})


def test_without_a_key_the_machine_itself_is_the_fence_and_that_is_said() -> None:
    assert "not signed" in check("unix:///s", signed=False, environment={})
    assert check("unix:///s", signed=True, environment={}) == ""


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:secret@h:1/0?password=secret", "redis://u:***@h:1/0"),
        ("rediss://:secret@h/0", "rediss://:***@h/0"),
        ("unix:///run/s?db=1&password=secret", "unix:///run/s"),
        ("redis://user@h", "redis://user@h"),
        ("redis://u:se:cr@et@h/0", "redis://u:***@h/0"),
        ("http://u:secret@h", "(not a URL of a Redis server)"),
        ("secret", "(not a URL of a Redis server)"),
        ("redis://[secret", "redis://***@"),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown


@pytest.mark.parametrize("url", ["http://h", "secret", "redis://[secret", "redis://u:sec/ret@h:1", "redis://h:port"])
def test_what_is_no_address_is_an_error_that_shows_nothing_of_it(url: str) -> None:
    with pytest.raises(AddressError) as caught:
        redis_url({"OPPCLOUD_REDIS_URL": url})
    assert "sec" not in str(caught.value).replace("password", "")


def test_the_file_of_the_authority_goes_into_the_url(tmp_path: Path) -> None:
    authority = tmp_path / "my ca.pem"
    authority.touch()
    environment = {"OPPCLOUD_REDIS_URL": f"{SAFE}?db=1", "OPPCLOUD_REDIS_CA": str(authority)}

    url = redis_url(environment)
    assert url is not None
    assert url.startswith(SAFE + "?db=1&ssl_ca_certs=")
    assert "my%20ca.pem" in url
    # An option has precedence, and where nothing is encrypted there is no authority.
    assert redis_url(environment, "redis://other/0") == "redis://other/0"
    # Without a host it is this machine; put together anew from its parts, the slashes would be lost.
    assert redis_url(environment, "redis://") == "redis://"
    assert redis_url({}) is None


def test_a_missing_file_of_the_authority_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="OPPCLOUD_REDIS_CA"):
        redis_url({"OPPCLOUD_REDIS_URL": SAFE, "OPPCLOUD_REDIS_CA": str(tmp_path / "none")})


def test_passwords_are_found_wherever_they_stand() -> None:
    assert has_password(SAFE)
    assert has_password("unix:///s?password=x")
    assert not has_password("redis://user@h/0")
