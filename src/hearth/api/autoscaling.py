"""What scales by the machine's figures: HorizontalPodAutoscalers, and the figures of pods.

Source: k8s.io/api/autoscaling/v2 and k8s.io/metrics/pkg/apis/metrics/v1beta1.
"""

from __future__ import annotations

from hearth.api.core import Object
from hearth.api.kinds import HORIZONTAL_POD_AUTOSCALER, POD_METRICS
from hearth.api.meta import Wire, spec_of, status_of
from hearth.api.podspec import FreeForm
from hearth.api.registry import Column, Resource, at


class HorizontalPodAutoscaler(Object, frozen=True):
    """Keeps a resource's usage near a target by changing the number of pods."""

    spec: FreeForm | None = None
    status: FreeForm | None = None


class PodMetrics(Object, frozen=True):
    """What a pod uses now."""

    timestamp: str | None = None
    window: str | None = None
    containers: list[FreeForm] | None = None


def _reference(wire: Wire) -> str:
    target = spec_of(wire).get("scaleTargetRef") or {}
    return f"{target.get('kind')}/{target.get('name')}"


def _targets(wire: Wire) -> str:
    """``cpu: 63%/80%``, as kubectl shows them."""
    current = {_name(metric): _value(metric, "current") for metric in _metrics(status_of(wire))}
    return ", ".join(
        f"{_name(metric)}: {current.get(_name(metric)) or '<unknown>'}/{_value(metric, 'target')}"
        for metric in spec_of(wire).get("metrics") or ()
    )


def _metrics(status: Wire) -> list[Wire]:
    return [metric for metric in status.get("currentMetrics") or () if metric.get("resource")]


def _name(metric: Wire) -> str:
    return str((metric.get("resource") or {}).get("name"))


def _value(metric: Wire, which: str) -> str:
    found = (metric.get("resource") or {}).get(which) or {}
    percent = found.get("averageUtilization")
    return f"{percent}%" if percent is not None else str(found.get("averageValue") or "")


RESOURCES = (
    Resource(
        HORIZONTAL_POD_AUTOSCALER, HorizontalPodAutoscaler, "horizontalpodautoscaler", ("hpa",),
        ("all",), frozenset({"status"}),
        (
            Column("Reference", _reference),
            Column("Targets", _targets),
            Column("MinPods", at("spec", "minReplicas"), "integer"),
            Column("MaxPods", at("spec", "maxReplicas"), "integer"),
            Column("Replicas", at("status", "currentReplicas"), "integer"),
        ),
    ),
    Resource(POD_METRICS, PodMetrics, "pod", computed=True),
)  # fmt: skip
