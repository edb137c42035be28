"""The status of a Service: that of its Configuration and its Route.

Source: knative.dev/serving pkg/reconciler/service/service.go and
pkg/apis/serving/v1/service_lifecycle.go.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from hearth.api.meta import (
    Wire,
    condition_of,
    generation_of,
    is_controlled_by,
    name_of,
    spec_of,
    status_of,
)
from hearth.controllers.configuration.core.revisions import NameTaken, named_revision
from hearth.controllers.core.conditions import Conditions, living

CONFIGURATIONS_READY = "ConfigurationsReady"
ROUTES_READY = "RoutesReady"
SERVICE_CONDITIONS = living(CONFIGURATIONS_READY, ROUTES_READY)

_CONFIGURATION_FIELDS = ("latestCreatedRevisionName", "latestReadyRevisionName")
_ROUTE_FIELDS = ("url", "address", "traffic")


class Gate(Enum):
    """Whether the Route may follow the Configuration now."""

    OPEN = "open"
    NOT_OWNED = "the Configuration is another's"
    WAITING = "a revision with a name of its own is not made yet"
    NAME_TAKEN = "the revision's name belongs to another"


@dataclass(frozen=True, slots=True)
class Children:
    """What belongs to a Service, as observed."""

    configuration: Wire
    gate: Gate
    route: Wire | None  #: None exactly when the gate is not open


def route_gate(service: Wire, configuration: Wire, revision: Wire | None) -> Gate:
    """Whether the Route may be written.

    With a revision name of the user's own the Route waits for the Configuration, so that no traffic
    goes to a revision of that name which was there before.

    Args:
        service: the Service.
        configuration: the one of its name.
        revision: the revision that the template names, if there is one.
    """
    if not is_controlled_by(configuration, service):
        return Gate.NOT_OWNED
    if _is_out_of_date(configuration) and _revision_name(configuration):
        return Gate.WAITING
    if isinstance(named_revision(configuration, revision), NameTaken):
        return Gate.NAME_TAKEN
    return Gate.OPEN


def service_status(service: Wire, children: Children, at: str) -> Wire:
    """The new status; ``at`` is the RFC 3339 time for conditions that change."""
    conditions = Conditions(SERVICE_CONDITIONS, service, at)
    status = {**status_of(service), "observedGeneration": generation_of(service)}
    _mark_configuration(status, conditions, children)
    _mark_route(status, conditions, service, children)
    return {**status, "conditions": conditions.to_wire()}


def _mark_configuration(status: Wire, conditions: Conditions, children: Children) -> None:
    configuration = children.configuration
    if children.gate is Gate.NOT_OWNED:
        said = f'There is an existing Configuration "{name_of(configuration)}" that we do not own.'
        conditions.mark_false(CONFIGURATIONS_READY, "NotOwned", said)
    elif _is_out_of_date(configuration):
        said = "The Configuration is still working to reflect the latest desired specification."
        conditions.mark_unknown(CONFIGURATIONS_READY, "OutOfDate", said)
    else:
        _mirror(status, configuration, _CONFIGURATION_FIELDS)
        conditions.copy(CONFIGURATIONS_READY, condition_of(configuration, "Ready"))


def _mark_route(status: Wire, conditions: Conditions, service: Wire, children: Children) -> None:
    route = children.route
    if children.gate is Gate.NAME_TAKEN:
        name = _revision_name(children.configuration)
        said = (
            f'The revision name "{name}" is taken by a conflicting Revision, '
            "so traffic will not be migrated"
        )
        conditions.mark_false(ROUTES_READY, "RevisionNameTaken", said)
    if route is None:
        return
    if not is_controlled_by(route, service):
        said = f'There is an existing Route "{name_of(route)}" that we do not own.'
        conditions.mark_false(ROUTES_READY, "NotOwned", said)
    elif _is_out_of_date(route):
        said = "The Route is still working to reflect the latest desired specification."
        conditions.mark_unknown(ROUTES_READY, "OutOfDate", said)
    else:
        _mirror(status, route, _ROUTE_FIELDS)
        conditions.copy(ROUTES_READY, condition_of(route, "Ready"))
        if conditions.is_true(ROUTES_READY) and not _has_migrated(route, children.configuration):
            said = "Traffic is not yet migrated to the latest revision."
            conditions.mark_unknown(ROUTES_READY, "TrafficNotMigrated", said)


def _mirror(status: Wire, child: Wire, fields: tuple[str, ...]) -> None:
    for field in fields:
        if field in status_of(child):
            status[field] = status_of(child)[field]
        else:
            status.pop(field, None)


def _has_migrated(route: Wire, configuration: Wire) -> bool:
    """Whether the Route's traffic is what it asks for, given the newest ready revision."""
    latest = status_of(configuration).get("latestReadyRevisionName")
    return _shares(spec_of(route), latest) == _shares(status_of(route), latest)


def _shares(holder: Wire, latest: str | None) -> Counter[tuple[str, str]]:
    """Percent by tag and revision."""
    shares: Counter[tuple[str, str]] = Counter()
    for target in holder.get("traffic") or ():
        revision = str(target.get("revisionName") or latest)
        shares[str(target.get("tag") or ""), revision] += int(target.get("percent") or 0)
    return shares


def _is_out_of_date(wire: Wire) -> bool:
    return generation_of(wire) != status_of(wire).get("observedGeneration")


def _revision_name(configuration: Wire) -> str:
    return name_of(spec_of(configuration).get("template") or {})
