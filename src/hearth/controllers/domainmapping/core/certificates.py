"""The certificate of a DomainMapping: given in a Secret, or wanted from the issuer.

Source: knative.dev/serving pkg/reconciler/domainmapping/reconciler.go (tls). Knative does not look
into a Secret that is given; here one that cannot be served is said, and keeps the mapping from
being ready.
"""

from __future__ import annotations

from datetime import datetime

from hearth.api.config import NetworkConfig
from hearth.api.meta import Wire, name_of, spec_of, uid_of
from hearth.api.names import DOMAIN_MAPPING_UID_LABEL
from hearth.api.naming import child_name
from hearth.api.tls import pair_of
from hearth.controllers.core.tls import Provisioned, Wanted, make_certificate
from hearth.kit.times import rfc3339
from hearth.kit.x509 import read_pair


def given_secret(mapping: Wire) -> str:
    """The name of the Secret that the mapping gives, or empty."""
    return str((spec_of(mapping).get("tls") or {}).get("secretName") or "")


def mapping_certificate(mapping: Wire, network: NetworkConfig) -> Wire:
    """The Certificate for the mapping's host."""
    host = name_of(mapping)
    label = (DOMAIN_MAPPING_UID_LABEL, uid_of(mapping))
    return make_certificate(mapping, label, Wanted(child_name(host, ""), [host], host), network)


def given(mapping: Wire, name: str, secret: Wire | None, now: datetime) -> Provisioned:
    """What the status says of the Secret that the mapping gives."""
    host = name_of(mapping)
    try:
        until = _usable_until(host, secret, now)
    except ValueError as error:
        said = f"Secret {name} cannot be served: {error}"
        return Provisioned("False", "CertificateNotUsable", said, https=frozenset({host}))
    said = "TLS certificate was provided externally"
    hosts = frozenset({host})
    return Provisioned("True", "CertificateExternallyProvided", said, hosts, hosts, until)


def _usable_until(host: str, secret: Wire | None, now: datetime) -> datetime:
    if secret is None:
        raise ValueError("found no such Secret of type kubernetes.io/tls in its namespace")
    facts = read_pair(pair_of(secret))
    if not facts.covers(host):
        raise ValueError(f"found a certificate for {', '.join(facts.names)}, expected {host}")
    if facts.not_after <= now:
        raise ValueError(f"the certificate ended at {rfc3339(facts.not_after)}")
    return facts.not_after
