"""Keys, and what is signed with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from oppcloud_worker import signing
from oppcloud_worker.replay import ServedTickets
from oppcloud_worker.signing import (
    PROOF,
    SKEW,
    VALIDITY,
    ClusterKey,
    ForgedError,
    KeyUnusableError,
    Proof,
    RefusedError,
    read_key,
    seal,
    sign_ticket,
    unseal,
    verify_ticket,
    write_key_file,
)

from pytest_oppcloud.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = ClusterKey(bytes(range(32)))
TICKET: dict[str, Any] = {
    "session": "s1",
    "run": "r1",
    "request": {"arguments": ["-c", "Täst\udc80"], "timeout": 0.5, "limits": {}},
    "attempt": 1,
}
NOW = 1_800_000_000.0


def signed(**changes: Any) -> dict[str, Any]:
    return sign_ticket({**TICKET, **changes}, KEY, now=NOW)


def test_a_signed_ticket_is_accepted_after_a_journey_as_json() -> None:
    body, proof = verify_ticket(json.loads(json.dumps(signed(), indent=1)), KEY, now=NOW + 1)

    assert body == TICKET
    assert proof is not None
    assert proof.key == KEY.id


def test_each_signature_is_another() -> None:
    first, second = signed()[PROOF], signed()[PROOF]

    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["nonce"] != second["nonce"]
    assert first["signature"] != second["signature"]


def changed_request(ticket: dict[str, Any]) -> None:
    ticket["request"] = {"arguments": ["--evil"]}


def changed_content(ticket: dict[str, Any]) -> None:
    ticket["request"]["content"] = "0" * 64


def added_field(ticket: dict[str, Any]) -> None:
    ticket["causes"] = ["WORKER_LOST"]


def other_session(ticket: dict[str, Any]) -> None:
    ticket["session"] = "s2"


def other_attempt(ticket: dict[str, Any]) -> None:
    ticket["attempt"] = 2


def longer_validity(ticket: dict[str, Any]) -> None:
    ticket[PROOF]["expires"] += 1


def other_nonce(ticket: dict[str, Any]) -> None:
    ticket[PROOF]["nonce"] = "0" * 32


@pytest.mark.parametrize(
    "change",
    [changed_request, changed_content, added_field, other_session, other_attempt, longer_validity, other_nonce],
)
def test_whatever_is_changed_is_noticed(change: Callable[[dict[str, Any]], None]) -> None:
    ticket = json.loads(json.dumps(signed()))
    change(ticket)

    with pytest.raises(RefusedError, match="signature is wrong"):
        verify_ticket(ticket, KEY, now=NOW)


def test_a_ticket_without_a_proof_is_refused_and_told_what_to_do() -> None:
    with pytest.raises(RefusedError, match=f"not signed.*OPPCLOUD_KEY_FILE.*{KEY.id}"):
        verify_ticket(TICKET, KEY, now=NOW)


def test_two_keys_that_differ_are_told_apart_from_a_forgery() -> None:
    with pytest.raises(RefusedError, match=KEY.id):
        verify_ticket(signed(), ClusterKey.generate(), now=NOW)


def test_a_worker_without_a_key_says_so() -> None:
    with pytest.raises(RefusedError, match="this worker has none"):
        verify_ticket(signed(), None, now=NOW)


@pytest.mark.parametrize("proof", [None, 1, [], {}, {"key": 1}, {"key": KEY.id, "nonce": "x", "extra": 1}])
def test_a_proof_of_another_form_is_refused(proof: object) -> None:
    with pytest.raises(RefusedError):
        verify_ticket({**TICKET, PROOF: proof}, KEY, now=NOW)


@pytest.mark.parametrize("late", [0, VALIDITY, VALIDITY + SKEW - 1, -SKEW + 1])
def test_a_ticket_is_valid_for_its_time_and_the_difference_of_clocks(late: float) -> None:
    body, _ = verify_ticket(signed(), KEY, now=NOW + late)

    assert body == TICKET


@pytest.mark.parametrize(("late", "why"), [(VALIDITY + SKEW + 1, "expired"), (-SKEW - 1, "clocks")])
def test_a_ticket_out_of_its_time_is_refused(late: float, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        verify_ticket(signed(), KEY, now=NOW + late)


def proof(nonce: str = "ab" * 16, expires: float = NOW + VALIDITY) -> Proof:
    return Proof(key=KEY.id, nonce=nonce, signed=NOW, expires=expires)


def test_a_ticket_is_served_once_by_all_workers_of_a_host(tmp_path: Path) -> None:
    first, second = ServedTickets(tmp_path / "served"), ServedTickets(tmp_path / "served")
    first.admit(proof(), NOW)
    second.admit(proof("cd" * 16), NOW)

    for worker in (first, second):
        with pytest.raises(RefusedError, match="served before"):
            worker.admit(proof(), NOW)


def test_tickets_are_forgotten_when_nobody_could_use_them_any_more(tmp_path: Path) -> None:
    served = ServedTickets(tmp_path)
    served.admit(proof(), NOW)
    late = NOW + 2 * VALIDITY
    served.admit(proof("cd" * 16, late + VALIDITY), late)

    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["cd" * 16]


def test_an_outcome_is_that_of_its_run() -> None:
    stored = seal(b"outcome", KEY, session="s1", run="r1")

    assert unseal(stored, KEY, session="s1", run="r1") == b"outcome"
    for session, run in (("s1", "r2"), ("s2", "r1"), ("s1", "")):
        with pytest.raises(ForgedError, match="signature is wrong"):
            unseal(stored, KEY, session=session, run=run)


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (b"outcome", "not signed"),
        (b"", "not signed"),
        (seal(b"outcome", ClusterKey(bytes(32)), session="s1", run="r1"), KEY.id),
        (seal(b"outcome", KEY, session="s1", run="r1") + b"!", "wrong"),
        (b"oppcloud-1 " + KEY.id.encode() + b"\noutcome", "wrong"),
        (b"oppcloud-1 " + KEY.id.encode() + b" \xff\noutcome", "wrong"),
    ],
)
def test_a_forged_outcome_is_noticed(stored: bytes, why: str) -> None:
    with pytest.raises(ForgedError, match=why):
        unseal(stored, KEY, session="s1", run="r1")


def test_a_signature_for_one_purpose_is_worth_nothing_for_another() -> None:
    signature = KEY.sign("ticket", "s1", b"data")

    assert KEY.verify("ticket", "s1", b"data", signature)
    assert not KEY.verify("outcome", "s1", b"data", signature)


def test_signatures_stay_the_same_from_version_to_version() -> None:
    # HKDF-SHA256 and HMAC-SHA256, computed with the `cryptography` package.
    assert KEY.sign("ticket", "s1", b"data") == ("340b3b892943e6e538e4ced099b5498d17eba9497edbff750827678ff90d72a0")


def test_a_key_does_not_show_itself() -> None:
    assert KEY.secret.hex() not in repr(KEY)
    assert KEY.secret.hex()[:8] not in KEY.id


def test_the_environment_gives_the_key_or_its_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    write_key_file(file, KEY)

    assert read_key({}) is None
    assert read_key({"OPPCLOUD_KEY": KEY.to_text()}) == KEY
    assert read_key({"OPPCLOUD_KEY_FILE": str(file)}) == KEY
    with pytest.raises(KeyUnusableError, match="both"):
        read_key({"OPPCLOUD_KEY": KEY.to_text(), "OPPCLOUD_KEY_FILE": str(file)})


def test_a_text_that_is_no_key_is_not_told() -> None:
    with pytest.raises(KeyUnusableError) as caught:
        read_key({"OPPCLOUD_KEY": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "OPPCLOUD_KEY" in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "key"
    write_key_file(file, KEY)
    file.chmod(mode)

    with pytest.raises(KeyUnusableError, match="chmod 600"):
        signing.read_key_file(file)


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "key"
    assert main(["key", "new", str(file)]) == 0
    assert file.stat().st_mode & 0o777 == 0o600
    key = read_key({"OPPCLOUD_KEY_FILE": str(file)})
    assert key is not None
    said = capsys.readouterr().out
    assert key.id in said
    assert key.secret.hex() not in said

    assert main(["key", "id", str(file)]) == 0
    assert capsys.readouterr().out == f"{key.id}\n"
    assert main(["key", "new", str(file)]) == 1
    assert "exists" in capsys.readouterr().err
    assert read_key({"OPPCLOUD_KEY_FILE": str(file)}) == key


def test_a_key_can_be_printed_for_a_secret_store(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "new", "-"]) == 0
    ClusterKey.from_text(capsys.readouterr().out)


@pytest.mark.parametrize("arguments", [["key"], ["key", "old", "x"], ["key", "new"], ["key", "new", "a", "b"]])
def test_a_wrong_command_line_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr() != ("", "")


@pytest.mark.parametrize("path", ["missing/key", "/dev/null/key"])
def test_a_key_that_cannot_be_written_or_read_is_an_error(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("new", "id"):
        assert main(["key", word, path]) == 1
        assert path in capsys.readouterr().err
