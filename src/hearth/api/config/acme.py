"""``config-acme``: which ACME server issues the certificates of class ``acme.…``.

Ours: Knative leaves this to cert-manager.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_KEYS = frozenset({"server", "email", "ca-bundle", "_example"})


@dataclass(frozen=True, slots=True)
class AcmeConfig:
    """What ``config-acme`` says."""

    server: str  #: URL of its directory; whoever writes it agrees to the server's terms
    email: str = ""  #: where the server may write to
    ca_bundle: str = ""  #: PEM of the authorities to trust for the server itself; empty: the usual


def read_acme(data: Mapping[str, str]) -> AcmeConfig:
    """The data of ``config-acme``.

    Raises:
        ValueError: there is no server, or a key that is not known.
    """
    if unknown := sorted(set(data) - _KEYS):
        raise ValueError(f"{unknown[0]}: is not known, expected server, email or ca-bundle")
    server = data.get("server", "").strip()
    if urlsplit(server).scheme != "https" or not urlsplit(server).hostname:
        raise ValueError(f"server: found {server!r}, expected the https URL of an ACME directory")
    return AcmeConfig(server, data.get("email", "").strip(), data.get("ca-bundle", ""))
