"""What is said, as warnings on admission, of manifests that are accepted.

Knative's warnings, and ours: nothing is silently ignored, whoever applies what has no effect here
is told so.
"""

from __future__ import annotations

from hearth.api.config.serving import ServingConfig
from hearth.api.meta import Wire, annotations_of, spec_of
from hearth.api.names import RUNTIME_IMAGE_PREFIX
from hearth.api.serving.annotations import unknown_annotations
from hearth.api.serving.faults import members
from hearth.api.serving.revision_annotations import sidecar_notices
from hearth.api.serving.security import insecure_defaults

_NO_CONFIG = ServingConfig()


def template_notices(wire: Wire, config: ServingConfig = _NO_CONFIG) -> list[str]:
    """Warnings about a Service's or Configuration's template."""
    template = spec_of(wire).get("template")
    if not isinstance(template, dict):
        return []
    annotations, spec = annotations_of(template), spec_of(template)
    said = [
        f"{name} is no annotation of the autoscaler's: it has no effect"
        for name in unknown_annotations(annotations)
    ]
    said += sidecar_notices(annotations, "spec.template.metadata.annotations")
    if not _is_code(spec):
        said += insecure_defaults(spec, "spec.template.spec", config.features)
    return said


def _is_code(spec: Wire) -> bool:
    """Whether a runtime of ours runs the app: its processes have none of Kubernetes' defaults."""
    images = [str(one.get("image") or "") for one in members(spec, "containers")]
    return any(image.startswith(RUNTIME_IMAGE_PREFIX) for image in images)
