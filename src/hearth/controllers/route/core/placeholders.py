"""The core Services that stand for a Route and its tags.

They keep the names from being taken, and whoever looks for Services finds them. Where our own node
resolves names, nothing goes through them: inside, a name leads to the gateway. On a cluster its DNS
reads them: they name the gateways. A user who labels one ``cluster-local`` keeps
that tag (or the Route's own host) from the outside.

Source: knative.dev/serving pkg/reconciler/route/resources/service.go and
pkg/reconciler/route/visibility.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hearth.api.kinds import CORE_SERVICE
from hearth.api.meta import (
    Wire,
    annotations_of,
    is_controlled_by,
    labels_of,
    metadata,
    name_of,
    namespace_of,
    owner_reference,
)
from hearth.api.names import CLUSTER_LOCAL, ROUTE_LABEL, VISIBILITY_LABEL
from hearth.controllers.core.metadata import LAST_APPLIED_ANNOTATION, without
from hearth.controllers.route.core.domains import Domain
from hearth.controllers.route.core.traffic import Target


def make_placeholders(route: Wire, targets: Sequence[Target], domain: Domain) -> list[Wire]:
    """One for the Route, then one a tag.

    Raises:
        BadHostError: the templates make no host name.
    """
    tags = sorted({target.tag for target in targets if target.tag})
    return [_placeholder(route, tag, domain) for tag in ("", *tags)]


def brought_up_to_date(existing: Wire, desired: Wire) -> Wire | None:
    """The existing one with all that is desired, and what users added; None when it has that."""
    labels = {**labels_of(existing), **labels_of(desired)}
    annotations = {**annotations_of(existing), **annotations_of(desired)}
    spec = {**(existing.get("spec") or {}), **desired["spec"]}
    meta = {**metadata(existing), "labels": labels, "annotations": annotations}
    same = (labels_of(existing), annotations_of(existing)) == (labels, annotations)
    if same and (existing.get("spec") or {}).get("externalName") == spec["externalName"]:
        return None
    return {**existing, "metadata": meta, "spec": spec}


def local_tags(
    route: Wire, tags: Iterable[str], services: Iterable[Wire], domain: Domain
) -> frozenset[str]:
    """The tags, and ``""`` for the Route's own host, that are to be reached from inside alone."""
    local = {
        name_of(one)
        for one in services
        if is_controlled_by(one, route) and labels_of(one).get(VISIBILITY_LABEL) == CLUSTER_LOCAL
    }
    return frozenset(tag for tag in ("", *tags) if domain.short_name(route, tag) in local)


def as_local(route: Wire) -> Wire:
    """The Route as if it were labelled to be reached from inside alone."""
    labels = {**labels_of(route), VISIBILITY_LABEL: CLUSTER_LOCAL}
    return {**route, "metadata": {**metadata(route), "labels": labels}}


def _placeholder(route: Wire, tag: str, domain: Domain) -> Wire:
    labels = {**without(labels_of(route), (VISIBILITY_LABEL,)), ROUTE_LABEL: name_of(route)}
    port = {
        "name": "http2", "appProtocol": "kubernetes.io/h2c", "protocol": "TCP",
        "port": 80, "targetPort": 80,
    }  # fmt: skip
    return {
        "apiVersion": CORE_SERVICE.api_version,
        "kind": CORE_SERVICE.kind,
        "metadata": {
            "name": domain.short_name(route, tag),
            "namespace": namespace_of(route),
            "ownerReferences": [owner_reference(route)],
            "labels": labels,
            "annotations": without(annotations_of(route), (LAST_APPLIED_ANNOTATION,)),
        },
        "spec": {
            "type": "ExternalName",
            "externalName": _leads_to(route, tag, domain),
            "sessionAffinity": "None",
            "ports": [port],
        },
    }


def _leads_to(route: Wire, tag: str, domain: Domain) -> str:
    """Where the cluster's DNS sends whoever asks for the Service.

    Raises:
        BadHostError: the templates make no host name.
    """
    host = domain.host(route, tag)
    return domain.inside or host
