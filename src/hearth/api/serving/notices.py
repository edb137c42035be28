"""What a manifest asks for and does not get here yet: said as warnings on admission.

Nothing is silently ignored: whoever applies such a manifest is told what it does instead.
"""

from __future__ import annotations

from hearth.api.meta import Wire, annotations_of, spec_of
from hearth.api.serving.annotations import canonical, unknown_annotations

_ROLLOUT = ("serving.knative.dev/rollout-duration", "serving.knative.dev/rolloutDuration")


def template_notices(wire: Wire) -> list[str]:
    """Warnings about a Service's or Configuration's template, and the Service itself."""
    template = spec_of(wire).get("template")
    if not isinstance(template, dict):
        return []
    said = _spec_notices(spec_of(template))
    if any(canonical(name) == "target-burst-capacity" for name in annotations_of(template)):
        said.append("target-burst-capacity has no effect: no request takes a detour when warm")
    said += [
        f"{name} is no annotation of the autoscaler's: it has no effect"
        for name in unknown_annotations(annotations_of(template))
    ]
    if any(name in annotations_of(wire) for name in _ROLLOUT):
        said.append("rollout-duration has no effect yet: traffic moves at once")
    return said


def _spec_notices(spec: Wire) -> list[str]:
    said = []
    if spec.get("containerConcurrency"):
        said.append(
            "containerConcurrency sets the scale, but is not enforced per request yet: a pod may "
            "briefly get more"
        )
    for name in ("responseStartTimeoutSeconds", "idleTimeoutSeconds"):
        if spec.get(name):
            said.append(f"{name} has no effect yet; timeoutSeconds has")
    return said
