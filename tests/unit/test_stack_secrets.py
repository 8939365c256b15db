"""Passwords and certificates of a cluster."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pytest_oppcloud.cloud.stack import certificates, credentials
from pytest_oppcloud.cloud.stack.access import url

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def made() -> certificates.Certificates:
    return certificates.make("default")


def test_the_authority_signed_the_certificate_and_can_sign_no_other_authority(made: certificates.Certificates) -> None:
    authority = x509.load_pem_x509_certificate(made.authority.encode())
    certificate = x509.load_pem_x509_certificate(made.certificate.encode())
    certificate.verify_directly_issued_by(authority)
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(
        ca=True, path_length=0
    )
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_the_certificate_names_both_ends(made: certificates.Certificates) -> None:
    certificate = x509.load_pem_x509_certificate(made.certificate.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(address) for address in names.get_values_for_type(x509.IPAddress)} == {"10.71.0.10", "127.0.0.1"}
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]


def test_the_key_belongs_to_the_certificate(made: certificates.Certificates) -> None:
    certificate = x509.load_pem_x509_certificate(made.certificate.encode())
    key = serialization.load_pem_private_key(made.key.encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == certificate.public_key()
    assert made.key not in repr(made)


def test_every_text_fits_into_a_free_parameter(made: certificates.Certificates) -> None:
    assert all(len(text) < 4096 for text in (made.authority, made.certificate, made.key))


def test_only_what_is_wanted_is_made() -> None:
    assert set(credentials.make("default", (credentials.CLIENT_PASSWORD,))) == {credentials.CLIENT_PASSWORD}
    everything = credentials.make("default", credentials.ALL)
    assert set(everything) == set(credentials.ALL)
    passwords = [everything[name] for name in (credentials.CLIENT_PASSWORD, credentials.WORKER_PASSWORD)]
    assert passwords[0] != passwords[1]
    # As they stand in a shell's here-document, in an ACL file and in a URL.
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{40,}", password) for password in passwords)


def test_the_url_survives_any_password_and_path(tmp_path: Path) -> None:
    file = tmp_path / "a folder" / "ca&b=c.pem"
    connection = redis.Redis.from_url(url("127.0.0.1", 6380, "p@ss/w:rd", file)).connection_pool.connection_kwargs
    assert (connection["username"], connection["password"]) == ("client", "p@ss/w:rd")
    assert connection["ssl_ca_certs"] == str(file)
    assert connection["ssl_check_hostname"] is False
