"""networking.internal.knative.dev/v1alpha1: ClusterDomainClaim and Certificate.

Source: knative.dev/networking pkg/apis/networking/v1alpha1.
"""

from __future__ import annotations

import zlib

from msgspec import field

from hearth.api.core import Object
from hearth.api.errors import FieldError
from hearth.api.inside import namespace_of_instances
from hearth.api.kinds import CERTIFICATE, CLUSTER_DOMAIN_CLAIM
from hearth.api.meta import Wire, spec_of, uid_of
from hearth.api.names import CLUSTER_DOMAIN
from hearth.api.registry import Column, Resource, condition
from hearth.api.serving.faults import missing
from hearth.api.serving.views import Status
from hearth.api.views import View


def route_certificate(route: Wire, tag: str = "") -> str:
    """The name of the Certificate, and of its Secret, for a Route's or a tag's own host.

    Source: knative.dev/serving pkg/reconciler/route/resources/certificate.go.
    """
    return f"route-{uid_of(route)}" + (f"-{zlib.adler32(tag.encode())}" if tag else "")


class ClusterDomainClaimSpec(View, frozen=True):
    """Who may use the domain."""

    namespace: str | None = None


class ClusterDomainClaim(Object, frozen=True):
    """A reservation of a domain name, the object's name, for one namespace."""

    spec: ClusterDomainClaimSpec | None = None


class CertificateSpec(View, frozen=True):
    """What a certificate is for, and where it is kept."""

    dns_names: list[str] | None = field(name="dnsNames", default=None)
    domain: str | None = None
    secret_name: str | None = None


class HTTP01Challenge(View, frozen=True):
    """What must be answered at a URL to show that the domain is ours."""

    url: str | None = None
    service_name: str | None = None
    service_namespace: str | None = None
    service_port: int | str | None = None
    key_authorization: str | None = None  #: ours: the gateway itself answers with it


class CertificateStatus(Status, frozen=True):
    """Whether the Secret holds a certificate that can be used."""

    not_after: str | None = None
    http01_challenges: list[HTTP01Challenge] | None = field(name="http01Challenges", default=None)


class Certificate(Object, frozen=True):
    """A certificate to be had for host names, kept in a Secret of its namespace."""

    spec: CertificateSpec | None = None
    status: CertificateStatus | None = None


def is_of_another_namespace(host: str, namespace: str) -> bool:
    """Whether the name is of the inside and says that it is another namespace's."""
    if (owner := namespace_of_instances(host)) is not None:
        return owner != namespace
    for suffix in (f".{CLUSTER_DOMAIN}", ".svc"):
        if host.endswith(suffix):
            return host.removesuffix(suffix).rpartition(".")[2] != namespace
    return False


def validate_claim(wire: Wire, old: Wire | None) -> list[FieldError]:
    """A claim must say for which namespace it is."""
    return [] if spec_of(wire).get("namespace") else [missing("spec.namespace")]


def validate_certificate(wire: Wire, old: Wire | None) -> list[FieldError]:
    """A certificate must name its hosts and its Secret."""
    spec, faults = spec_of(wire), []
    names = spec.get("dnsNames")
    if not names:
        faults.append(missing("spec.dnsNames"))
    faults += [missing(f"spec.dnsNames[{at}]") for at, name in enumerate(names or ()) if not name]
    if not spec.get("secretName"):
        faults.append(missing("spec.secretName"))
    return faults


_READY = (
    Column("Ready", condition("Ready", "status")),
    Column("Reason", condition("Ready", "reason")),
)
_CATEGORIES = ("knative-internal", "networking")

RESOURCES = (
    Resource(
        CLUSTER_DOMAIN_CLAIM, ClusterDomainClaim, "clusterdomainclaim", ("cdc",), _CATEGORIES,
        frozenset(), (), validate=validate_claim,
    ),
    Resource(
        CERTIFICATE, Certificate, "certificate", ("kcert",), _CATEGORIES, frozenset({"status"}),
        _READY, validate=validate_certificate,
    ),
)  # fmt: skip
