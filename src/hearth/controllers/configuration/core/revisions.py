"""Which Revision belongs to the newest generation, and which is the newest that is ready.

Source: knative.dev/serving pkg/reconciler/configuration/configuration.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hearth.api.meta import (
    Wire,
    generation_of,
    is_condition_true,
    is_controlled_by,
    labels_of,
    name_of,
    spec_of,
    status_of,
)
from hearth.api.names import CONFIGURATION_GENERATION_LABEL


@dataclass(frozen=True, slots=True)
class NameTaken:
    """The name that the template asks for belongs to another revision."""

    name: str


def named_revision(configuration: Wire, found: Wire | None) -> Wire | NameTaken | None:
    """The revision that the template names, if it is this Configuration's.

    Args:
        configuration: the Configuration.
        found: the revision of the template's name, if it has a name and there is one.

    Returns:
        ``found`` if it is of this generation or says the same, None if there is none.
    """
    template = spec_of(configuration).get("template") or {}
    if found is None or not name_of(template):
        return None
    if not is_controlled_by(found, configuration):
        return NameTaken(name_of(found))
    same_generation = generation_label(found) == generation_of(configuration)
    if same_generation or spec_of(template) == spec_of(found):
        return found
    return NameTaken(name_of(found))


def latest_created(configuration: Wire, revisions: Sequence[Wire]) -> Wire | None:
    """The revision of the Configuration's present generation, of those that carry its label."""
    generation = generation_of(configuration)
    return next((one for one in revisions if generation_label(one) == generation), None)


def latest_ready(configuration: Wire, revisions: Sequence[Wire], created: Wire) -> Wire | None:
    """The newest ready revision that is not older than the one which is known to be ready.

    Args:
        configuration: the Configuration.
        revisions: those that carry its label.
        created: its newest revision; with a name of the user's own it counts as the newest
            whatever its generation is.
    """
    named = name_of(spec_of(configuration).get("template") or {})
    known = status_of(configuration).get("latestReadyRevisionName")
    oldest = next((generation_label(one) for one in revisions if name_of(one) == known), 0)

    def age(revision: Wire) -> tuple[bool, int]:
        return bool(named) and name_of(revision) == named, generation_label(revision)

    others = [one for one in revisions if name_of(one) != name_of(created)]
    newest_first = sorted([*others, created], key=age, reverse=True)
    for one in newest_first:
        in_range = oldest <= generation_label(one) <= generation_of(configuration)
        if is_ready(one) and (in_range or age(one)[0]):
            return one
    return None


def is_ready(wire: Wire) -> bool:
    """Whether Ready is True and was said of the present generation."""
    observed = status_of(wire).get("observedGeneration") == generation_of(wire)
    return observed and is_condition_true(wire, "Ready")


def generation_label(revision: Wire) -> int:
    """The Configuration's generation that the revision was made from; 0 if it does not say."""
    label = labels_of(revision).get(CONFIGURATION_GENERATION_LABEL, "")
    return int(label) if label.isdigit() else 0
