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
from hearth.api.tls import pair_of
from hearth.controllers.core.metadata import child_name
from hearth.controllers.core.tls import Provisioned, make_certificate, wants_certificates
from hearth.kit.times import rfc3339
from hearth.kit.x509 import read_pair


def given_secret(mapping: Wire) -> str:
    """The name of the Secret that the mapping gives, or empty."""
    return str((spec_of(mapping).get("tls") or {}).get("secretName") or "")


def mapping_certificates(mapping: Wire, network: NetworkConfig) -> list[Wire]:
    """The Certificate that the mapping wants, if it wants one."""
    if given_secret(mapping) or not wants_certificates(mapping, network):
        return []
    host = name_of(mapping)
    label = (DOMAIN_MAPPING_UID_LABEL, uid_of(mapping))
    return [make_certificate(mapping, label, child_name(host, ""), host, host, network)]


def given(mapping: Wire, name: str, secret: Wire | None, now: datetime) -> Provisioned:
    """What the status says of the Secret that the mapping gives."""
    host = frozenset({name_of(mapping)})
    if fault := _fault(name_of(mapping), secret, now):
        said = f"Secret {name} cannot be served: {fault}"
        return Provisioned("False", "CertificateNotUsable", said, https=host)
    said = "TLS certificate was provided externally"
    return Provisioned("True", "CertificateExternallyProvided", said, host, host)


def _fault(host: str, secret: Wire | None, now: datetime) -> str:
    if secret is None:
        return "found no such Secret of type kubernetes.io/tls in the mapping's namespace"
    try:
        facts = read_pair(pair_of(secret))
    except ValueError as error:
        return str(error)
    if not facts.covers(host):
        return f"found a certificate for {', '.join(facts.names)}, expected one for {host}"
    if facts.not_after <= now:
        return f"the certificate ended at {rfc3339(facts.not_after)}"
    return ""
