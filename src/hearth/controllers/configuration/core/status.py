"""The status of a Configuration.

Source: knative.dev/serving pkg/apis/serving/v1/configuration_lifecycle.go.
"""

from __future__ import annotations

from hearth.api.meta import Wire, condition_of, generation_of, name_of, status_of
from hearth.controllers.core.conditions import Conditions, living

CONFIGURATION_CONDITIONS = living()
_READY = "Ready"


def configuration_status(configuration: Wire, created: Wire, ready: Wire | None, at: str) -> Wire:
    """The new status.

    Args:
        configuration: the Configuration.
        created: the revision of its present generation.
        ready: the newest revision that is ready, if it is newer than the one known before.
        at: RFC 3339 time for conditions that change.
    """
    conditions = Conditions(CONFIGURATION_CONDITIONS, configuration, at)
    status = _observed(configuration)
    status["latestCreatedRevisionName"] = name = name_of(created)
    if status.get("latestReadyRevisionName") != name:
        conditions.mark_unknown(_READY, "", "")
    failed = condition_of(created, _READY) or {}
    if failed.get("status") == "False":
        said = f'Revision "{name}" failed with message: {failed.get("message", "")}.'
        conditions.mark_false(_READY, "RevisionFailed", said)
    if ready is not None:
        status["latestReadyRevisionName"] = name_of(ready)
        if name_of(ready) == name:
            conditions.mark_true(_READY)
    return {**status, "conditions": conditions.to_wire()}


def failed_status(configuration: Wire, why: str, at: str) -> Wire:
    """The new status when the revision cannot be made; ``why`` says what stood against it."""
    conditions = Conditions(CONFIGURATION_CONDITIONS, configuration, at)
    said = f"Revision creation failed with message: {why}."
    conditions.mark_false(_READY, "RevisionFailed", said)
    return {**_observed(configuration), "conditions": conditions.to_wire()}


def _observed(configuration: Wire) -> Wire:
    return {**status_of(configuration), "observedGeneration": generation_of(configuration)}
