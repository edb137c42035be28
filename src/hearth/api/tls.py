"""Secrets with a certificate: type ``kubernetes.io/tls``."""

from __future__ import annotations

import base64
import binascii

from hearth.api.meta import Wire
from hearth.kit.x509 import Pair


def pair_of(secret: Wire) -> Pair:
    """The certificate and its key.

    Raises:
        ValueError: one is absent or no base64.
    """
    data = secret.get("data") or {}
    try:
        certificate, key = (
            base64.b64decode(data[name], validate=True) for name in ("tls.crt", "tls.key")
        )
    except (KeyError, binascii.Error) as error:
        raise ValueError("found no tls.crt and tls.key in base64") from error
    return Pair(certificate, key)


def data_of(pair: Pair, authority: bytes = b"") -> dict[str, str]:
    """A Secret's data; ``authority`` is the certificate to trust, if it is not known to all."""
    data = {"tls.crt": pair.certificate, "tls.key": pair.key}
    data |= {"ca.crt": authority} if authority else {}
    return {name: base64.b64encode(value).decode() for name, value in data.items()}
