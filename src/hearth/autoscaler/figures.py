"""An autoscaler's figures under Knative's names, of revisions that have pods or requests.

Source: knative/serving pkg/autoscaler/scaling/metrics.go and pkg/reconciler/autoscaling/kpa
/metrics.go, as Knative's Prometheus exporter names them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hearth.api.meta import Wire, is_deleting, status_of
from hearth.api.pods import is_finished, is_routable
from hearth.autoscaler.core.spec import RPS
from hearth.autoscaler.known import Known
from hearth.kit.metrics import family

_FAMILIES = {
    "kn_revision_pods_desired": "Number of pods the autoscaler wants to allocate",
    "kn_revision_pods_requested": "Number of pods that are asked for: the scale as set",
    "kn_revision_pods_count": "Number of pods that answer requests",
    "kn_revision_pods_not_ready_count": "Number of pods that run and do not answer yet",
    "kn_revision_pods_pending_count": "Number of pods that do not run yet",
    "kn_revision_pods_terminating_count": "Number of pods that are ending",
    "kn_revision_capacity_excess": "Excess burst capacity over the panic window",
    "kn_revision_panic_mode": "1 while the autoscaler is in panic mode",
    "kn_revision_concurrency_stable": "Requests in flight over the stable window",
    "kn_revision_concurrency_panic": "Requests in flight over the panic window",
    "kn_revision_concurrency_target": "Requests in flight to aim for, per pod",
    "kn_revision_rps_stable_per_second": "Requests per second over the stable window",
    "kn_revision_rps_panic_per_second": "Requests per second over the panic window",
    "kn_revision_rps_target_per_second": "Requests per second to aim for, per pod",
}


@dataclass(slots=True)
class Figures:
    """Samples by family."""

    _samples: dict[str, list[tuple[str, float]]] = field(
        default_factory=lambda: {name: [] for name in _FAMILIES}
    )

    def take(self, own: str, known: Known, pods: Iterable[Wire], now_s: float) -> None:
        """Those of one revision; ``own`` are its labels as text."""
        for name, value in self._of(known, pods, now_s):
            self._samples[name].append((own, value))

    def _of(self, known: Known, pods: Iterable[Wire], now_s: float) -> list[tuple[str, float]]:
        ready = not_ready = pending = terminating = 0
        for pod in pods:
            if is_deleting(pod):
                terminating += 1
            elif is_routable(pod):
                ready += 1
            elif status_of(pod).get("phase") == "Running":
                not_ready += 1
            elif not is_finished(pod):
                pending += 1
        answer = known.answer
        found: list[tuple[str, float]] = [
            ("kn_revision_pods_desired", answer.replicas if answer else known.replicas),
            ("kn_revision_pods_requested", known.replicas),
            ("kn_revision_pods_count", ready),
            ("kn_revision_pods_not_ready_count", not_ready),
            ("kn_revision_pods_pending_count", pending),
            ("kn_revision_pods_terminating_count", terminating),
        ]
        if not known.spec.is_kpa:
            return found
        per, unit = ("rps", "_per_second") if known.spec.metric == RPS else ("concurrency", "")
        return [
            *found,
            ("kn_revision_capacity_excess", (answer.excess_burst or 0) if answer else 0),
            ("kn_revision_panic_mode", known.state.panic_since_s is not None),
            (f"kn_revision_{per}_stable{unit}", known.stable.average(now_s)),
            (f"kn_revision_{per}_panic{unit}", known.panic.average(now_s)),
            (f"kn_revision_{per}_target{unit}", known.spec.target),
        ]

    def text(self) -> str:
        """All of them in Prometheus' format."""
        return "".join(
            family(name, "gauge", said, self._samples[name]) for name, said in _FAMILIES.items()
        )
