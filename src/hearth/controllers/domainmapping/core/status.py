"""The status of a DomainMapping.

As long as a mapping has its claim, what it led to before goes on while a new target is not there.

Source: knative.dev/serving pkg/reconciler/domainmapping/reconciler.go and
pkg/apis/serving/v1beta1/domainmapping_lifecycle.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hearth.api.meta import (
    Wire,
    condition_of,
    generation_of,
    name_of,
    resource_version_of,
    spec_of,
    status_of,
)
from hearth.api.names import (
    HTTP_PROTOCOL_ANNOTATION,
    PROGRAMMED_DOMAINS_ANNOTATION,
    TARGET_ANNOTATION,
)
from hearth.controllers.core.conditions import Conditions, living
from hearth.controllers.core.tls import (
    CERTIFICATE_PROVISIONED,
    Provisioned,
    is_plain_redirected,
    mark_certificates,
)
from hearth.controllers.route.core.domains import Domain
from hearth.controllers.route.core.gateways import ingress_of
from hearth.controllers.route.core.status import Outcome, with_annotations

DOMAIN_CLAIMED = "DomainClaimed"
REFERENCE_RESOLVED = "ReferenceResolved"
INGRESS_READY = "IngressReady"
MAPPING_CONDITIONS = living(
    DOMAIN_CLAIMED, REFERENCE_RESOLVED, INGRESS_READY, CERTIFICATE_PROVISIONED
)
#: The fields of the status that the gateways go by.
_ROUTED = ("url", "annotations")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a DomainMapping's status depends on."""

    claimed: bool  #: its namespace has the ClusterDomainClaim
    tls: Provisioned
    target: str  #: the Route that the reference leads to, empty if there is none
    unresolved: str  #: why there is none
    domain: Domain
    gateways: Sequence[Wire]  #: their Leases
    now: datetime  #: UTC
    at: str  #: ``now`` as RFC 3339


def mapping_status(mapping: Wire, seen: Seen) -> Outcome:
    """The new status, and when to look again though nothing changed."""
    conditions = Conditions(MAPPING_CONDITIONS, mapping, seen.at)
    if status_of(mapping).get("observedGeneration") != generation_of(mapping):
        _mark_not_configured(conditions)
    url = seen.domain.external_url(name_of(mapping), https=bool(seen.tls.https))
    status = {
        **status_of(mapping),
        "observedGeneration": generation_of(mapping),
        "url": url,
        "address": {"url": url},
    }
    if not seen.claimed:
        said = "The domain name is already in use by another DomainMapping"
        conditions.mark_false(DOMAIN_CLAIMED, "DomainAlreadyClaimed", said)
        status = with_annotations(status, {TARGET_ANNOTATION: ""})
        return Outcome({**status, "conditions": conditions.to_wire()})
    conditions.mark_true(DOMAIN_CLAIMED)
    mark_certificates(conditions, seen.tls)
    redirected = is_plain_redirected(mapping, seen.domain.network) and bool(seen.tls.served)
    notes = {HTTP_PROTOCOL_ANNOTATION: "redirected" if redirected else ""}
    status = with_annotations(status, notes)
    if not seen.target:
        conditions.mark_false(REFERENCE_RESOLVED, "ResolveFailed", seen.unresolved)
        return Outcome({**status, "conditions": conditions.to_wire()})
    conditions.mark_true(REFERENCE_RESOLVED)
    status = with_annotations(status, {TARGET_ANNOTATION: seen.target})
    again_after_s = _mark_ingress(conditions, mapping, status, seen)
    return Outcome({**status, "conditions": conditions.to_wire()}, again_after_s)


def _mark_not_configured(conditions: Conditions) -> None:
    said = "Ingress has not yet been reconciled."
    conditions.mark_unknown(INGRESS_READY, "IngressNotConfigured", said)


def _mark_ingress(conditions: Conditions, mapping: Wire, status: Wire, seen: Seen) -> float | None:
    """As for a Route: what is written just now no gateway can have."""
    was = status_of(mapping)
    if any(was.get(field) != status.get(field) for field in _ROUTED) or not _was_claimed(mapping):
        _mark_not_configured(conditions)
        return None
    if (condition_of(mapping, INGRESS_READY) or {}).get("status") == "True" and (
        was.get("observedGeneration") == generation_of(mapping)
    ):
        return None
    version = resource_version_of(mapping)
    ingress = ingress_of(seen.gateways, version, seen.now, PROGRAMMED_DOMAINS_ANNOTATION)
    if ingress.programmed:
        conditions.mark_true(INGRESS_READY)
    elif ingress.reason != (condition_of(mapping, INGRESS_READY) or {}).get("reason"):
        conditions.mark_unknown(INGRESS_READY, ingress.reason, ingress.message)
    return ingress.again_after_s


def _was_claimed(mapping: Wire) -> bool:
    return (condition_of(mapping, DOMAIN_CLAIMED) or {}).get("status") == "True"


def waits(mapping: Wire) -> bool:
    """Whether the mapping waits for the gateways."""
    return (condition_of(mapping, INGRESS_READY) or {}).get("status") != "True"


def refers_to(mapping: Wire) -> str:
    """The name that the mapping's reference has."""
    return str((spec_of(mapping).get("ref") or {}).get("name") or "")
