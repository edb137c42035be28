"""The status of a Route.

A Route whose targets cannot be had keeps the traffic it had: the gateways go on with it.

Source: knative.dev/serving pkg/reconciler/route/route.go and
pkg/apis/serving/v1/route_lifecycle.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from hearth.api.meta import (
    Wire,
    condition_of,
    generation_of,
    resource_version_of,
    status_of,
)
from hearth.api.names import HTTP_PROTOCOL_ANNOTATION, TAG_HEADERS_ANNOTATION, TAG_HOSTS_ANNOTATION
from hearth.controllers.core.conditions import Conditions, living
from hearth.controllers.core.tls import (
    CERTIFICATE_PROVISIONED,
    NOT_FOR_LOCAL,
    PLAIN,
    Provisioned,
    is_plain_redirected,
    mark_certificates,
    wants_certificates,
)
from hearth.controllers.route.core.domains import BadHostError, Domain
from hearth.controllers.route.core.gateways import ingress_of
from hearth.controllers.route.core.gradual import (
    ROLLOUT_ANNOTATION,
    Gradual,
    Moment,
    gradual,
    rollout_duration_s,
)
from hearth.controllers.route.core.placeholders import as_local
from hearth.controllers.route.core.traffic import BadTarget, Target
from hearth.kit.times import unix_ns

TRAFFIC_ASSIGNED = "AllTrafficAssigned"
INGRESS_READY = "IngressReady"
#: The fields of the status that the gateways go by.
_ROUTED = ("traffic", "url", "annotations")
_LOOK_AGAIN_S = 10.0  #: for a Service of another's to be gone: it is not watched
ROUTE_CONDITIONS = living(TRAFFIC_ASSIGNED, INGRESS_READY, CERTIFICATE_PROVISIONED)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a Route's status depends on."""

    traffic: list[Target] | BadTarget
    gateways: Sequence[Wire]  #: Leases of the gateways that serve it
    domain: Domain
    now: datetime  #: UTC
    at: str  #: ``now`` as RFC 3339
    configuration_of: Callable[[str], str] = lambda _: ""  #: of a revision; empty if unknown
    tls: Provisioned = PLAIN
    local: frozenset[str] = frozenset()  #: tags, or "", that are reached from inside alone
    taken: str = ""  #: the name of a placeholder Service that is another's


@dataclass(frozen=True, slots=True)
class Outcome:
    """The new status, and when to look again though nothing changed."""

    status: Wire
    again_after_s: float | None = None


def route_status(route: Wire, seen: Seen) -> Outcome:
    """The new status of the Route."""
    conditions = Conditions(ROUTE_CONDITIONS, route, seen.at)
    is_new = status_of(route).get("observedGeneration") != generation_of(route)
    status = {**status_of(route), "observedGeneration": generation_of(route)}
    traffic = seen.traffic
    now = Gradual([])
    try:
        status["url"] = _url(route, "", seen)
        if not isinstance(traffic, BadTarget):
            now = _gradual(route, traffic, seen)
            status["traffic"] = [_target(route, target, seen) for target in now.targets]
    except BadHostError as error:
        traffic = BadTarget("False", "ErrorConfig", str(error))
    if isinstance(traffic, BadTarget):
        if is_new:
            said = "Ingress has not yet been reconciled."
            conditions.mark_unknown(INGRESS_READY, "IngressNotConfigured", said)
        _mark_bad(conditions, traffic)
        return Outcome({**status, "conditions": conditions.to_wire()})
    by_header = seen.domain.features.tag_header_based_routing and any(t.tag for t in traffic)
    notes = {
        HTTP_PROTOCOL_ANNOTATION: "redirected" if _is_redirected(route, seen) else "",
        TAG_HOSTS_ANNOTATION: _tag_hosts(route, traffic, seen),
        TAG_HEADERS_ANNOTATION: "enabled" if by_header else "",
        ROLLOUT_ANNOTATION: now.note,
    }
    status = with_annotations(status, notes)
    status["address"] = {"url": _address(route, seen)}
    conditions.mark_true(TRAFFIC_ASSIGNED)
    mark_certificates(conditions, _tls(route, seen))
    again_after_s: float | None
    if seen.taken:
        said = f'There is an existing placeholder Service "{seen.taken}" that we do not own.'
        conditions.mark_false(INGRESS_READY, "NotOwned", said)
        again_after_s = _LOOK_AGAIN_S
    elif now.note:
        said = "A gradual rollout of the latest revision(s) is in progress."
        conditions.mark_unknown(INGRESS_READY, "RolloutInProgress", said)
        again_after_s = now.again_after_s
        if again_after_s is None:  # it waits for the gateways
            ingress = ingress_of(seen.gateways, resource_version_of(route), seen.now)
            again_after_s = ingress.again_after_s
    else:
        again_after_s = _mark_ingress(conditions, route, status, seen)
    return Outcome({**status, "conditions": conditions.to_wire()}, again_after_s)


