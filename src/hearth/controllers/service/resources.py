"""The Configuration and the Route of a Service.

Source: knative.dev/serving pkg/reconciler/service/resources.
"""

from __future__ import annotations

from typing import Any

from hearth.api.kinds import CONFIGURATION, ROUTE
from hearth.api.meta import (
    Wire,
    annotations_of,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    spec_of,
    uid_of,
)
from hearth.api.names import ROUTES_ANNOTATION, SERVICE_LABEL, SERVICE_UID_LABEL
from hearth.controllers.core.metadata import (
    LAST_APPLIED_ANNOTATION,
    ROLLOUT_DURATION_ANNOTATIONS,
    listed,
    without,
)


def make_configuration(service: Wire, existing: Wire | None = None) -> Wire:
    """The Configuration; it keeps the routes that ``existing`` is annotated with."""
    own = {SERVICE_LABEL: name_of(service), SERVICE_UID_LABEL: uid_of(service)}
    annotations = without(
        annotations_of(service), (LAST_APPLIED_ANNOTATION, *ROLLOUT_DURATION_ANNOTATIONS)
    )
    routes = {name_of(service), *listed(annotations_of(existing or {}), ROUTES_ANNOTATION)}
    annotations[ROUTES_ANNOTATION] = ",".join(sorted(routes))
    return {
        "apiVersion": CONFIGURATION.api_version,
        "kind": CONFIGURATION.kind,
        "metadata": _metadata(service, {**labels_of(service), **own}, annotations),
        "spec": {"template": spec_of(service).get("template") or {}},
    }


def make_route(service: Wire) -> Wire:
    """The Route; targets without a revision mean the Service's own Configuration."""
    labels = {**labels_of(service), SERVICE_LABEL: name_of(service)}
    annotations = without(annotations_of(service), (LAST_APPLIED_ANNOTATION,))
    traffic = [
        target if target.get("revisionName") else {**target, "configurationName": name_of(service)}
        for target in spec_of(service).get("traffic") or ()
    ]
    return {
        "apiVersion": ROUTE.api_version,
        "kind": ROUTE.kind,
        "metadata": _metadata(service, labels, annotations),
        "spec": {"traffic": traffic},
    }


def _metadata(service: Wire, labels: dict[str, str], annotations: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name_of(service),
        "namespace": namespace_of(service),
        "ownerReferences": [owner_reference(service)],
        "labels": labels,
        "annotations": annotations,
    }
