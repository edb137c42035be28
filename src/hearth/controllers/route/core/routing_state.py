"""Which revisions and configurations a Route marks as its own.

A revision that some Route refers to is ``active``, another one ``reserve``; the routes are listed
in an annotation of the revision and of its configuration.

Source: knative.dev/serving pkg/reconciler/labeler.
"""

from __future__ import annotations

from dataclasses import dataclass

from hearth.api.meta import (
    Wire,
    annotations_of,
    condition_of,
    controller_of,
    labels_of,
    spec_of,
    status_of,
)
from hearth.api.names import (
    ROUTES_ANNOTATION,
    ROUTING_STATE_LABEL,
    ROUTING_STATE_MODIFIED_ANNOTATION,
)
from hearth.controllers.core.metadata import listed
from hearth.controllers.route.core.traffic import Targets


@dataclass(frozen=True, slots=True)
class Marked:
    """The names of what a Route refers to."""

    revisions: frozenset[str] = frozenset()
    configurations: frozenset[str] = frozenset()


def referenced(route: Wire, known: Targets) -> Marked:
    """What the Route's spec and status refer to, of what there is.

    The newest revision of a configuration counts as soon as it is made, so that it need not be
    marked when it becomes ready.
    """
    revisions: set[str] = set()
    configurations: set[str] = set()
    for target in [
        *(status_of(route).get("traffic") or ()),
        *(spec_of(route).get("traffic") or ()),
    ]:
        configuration = target.get("configurationName")
        if name := target.get("revisionName"):
            revision = known.revision(name)
            if revision is None:
                continue
            revisions.add(name)
            owner = controller_of(revision) or {}
            configuration = owner["name"] if owner.get("kind") == "Configuration" else configuration
        found = known.configuration(configuration) if configuration else None
        if found is None:
            continue
        configurations.add(str(configuration))
        newest = status_of(found).get("latestCreatedRevisionName")
        if newest and target.get("latestRevision") and known.revision(newest) is not None:
            revisions.add(newest)
    return Marked(frozenset(revisions), frozenset(configurations))


def may_clear(route: Wire) -> bool:
    """Whether marks of before may go: once the Route is Ready, or has failed, as it is now."""
    ready = (condition_of(route, "Ready") or {}).get("status")
    observed = status_of(route).get("observedGeneration")
    return ready in ("True", "False") and observed == route["metadata"].get("generation")


def mark_revision(revision: Wire, route: str, at: str, *, wanted: bool) -> Wire | None:
    """The merge patch that adds the route to the revision, or removes it; None if it is so."""
    routes = _routes(revision, route, wanted=wanted)
    state = "active" if routes else "reserve"
    annotations = _annotations(revision, routes)
    labels = {}
    if labels_of(revision).get(ROUTING_STATE_LABEL) != state:
        labels[ROUTING_STATE_LABEL] = state
        annotations[ROUTING_STATE_MODIFIED_ANNOTATION] = at
    changed = {"labels": labels, "annotations": annotations}
    meta = {field: values for field, values in changed.items() if values}
    return {"metadata": meta} if meta else None


def mark_configuration(configuration: Wire, route: str, *, wanted: bool) -> Wire | None:
    """As :func:`mark_revision`; a configuration has no routing state."""
    annotations = _annotations(configuration, _routes(configuration, route, wanted=wanted))
    return {"metadata": {"annotations": annotations}} if annotations else None


def _routes(wire: Wire, route: str, *, wanted: bool) -> list[str]:
    others = [name for name in listed(annotations_of(wire), ROUTES_ANNOTATION) if name != route]
    return sorted([*others, route]) if wanted else others


def _annotations(wire: Wire, routes: list[str]) -> dict[str, str | None]:
    if routes == listed(annotations_of(wire), ROUTES_ANNOTATION):
        return {}
    return {ROUTES_ANNOTATION: ",".join(routes) or None}
