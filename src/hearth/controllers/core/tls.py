"""Which Certificates a Route or DomainMapping wants, and what its status says of them.

Source: knative.dev/serving pkg/reconciler/route/route.go (externalDomainTLS and
clusterLocalDomainTLS), pkg/reconciler/route/resources/certificate.go and
pkg/reconciler/domainmapping/reconciler.go (tls).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hearth.api.config import NetworkConfig
from hearth.api.inside import SERVING_CERTS, names_of_instances
from hearth.api.kinds import CERTIFICATE
from hearth.api.meta import (
    Wire,
    annotations_of,
    condition_of,
    controller_of,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    spec_of,
    uid_of,
)
from hearth.api.names import (
    ACME_CERTIFICATE_CLASS,
    CERTIFICATE_CLASS_ANNOTATION,
    CERTIFICATE_CLASS_ANNOTATIONS,
    CERTIFICATE_TYPE_LABEL,
    CLUSTER_LOCAL_DOMAIN,
    DISABLE_TLS_ANNOTATIONS,
    EXTERNAL_DOMAIN,
    HTTP_PROTOCOL_ANNOTATIONS,
    OWN_CERTIFICATE_CLASS,
    SYSTEM_INTERNAL,
)
from hearth.controllers.core.conditions import Conditions
from hearth.controllers.core.metadata import LAST_APPLIED_ANNOTATION, without

CERTIFICATE_PROVISIONED = "CertificateProvisioned"
NOT_ENABLED = "external-domain-tls is not enabled"
NOT_FOR_LOCAL = "TLS is not enabled for cluster-local"
_TRUE = ("1", "t", "T", "true", "TRUE", "True")


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The condition about certificates, and which hosts have theirs."""

    status: str = "True"
    reason: str = "TLSNotEnabled"
    message: str = NOT_ENABLED
    served: frozenset[str] = frozenset()  #: hosts with a certificate that is ready
    https: frozenset[str] = frozenset()  #: hosts whose URL says so
    until: datetime | None = None  #: when that changes by itself


PLAIN = Provisioned()  #: no certificate is wanted


def wants_certificates(wire: Wire, network: NetworkConfig) -> bool:
    """Whether external-domain-tls is enabled, and not disabled for this object."""
    said = _first(wire, DISABLE_TLS_ANNOTATIONS)
    return network.external_domain_tls and said not in _TRUE


def is_plain_redirected(wire: Wire, network: NetworkConfig) -> bool:
    """Whether plain HTTP is to be redirected: by the object's annotation, else by the cluster."""
    said = _first(wire, HTTP_PROTOCOL_ANNOTATIONS).lower()
    return said == "redirected" if said else network.http_redirected


