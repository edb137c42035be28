"""Whether what a Certificate's Secret holds is good, when to renew it, and the status.

A certificate is renewed when a third of its life is left. One that cannot be renewed is served, and
called ready, until it ends.

Source of the conditions: knative.dev/networking pkg/apis/networking/v1alpha1/certificate_types.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hearth.api.kinds import SECRET
from hearth.api.meta import (
    Wire,
    annotations_of,
    generation_of,
    name_of,
    namespace_of,
    owner_reference,
    resource_version_of,
    spec_of,
    status_of,
    uid_of,
)
from hearth.api.names import (
    PROGRAMMED_CERTIFICATES_ANNOTATION,
    PROGRAMMED_SECRETS_ANNOTATION,
    TLS_SECRET,
)
from hearth.api.tls import data_of, pair_of
from hearth.controllers.core.conditions import Conditions, living
from hearth.controllers.core.tls import class_of, is_owned
from hearth.controllers.route.core.gateways import ingress_of
from hearth.kit.times import rfc3339
from hearth.kit.x509 import Pair, read_pair

CONDITIONS = living()
_RENEW_SHARE = 3  #: renewed when one part of so many is left
_UID_LABEL = "networking.internal.knative.dev/certificate-uid"
_CLASS_ANNOTATION = "hearth.dev/issued-by"


@dataclass(frozen=True, slots=True)
class Held:
    """What the Secret holds that can be used."""

    not_after: datetime
    renew_at: datetime


def held(certificate: Wire, secret: Wire | None) -> Held | None:
    """None if there is nothing, or not what the Certificate asks for."""
    if secret is None or annotations_of(secret).get(_CLASS_ANNOTATION) != class_of(certificate):
        return None
    try:
        facts = read_pair(pair_of(secret))
    except ValueError:
        return None
    if not all(facts.covers(host) for host in hosts_of(certificate)):
        return None
    left = (facts.not_after - facts.not_before) / _RENEW_SHARE
    return Held(facts.not_after, facts.not_after - left)


def hosts_of(certificate: Wire) -> list[str]:
    """What it is for."""
    return [str(host) for host in spec_of(certificate).get("dnsNames") or ()]


def is_foreign(certificate: Wire, secret: Wire | None) -> bool:
    """Whether the Secret is there already and somebody else's."""
    return secret is not None and not is_owned(secret, certificate)


def make_secret(certificate: Wire, pair: Pair, authority: bytes) -> Wire:
    """The Secret; ``authority`` is the certificate to trust, empty if all know it."""
    return {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": {
            "name": str(spec_of(certificate).get("secretName")),
            "namespace": namespace_of(certificate),
            "ownerReferences": [owner_reference(certificate)],
            "labels": {_UID_LABEL: uid_of(certificate)},
            "annotations": {_CLASS_ANNOTATION: class_of(certificate)},
        },
        "type": TLS_SECRET,
        "data": data_of(pair, authority),
    }


@dataclass(frozen=True, slots=True)
class Seen:
    """What a Certificate's status depends on."""

    held: Held | None
    secret: Wire | None
    gateways: Sequence[Wire]  #: their Leases
    now: datetime  #: UTC
    fault: tuple[str, str] = ("", "")  #: reason and message of what keeps it from being had
    challenges: Sequence[Wire] = ()


def certificate_status(certificate: Wire, seen: Seen) -> Wire:
    """The new status. It is ready once the gateways serve it, and stays so while it is renewed."""
    conditions = Conditions(CONDITIONS, certificate, rfc3339(seen.now))
    status = {**status_of(certificate), "observedGeneration": generation_of(certificate)}
    status.pop("http01Challenges", None)
    if seen.challenges:
        status["http01Challenges"] = list(seen.challenges)
    good = seen.held is not None and seen.held.not_after > seen.now
    if good and seen.held is not None:
        status["notAfter"] = rfc3339(seen.held.not_after)
    reason, said = seen.fault
    if good and (_is_ready(conditions) or _is_served(certificate, seen)):
        conditions.mark_true("Ready")
    elif good:
        said = "The gateways do not serve it yet."
        conditions.mark_unknown("Ready", "GatewayNotProgrammed", said)
    elif reason:
        conditions.mark_false("Ready", reason, said)
    else:
        said = f"Waiting for {class_of(certificate)} to issue it."
        conditions.mark_unknown("Ready", "Issuing", said)
    return {**status, "conditions": conditions.to_wire()}


def _is_ready(conditions: Conditions) -> bool:
    return conditions.is_true("Ready")


def _is_served(certificate: Wire, seen: Seen) -> bool:
    if seen.secret is None:
        return False
    for wire, noted in (
        (certificate, PROGRAMMED_CERTIFICATES_ANNOTATION),
        (seen.secret, PROGRAMMED_SECRETS_ANNOTATION),
    ):
        if not ingress_of(seen.gateways, resource_version_of(wire), seen.now, noted).programmed:
            return False
    return True


def waits(certificate: Wire) -> bool:
    """Whether it waits for the gateways."""
    found = status_of(certificate).get("conditions") or ()
    return any(one.get("reason") in ("GatewayNotProgrammed", "Issuing") for one in found)


def named(certificate: Wire) -> str:
    """For messages: ``NAMESPACE/NAME``."""
    return f"{namespace_of(certificate)}/{name_of(certificate)}"
