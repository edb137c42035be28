"""Our own certificate authority, the server's certificate, and the kubeconfigs that trust it."""

from __future__ import annotations

import base64
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hearth.kit.files import write_private
from hearth.kit.x509 import pem_of_key, sign

_CA_DAYS = 3650
_SERVER_DAYS = 365
_RENEW_DAYS = 30  #: a certificate that ends sooner is made anew at start


@dataclass(frozen=True, slots=True)
class Pki:
    """Where the certificates are."""

    ca: Path
    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """For serving with the certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class PkiError(Exception):
    """A certificate or key is there but cannot be used; the message names the file."""


def open_pki(folder: Path, host: str = "localhost") -> Pki:
    """Read the certificates, or make those that are absent, for another host or about to end.

    Args:
        folder: where they are kept.
        host: a name or address by which clients call the server, beside the usual ones.

    Raises:
        PkiError: the authority's certificate or key cannot be used.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    ca_key, ca = _authority(folder)
    pki = Pki(folder / "ca.crt", folder / "server.crt", folder / "server.key")
    names = _names(host)
    if not _serves(pki, ca, names):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = sign("hearth", key, ca_key, ca.subject, _valid(_SERVER_DAYS), names)
        write_private(pki.key, pem_of_key(key))
        write_private(pki.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    return pki


def _serves(pki: Pki, ca: x509.Certificate, names: list[x509.GeneralName]) -> bool:
    """Whether the server's certificate can go on being used."""
    try:
        certificate = x509.load_pem_x509_certificate(pki.certificate.read_bytes())
        key = serialization.load_pem_private_key(pki.key.read_bytes(), None)
        certificate.verify_directly_issued_by(ca)
        own = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False  # whatever it is, a new one costs nothing
    return (
        certificate.public_key() == key.public_key()
        and set(names) <= set(own)
        and not _ends_soon(certificate)
    )


def _authority(folder: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key_file, file = folder / "ca.key", folder / "ca.crt"
    if file.exists() and key_file.exists():
        key, certificate = _read_authority(key_file, file)
        if not _ends_soon(certificate):
            return key, certificate
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hearth-ca")])
    certificate = sign("hearth-ca", key, key, subject, _valid(_CA_DAYS), None)
    write_private(key_file, pem_of_key(key))
    write_private(file, certificate.public_bytes(serialization.Encoding.PEM))
    return key, certificate


def _read_authority(
    key_file: Path, file: Path
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    at = file
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        at = key_file
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise PkiError(f"{at}: cannot be read: {error}; remove it to begin anew") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or (
        key.public_key() != certificate.public_key()
    ):
        raise PkiError(f"{key_file}: is not the key of {file}; remove both to begin anew")
    return key, certificate


def _ends_soon(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(days=_RENEW_DAYS)


def _valid(days: int) -> tuple[datetime, timedelta]:
    return datetime.now(UTC), timedelta(days=days)


def _names(host: str) -> list[x509.GeneralName]:
    dns = {"localhost", socket.gethostname(), "kubernetes.default.svc", "*.hearth-system.svc"}
    addresses = {"127.0.0.1", "::1"}
    try:
        addresses.add(str(ipaddress.ip_address(host)))
    except ValueError:
        dns.add(host)
    return [
        *(x509.DNSName(name) for name in sorted(dns)),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in sorted(addresses)),
    ]


def write_kubeconfig(path: Path, url: str, pki: Pki, user: str, token: str) -> None:
    """Write a kubeconfig for one user, readable by its owner alone."""
    authority = base64.b64encode(pki.ca.read_bytes()).decode()
    cluster = {"server": url, "certificate-authority-data": authority}
    context = {"cluster": "hearth", "user": user, "namespace": "default"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "hearth", "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "hearth", "context": context}],
        "current-context": "hearth",
    }
    write_private(path, yaml.safe_dump(config, sort_keys=False).encode())