def _first(wire: Wire, names: Sequence[str]) -> str:
    found = annotations_of(wire)
    return next((found[name] for name in names if name in found), "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A certificate to be had."""

    name: str
    hosts: Sequence[str]  #: what it is for
    domain: str  #: the host, or the domain that they are under
    type: str = EXTERNAL_DOMAIN  #: or ``cluster-local-domain``


def make_certificate(
    owner: Wire, label: tuple[str, str], wanted: Wanted, network: NetworkConfig
) -> Wire:
    """The Certificate, kept in a Secret of its own name.

    Args:
        owner: the Route or DomainMapping.
        label: name and value of the label that says whose it is.
        wanted: what is to be had.
        network: gives the class, unless the owner does. No ACME server knows names of the cluster:
            for those our own authority stands in.
    """
    asked = _first(owner, CERTIFICATE_CLASS_ANNOTATIONS) or network.certificate_class
    if wanted.type == CLUSTER_LOCAL_DOMAIN and asked == ACME_CERTIFICATE_CLASS:
        asked = OWN_CERTIFICATE_CLASS
    others = (LAST_APPLIED_ANNOTATION, *CERTIFICATE_CLASS_ANNOTATIONS)
    annotations = {**without(annotations_of(owner), others), CERTIFICATE_CLASS_ANNOTATION: asked}
    return {
        "apiVersion": CERTIFICATE.api_version,
        "kind": CERTIFICATE.kind,
        "metadata": {
            "name": wanted.name,
            "namespace": namespace_of(owner),
            "ownerReferences": [owner_reference(owner)],
            "annotations": annotations,
            "labels": {label[0]: label[1], CERTIFICATE_TYPE_LABEL: wanted.type},
        },
        "spec": {
            "dnsNames": [*wanted.hosts],
            "domain": wanted.domain,
            "secretName": wanted.name,
        },
    }


def class_of(certificate: Wire) -> str:
    """Who is to issue it."""
    return _first(certificate, CERTIFICATE_CLASS_ANNOTATIONS)


def make_serving_certificate(namespace: Wire, network: NetworkConfig) -> Wire:
    """The Certificate that the namespace's instances show to the gateway."""
    asked = network.certificate_class
    inside = OWN_CERTIFICATE_CLASS if asked == ACME_CERTIFICATE_CLASS else asked
    return {
        "apiVersion": CERTIFICATE.api_version,
        "kind": CERTIFICATE.kind,
        "metadata": {
            "name": SERVING_CERTS,
            "namespace": name_of(namespace),
            "ownerReferences": [owner_reference(namespace)],
            "annotations": {CERTIFICATE_CLASS_ANNOTATION: inside},
            "labels": {CERTIFICATE_TYPE_LABEL: SYSTEM_INTERNAL},
        },
        "spec": {
            "dnsNames": names_of_instances(name_of(namespace)),
            "secretName": SERVING_CERTS,
        },
    }


def type_of(certificate: Wire) -> str:
    """Whether it is for hosts reached from outside or from inside."""
    return labels_of(certificate).get(CERTIFICATE_TYPE_LABEL, EXTERNAL_DOMAIN)


def is_owned(wire: Wire, owner: Wire) -> bool:
    """Whether the one is the other's."""
    return (controller_of(wire) or {}).get("uid") == uid_of(owner)


def provisioned(owner: Wire, found: Sequence[Wire], network: NetworkConfig) -> Provisioned:
    """What the owner's status says.

    A certificate that is not there yet does not keep an app from being served: where plain HTTP is
    not redirected its URL is ``http`` until then. (Knative asks the cluster's setting alone; here
    an object whose own annotation redirects is not called ready before it does.) One for names
    inside is always waited for.

    Args:
        owner: the Route or DomainMapping.
        found: for each host the Certificate that there is; may be another owner's.
        network: what ``config-network`` says.
    """
    foreign = [name_of(one) for one in found if not is_owned(one, owner)]
    if foreign:
        said = f"There is an existing certificate {foreign[0]} that we don't own."
        return Provisioned("False", "CertificateNotOwned", said)
    every = frozenset(host for one in found for host in spec_of(one).get("dnsNames") or ())
    waited = [one for one in found if _ready(one).get("status") != "True"]
    missing = {host for one in waited for host in spec_of(one).get("dnsNames") or ()}
    served = every - missing
    if not waited:
        return Provisioned("True", "", "", served, every)
    redirected = is_plain_redirected(owner, network)
    kept = [one for one in waited if redirected or type_of(one) == CLUSTER_LOCAL_DOMAIN]
    if not kept:
        said = f"Certificate {name_of(waited[0])} is not ready downgrade HTTP."
        return Provisioned("True", "HTTPDowngrade", said, served, served)
    first, name = _ready(kept[0]), name_of(kept[0])
    https = every if redirected else served
    why = first.get("reason") or "no issuer has taken it up"
    if first.get("status") == "False":
        said = f"Certificate {name} fails to be provisioned: {why}"
        return Provisioned("False", "CertificateProvisionFailed", said, served, https)
    said = f"Certificate {name} is not ready: {why}"
    return Provisioned("Unknown", "CertificateNotReady", said, served, https)


def mark_certificates(conditions: Conditions, tls: Provisioned) -> None:
    """Mark the condition as it is."""
    match tls.status:
        case "True":
            conditions.mark_true(CERTIFICATE_PROVISIONED, tls.reason, tls.message)
        case "False":
            conditions.mark_false(CERTIFICATE_PROVISIONED, tls.reason, tls.message)
        case _:
            conditions.mark_unknown(CERTIFICATE_PROVISIONED, tls.reason, tls.message)


def _ready(certificate: Wire) -> Mapping[str, str]:
    return condition_of(certificate, "Ready") or {}
