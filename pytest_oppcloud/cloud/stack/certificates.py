"""The certificate of the queue, and the authority that signed it and nothing else.

The authority's key is thrown away as soon as it has signed this one certificate. Whoever trusts this authority alone
thereby knows whom it talks to, whatever name or address it reached the server by.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass, field

from pytest_oppcloud.cloud.aws.errors import AwsError

#: How long they hold. The key never leaves the account, and `oppcloud up --renew-secrets` makes new ones any time.
_DAYS = 3650
#: The queue's fixed address in its network, and this end of a tunnel to it.
ADDRESSES = ("10.71.0.10", "127.0.0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """PEM texts."""

    authority: str
    certificate: str
    key: str = field(repr=False)


def make(name: str, now: dt.datetime | None = None) -> Certificates:
    """Return new certificates for the queue of a cluster."""
    try:
        from cryptography import x509  # noqa: PLC0415  # an extra, and slow to import
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415  # late, too
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415  # late, too
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415  # late, too
    except ModuleNotFoundError as error:
        raise AwsError(f"{error.name} is not installed", advice="pip install 'pytest-oppcloud[aws]'") from error

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    begin = (now or dt.datetime.now(dt.timezone.utc)) - dt.timedelta(minutes=10)
    end = begin + dt.timedelta(days=_DAYS)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = named(f"oppcloud {name} authority")
    common = x509.CertificateBuilder().issuer_name(authority_name).not_valid_before(begin).not_valid_after(end)
    usage = {
        "digital_signature": False, "content_commitment": False, "key_encipherment": False, "data_encipherment": False,
        "key_agreement": False, "key_cert_sign": True, "crl_sign": True, "encipher_only": False, "decipher_only": False,
    }  # fmt: skip
    authority_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        common.subject_name(authority_name)
        .public_key(authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(authority_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    reached_as = [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(text)) for text in ADDRESSES)]
    certificate = (
        common.subject_name(named(f"oppcloud {name} queue"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(reached_as), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Certificates(
        authority=authority.public_bytes(pem).decode(),
        certificate=certificate.public_bytes(pem).decode(),
        key=private.decode(),
    )
