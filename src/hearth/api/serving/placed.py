"""Annotations that belong elsewhere or say nothing, in Knative's words.

Source: knative.dev/serving pkg/apis/serving/metadata_validation.go and
knative.dev/networking pkg/apis/networking/metadata_validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from hearth.api.durations import parse_duration_s
from hearth.api.errors import FieldError
from hearth.api.meta import Wire, annotations_of
from hearth.api.names import AUTOSCALING_PREFIX
from hearth.api.serving.faults import Faults, wrong

_NETWORKING = "networking.knative.dev"
#: What a template may say of networking; it has no effect there, in Knative either.
_KNOWN = frozenset(
    f"{_NETWORKING}/{name}"
    for name in (
        "ingress.class", "ingress-class", "certificate.class", "certificate-class",
        "disableAutoTLS", "disable-auto-tls", "disable-external-domain-tls", "httpOption",
        "http-protocol",
    )
)  # fmt: skip
_ROLLOUT = ("serving.knative.dev/rollout-duration", "serving.knative.dev/rolloutDuration")
_AT = "metadata.annotations"


def misplaced_faults(wire: Wire, old: Wire | None) -> Faults:
    """The autoscaler's annotations are a template's; what was there before is left alone."""
    before = annotations_of(old or {})
    for name in annotations_of(wire):
        if name.startswith(AUTOSCALING_PREFIX) and name not in before:
            said = f'invalid key name "{name}": {_AT}'
            where = '"spec.template.metadata.annotations"'
            why = f"autoscaling annotations must be put under {where} to work"
            yield FieldError(_AT, f"{said}\n{why}")


def rollout_faults(wire: Wire) -> Faults:
    """How long a rollout may take is a whole number of seconds."""
    for name in _ROLLOUT:
        if not (text := str(annotations_of(wire).get(name) or "")):
            continue
        at = f"{_AT}.{name}"
        try:
            seconds = parse_duration_s(text.removeprefix("-"))
        except ValueError:
            yield wrong(at, text)
            continue
        if seconds != int(seconds):
            yield FieldError(at, f"rollout-duration={text} is not at second precision: {at}")
        elif text.startswith("-") and seconds:
            yield FieldError(at, f"rollout-duration={text} must be positive: {at}")


def networking_faults(annotations: Mapping[str, str], path: str) -> Faults:
    """A template's annotations of networking are known ones."""
    for name in annotations:
        if name.startswith(_NETWORKING) and name not in _KNOWN:
            yield FieldError(path, f'invalid key name "{name}": {path}')