def _url(route: Wire, tag: str, seen: Seen) -> str:
    route = as_local(route) if tag in seen.local else route
    return seen.domain.url(route, tag, https=seen.domain.host(route, tag) in seen.tls.https)


def _address(route: Wire, seen: Seen) -> str:
    """Where the Route is reached from inside."""
    https = seen.domain.inside_hosts(route)[0] in seen.tls.https
    return seen.domain.url(as_local(route), https=https)


def _is_redirected(route: Wire, seen: Seen) -> bool:
    if seen.domain.is_local(route):  # requests from inside are never redirected
        return False
    wanted = is_plain_redirected(route, seen.domain.network)
    return wanted and seen.domain.host(route) in seen.tls.served


def _tls(route: Wire, seen: Seen) -> Provisioned:
    network = seen.domain.network
    local = seen.domain.is_local(route) and not network.cluster_local_domain_tls
    if local and wants_certificates(route, network):
        return replace(seen.tls, message=NOT_FOR_LOCAL)
    return seen.tls


def _gradual(route: Wire, traffic: Sequence[Target], seen: Seen) -> Gradual:
    moment = Moment(
        rollout_duration_s(route, seen.domain.network.rollout_duration_s),
        unix_ns(seen.now),
        ingress_of(seen.gateways, resource_version_of(route), seen.now).programmed,
        seen.configuration_of,
    )
    return gradual(route, traffic, moment)


def _mark_bad(conditions: Conditions, bad: BadTarget) -> None:
    if bad.status == "False":
        conditions.mark_false(TRAFFIC_ASSIGNED, bad.reason, bad.message)
    else:
        conditions.mark_unknown(TRAFFIC_ASSIGNED, bad.reason, bad.message)


def _mark_ingress(conditions: Conditions, route: Wire, status: Wire, seen: Seen) -> float | None:
    """Mark whether the gateways have this traffic; returns when to look again, if so.

    What is written just now no gateway can have; what was written before has at most the
    resourceVersion that the Route was read with.
    """
    was = status_of(route)
    if any(was.get(field) != status.get(field) for field in _ROUTED):
        said = "The gateways have not been programmed yet."
        conditions.mark_unknown(INGRESS_READY, "GatewayNotProgrammed", said)
        return None
    if (condition_of(route, INGRESS_READY) or {}).get("status") == "True":
        return None
    ingress = ingress_of(seen.gateways, resource_version_of(route), seen.now)
    if ingress.programmed:
        conditions.mark_true(INGRESS_READY)
    elif ingress.reason != (condition_of(route, INGRESS_READY) or {}).get("reason"):
        # Only when the reason changes: every write moves the version that is waited for.
        conditions.mark_unknown(INGRESS_READY, ingress.reason, ingress.message)
    return ingress.again_after_s


def with_annotations(status: Wire, values: Mapping[str, str]) -> Wire:
    """The status with these annotations; those with an empty value are not there."""
    others = {k: v for k, v in (status.get("annotations") or {}).items() if k not in values}
    annotations = {**others, **{name: value for name, value in values.items() if value}}
    bare = {field: value for field, value in status.items() if field != "annotations"}
    return {**bare, "annotations": annotations} if annotations else bare


def _tag_hosts(route: Wire, traffic: Sequence[Target], seen: Seen) -> str:
    return seen.domain.tag_hosts(route, sorted({target.tag for target in traffic if target.tag}))


def _target(route: Wire, target: Target, seen: Seen) -> Wire:
    wire: Wire = {
        "revisionName": target.revision,
        "percent": target.percent,
        "latestRevision": target.latest,
    }
    if target.tag:
        wire |= {"tag": target.tag, "url": _url(route, target.tag, seen)}
    return wire
