"""Who may ask, and who may answer: the key of a cluster, and what is signed with it.

Standard library only. Client and workers of a cluster share one secret, the cluster key. Each session derives keys of
its own from it, one for tickets and one for outcomes, so that nothing that was signed for one session or one purpose
is worth anything in another. Redis and stores never see a key: who can write to them, and nothing more, can neither
have a worker run something nor tell a client how a run ended.

A signed ticket is the ticket and a `proof` beside it: the id of the key, a nonce, the time of signing, the time up to
which it is valid, and the signature over all of that. What a run needs is part of the ticket by its digest, so it is
authenticated as well.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .wire import MessageError, decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The key itself, or the file that holds it.
KEY_VARIABLE = "OPPCLOUD_KEY"
KEY_FILE_VARIABLE = "OPPCLOUD_KEY_FILE"
#: Where a ticket carries its proof.
PROOF = "proof"

#: Seconds that a ticket is valid after it was signed: as long as it may lie in the queue. That of a detached session
#: is valid up to the session's deadline. A ticket that is queued again is signed again.
VALIDITY = 24 * 3600
#: Seconds by which the clocks of client and worker may differ.
SKEW = 300

_PREFIX = "oppcloud-key-1-"
_KEY = re.compile(rf"{_PREFIX}([0-9a-f]{{64}})")
_NONCE = re.compile(r"[0-9a-f]{32}")
#: What a signed outcome begins with; without a signature it is compressed data or JSON, which never begins so.
_SEAL = b"oppcloud-1 "
_ONE_KEY = f"give pytest and all workers the same one ({KEY_FILE_VARIABLE} or {KEY_VARIABLE})"
_SALT = b"pytest-oppcloud"


class KeyUnusableError(Exception):
    """The cluster key cannot be read, or is none."""


class RefusedError(Exception):
    """A ticket is not from somebody whom this worker trusts; the text says why, and what to do."""


class ReplayedError(RefusedError):
    """A ticket has been served before; whoever took it then answers for it."""


class ForgedError(Exception):
    """An outcome is not from a worker whom this session trusts; the text says why, and what to do."""


@dataclass(frozen=True, slots=True, repr=False)
class ClusterKey:
    """The secret that client and workers of a cluster share; never printed."""

    secret: bytes

    @classmethod
    def generate(cls) -> ClusterKey:
        """Return a new key."""
        return cls(secrets.token_bytes(32))

    @classmethod
    def from_text(cls, text: str) -> ClusterKey:
        """Read what `to_text` wrote; raise `KeyUnusableError`."""
        match = _KEY.fullmatch(text.strip())
        if match is None:
            # What was found is not told: it may be a secret in the wrong place.
            raise KeyUnusableError(f"not a cluster key: {_PREFIX} and 64 hexadecimal digits were expected")
        return cls(bytes.fromhex(match[1]))

    def to_text(self) -> str:
        """Return the key as it stands in a file; scanners for leaked secrets can know it by its beginning."""
        return _PREFIX + self.secret.hex()

    @property
    def id(self) -> str:
        """A name for the key that tells nothing about it: eight hexadecimal digits."""
        return self._derive("id", "")[:4].hex()

    def _derive(self, purpose: str, session: str) -> bytes:
        """Return the key for one purpose of one session: HKDF (RFC 5869) with SHA-256, one block."""
        pseudorandom = hmac.digest(_SALT, self.secret, "sha256")
        return hmac.digest(pseudorandom, f"{purpose}\0{session}".encode(errors="replace") + b"\x01", "sha256")

    def sign(self, purpose: str, session: str, data: bytes) -> str:
        """Return the signature of `data`."""
        return hmac.new(self._derive(purpose, session), data, hashlib.sha256).hexdigest()

    def verify(self, purpose: str, session: str, data: bytes, signature: str) -> bool:
        """Tell whether `signature` is that of `data`, in a time that tells nothing about how much of it is right."""
        expected = self.sign(purpose, session, data).encode()
        return hmac.compare_digest(expected, signature.encode(errors="replace"))


def read_key(environment: Mapping[str, str]) -> ClusterKey | None:
    """Return the key that the environment gives or names the file of, None without one; raise `KeyUnusableError`."""
    text, file = environment.get(KEY_VARIABLE), environment.get(KEY_FILE_VARIABLE)
    if text and file:
        raise KeyUnusableError(f"both {KEY_VARIABLE} and {KEY_FILE_VARIABLE} are set; only one can hold")
    if text:
        try:
            return ClusterKey.from_text(text)
        except KeyUnusableError as error:
            raise KeyUnusableError(f"{KEY_VARIABLE}: {error}") from None
    return read_key_file(Path(file)) if file else None


def read_key_file(path: Path) -> ClusterKey:
    """Return the key in a file; raise `KeyUnusableError` where there is none, or where others may touch it."""
    try:
        with path.open(encoding="ascii", errors="replace") as stream:
            information = os.fstat(stream.fileno())
            text = stream.read(1000)
    except OSError as error:
        raise KeyUnusableError(f"{path}: {error.strerror}") from error
    # Files of others are theirs to protect: a secret that a container is given belongs to root, and everybody there
    # may read it.
    others = stat.S_IRWXG | stat.S_IRWXO if information.st_uid == os.geteuid() else stat.S_IWGRP | stat.S_IWOTH
    if information.st_mode & others:
        raise KeyUnusableError(f"{path}: others can read or change this key; say chmod 600 {path}, or make a new one")
    try:
        return ClusterKey.from_text(text)
    except KeyUnusableError as error:
        raise KeyUnusableError(f"{path}: {error}") from None


def write_key_file(path: Path, key: ClusterKey) -> None:
    """Write a key to a file that does not exist yet and that only its owner may read; raise OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(key.to_text() + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What makes a ticket one that a worker serves."""

    #: Id of the key, so that two keys that differ can be told from a forgery.
    key: str
    #: Makes each signed ticket a single one: a worker serves it once.
    nonce: str
    #: Seconds since 1970: when it was signed, and up to when it is valid.
    signed: float
    expires: float
    #: Over the ticket and all fields above.
    signature: str = ""


def sign_ticket(ticket: dict[str, object], key: ClusterKey | None, *, now: float | None = None) -> dict[str, object]:
    """Return the JSON values of a ticket with a proof; without a key, as they are."""
    if key is None:
        return ticket
    now = time.time() if now is None else now
    deadline = ticket.get("deadline", 0.0)
    expires = max(now + VALIDITY, float(deadline) if isinstance(deadline, (int, float)) else 0.0)
    proof = encode(Proof(key=key.id, nonce=secrets.token_hex(16), signed=now, expires=expires))
    signature = key.sign("ticket", str(ticket["session"]), _canonical(ticket, proof))
    return {**ticket, PROOF: {**proof, "signature": signature}}


def verify_ticket(
    ticket: Mapping[str, object], key: ClusterKey | None, *, now: float | None = None
) -> tuple[dict[str, object], Proof | None]:
    """Return a ticket without its proof, and the proof; raise `RefusedError` unless it is right.

    Whether the ticket has been served before is for the caller to find out, by the nonce. A worker without a key
    serves unsigned tickets: who starts it so has decided that (`address.check`).
    """
    body = {name: value for name, value in ticket.items() if name != PROOF}
    given = ticket.get(PROOF)
    if key is None:
        if given is not None:
            raise RefusedError(
                f"the client signs with a cluster key, but this worker has none: start it with {KEY_FILE_VARIABLE} or "
                f"{KEY_VARIABLE} set to the client's key"
            )
        return body, None
    if given is None:
        raise RefusedError(
            f"it is not signed, and this worker runs signed requests only: set {KEY_FILE_VARIABLE} or {KEY_VARIABLE} "
            f"for pytest, to the key of this cluster ({key.id})"
        )
    try:
        proof = decode(Proof, given)
    except MessageError as error:
        raise RefusedError(f"its proof is none: {error}") from None
    if proof.key != key.id:
        raise RefusedError(
            f"it is signed with the key {proof.key!r:.20}, but the key of this worker is {key.id}; {_ONE_KEY}"
        )
    unsigned = {name: value for name, value in encode(proof).items() if name != "signature"}
    if not key.verify("ticket", str(body.get("session")), _canonical(body, unsigned), proof.signature):
        raise RefusedError("its signature is wrong: it was changed on its way, or somebody else made it")
    now = time.time() if now is None else now
    if proof.signed > now + SKEW:
        raise RefusedError(
            f"it was signed {proof.signed - now:.0f} s in the future: the clocks of client and worker must not differ "
            f"by more than {SKEW} s"
        )
    if proof.expires < now - SKEW:
        raise RefusedError(f"it expired {now - proof.expires:.0f} s ago (or this worker's clock is ahead)")
    if not _NONCE.fullmatch(proof.nonce):
        raise RefusedError("its proof has no nonce")
    return body, proof


def _canonical(ticket: dict[str, object], proof: dict[str, object]) -> bytes:
    """Return the bytes that are signed: the same on both ends, whatever carried the JSON values meanwhile."""
    return json.dumps([ticket, proof], sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def seal(data: bytes, key: ClusterKey | None, *, session: str, run: str, purpose: str = "outcome") -> bytes:
    """Return an outcome as it is stored: the id of the key and the signature in front of it; without a key, as is.

    With another `purpose`, something else that is stored under the name `run`; without a session, for all of them.
    """
    if key is None:
        return data
    signature = key.sign(purpose, session, f"{run}\0".encode() + data)
    return _SEAL + f"{key.id} {signature}\n".encode() + data


def unseal(stored: bytes, key: ClusterKey | None, *, session: str, run: str, purpose: str = "outcome") -> bytes:
    """Return what `seal` was given; raise `ForgedError` unless it was signed for this run with our key."""
    head, data = _split(stored)
    if key is None:
        return data
    if not head:
        raise ForgedError(
            "it is not signed: its worker has no cluster key, or somebody else wrote it; start workers with "
            f"{KEY_FILE_VARIABLE} or {KEY_VARIABLE}"
        )
    key_id, _, signature = head.removeprefix(_SEAL).decode("ascii", "replace").partition(" ")
    if key_id != key.id:
        raise ForgedError(
            f"it is signed with the key {key_id!r:.20}, but the key of this session is {key.id}; {_ONE_KEY}"
        )
    if not key.verify(purpose, session, f"{run}\0".encode() + data, signature):
        raise ForgedError("its signature is wrong: it was changed on its way, or somebody else made it")
    return data


def _split(stored: bytes) -> tuple[bytes, bytes]:
    """Return the line of the signature, if there is one, and what comes after it."""
    if not stored.startswith(_SEAL):
        return b"", stored
    head, _, data = stored.partition(b"\n")
    return head, data
