"""Keys and certificates: made, signed and read. Everything is PEM.

``cryptography`` costs some 10 MiB, so it is imported where it is used.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

_SKEW = timedelta(minutes=5)  #: clocks of clients may be behind by this


@dataclass(frozen=True, slots=True)
class Pair:
    """A private key and its certificate, which may be followed by those that signed it."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Facts:
    """What a certificate says."""

    names: tuple[str, ...]  #: hosts and addresses that it is for; ``*.`` stands for one label
    not_before: datetime  #: UTC
    not_after: datetime  #: UTC
    issuer: str

    def covers(self, host: str) -> bool:
        """Whether it is for that host."""
        wildcard = f"*.{host.partition('.')[2]}"
        return host in self.names or wildcard in self.names


def make_authority(name: str, lifetime: timedelta, now: datetime) -> Pair:
    """A key and a certificate that may sign others."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = sign(name, key, key, subject, (now, lifetime), None)
    return Pair(_pem_of(certificate), pem_of_key(key))


def make_certificate(
    hosts: Sequence[str], authority: Pair, lifetime: timedelta, now: datetime
) -> Pair:
    """A server's certificate for these hosts or addresses, signed by the authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    ca = x509.load_pem_x509_certificate(authority.certificate)
    ca_key = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    names = [_general_name(host) for host in hosts]
    common = next((host for host in hosts if len(host) <= 64), "")  # X.520's bound
    certificate = sign(common, key, ca_key, ca.subject, (now, lifetime), names)
    return Pair(_pem_of(certificate) + authority.certificate, pem_of_key(key))


def _general_name(host: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def sign(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    valid: tuple[datetime, timedelta],
    names: list[x509.GeneralName] | None,
) -> x509.Certificate:
    """A certificate for ``key``.

    Args:
        name: common name of its subject; may be empty.
        key: whose it is.
        signer: the authority's key; the same as ``key`` for an authority.
        issuer: the authority's subject.
        valid: from when (UTC) and for how long.
        names: hosts of a server's certificate; None for an authority's.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    start, lifetime = valid
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _SKEW)
        .not_valid_after(start + lifetime)
        .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
    )
    if names is None:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not name)
        server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(server, critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(identifier, critical=False).add_extension(own, critical=False)
    return builder.sign(signer, hashes.SHA256())


def read_pair(pair: Pair) -> Facts:
    """What the (first) certificate says.

    Raises:
        ValueError: one of the two cannot be read, or they do not belong together.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
    except (ValueError, TypeError) as error:
        raise ValueError("found no PEM certificate") from error
    try:
        key = serialization.load_pem_private_key(pair.key, None)
    except (ValueError, TypeError) as error:
        raise ValueError("found no PEM private key without a passphrase") from error
    if key.public_key() != certificate.public_key():
        raise ValueError("found a private key that is not the certificate's")
    return Facts(
        _names_of(certificate),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        certificate.issuer.rfc4514_string(),
    )


@dataclass(frozen=True, slots=True)
class Trusted:
    """The certificate of an authority."""

    pem: bytes
    not_after: datetime  #: UTC


def read_trusted(pem: bytes) -> list[Trusted]:
    """The certificates that follow one another in it.

    Raises:
        ValueError: there is none, or one cannot be read.
    """
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(pem)
    except (ValueError, TypeError) as error:
        raise ValueError("found no PEM certificates") from error
    return [Trusted(_pem_of(one), one.not_valid_after_utc) for one in found]


def _names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(name.value) for name in names)
    addresses = found.get_values_for_type(x509.IPAddress)
    return (*found.get_values_for_type(x509.DNSName), *(str(each) for each in addresses))


def _pem_of(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)


def make_key() -> bytes:
    """A new private key."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return pem_of_key(ec.generate_private_key(ec.SECP256R1()))


def pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The private key, without a passphrase."""
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
