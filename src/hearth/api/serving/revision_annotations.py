"""Annotations of a revision's template that are neither the autoscaler's nor ours.

Those about the queue-proxy are held to Knative's rules and change nothing: there is none here.

Source: knative.dev/serving pkg/apis/serving/v1/revision_validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from hearth.api.durations import parse_duration_s
from hearth.api.errors import FieldError
from hearth.api.quantities import parse_quantity
from hearth.api.serving.faults import Faults, out_of_bounds, wrong

PROGRESS_DEADLINE = "serving.knative.dev/progress-deadline"
_SIDECAR = "queue.sidecar.serving.knative.dev/"
_PERCENTAGES = (f"{_SIDECAR}resource-percentage", f"{_SIDECAR}resourcePercentage")
_AMOUNTS = tuple(
    f"{_SIDECAR}{amount}-resource-{bound}"
    for amount in ("cpu", "memory", "ephemeral-storage")
    for bound in ("request", "limit")
)


def revision_annotation_faults(annotations: Mapping[str, str], path: str) -> Faults:
    """What is wrong with the annotations, in Knative's words."""
    for name in _PERCENTAGES:
        if (text := annotations.get(name)) is not None:
            yield from _percentage(str(text), f"{path}[{name}]")
    for name in _AMOUNTS:
        if (text := annotations.get(name)) is not None:
            try:
                parse_quantity(str(text))
            except ValueError:
                yield wrong(f"{path}[{name}]", text)
    yield from _deadline(str(annotations.get(PROGRESS_DEADLINE) or ""), path)


def sidecar_notices(annotations: Mapping[str, str], path: str) -> list[str]:
    """Warnings about annotations that Knative has given up."""
    said = (
        "Queue proxy resource percentage annotation is deprecated. Please use the available "
        "annotations to explicitly set resource values per service"
    )
    return [f"{said}: {path}[{name}]" for name in _PERCENTAGES if name in annotations]


def _percentage(text: str, path: str) -> Faults:
    try:
        value = float(text)
    except ValueError:
        yield wrong(path, text)
        return
    if not 0.1 <= value <= 100:
        yield out_of_bounds(path, f"{value:g}", 0.1, 100)


def _deadline(text: str, path: str) -> Faults:
    if not text:
        return
    at = f"{path}.{PROGRESS_DEADLINE}"
    try:
        deadline_s = parse_duration_s(text.removeprefix("-"))
    except ValueError:
        yield wrong(at, text)
        return
    if deadline_s != int(deadline_s):
        yield FieldError(at, f"progress-deadline={text} is not at second precision: {at}")
    elif text.startswith("-") and deadline_s:
        yield FieldError(at, f"progress-deadline={text} must be positive: {at}")
