"""What a manifest asks for and does not get here yet: said as warnings on admission.

Nothing is silently ignored: whoever applies such a manifest is told what it does instead.
"""

from __future__ import annotations

from hearth.api.meta import Wire, annotations_of, spec_of
from hearth.api.serving.annotations import unknown_annotations


def template_notices(wire: Wire) -> list[str]:
    """Warnings about a Service's or Configuration's template."""
    template = spec_of(wire).get("template")
    if not isinstance(template, dict):
        return []
    said = [
        f"{name} is no annotation of the autoscaler's: it has no effect"
        for name in unknown_annotations(annotations_of(template))
    ]
    return said
