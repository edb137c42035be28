"""Figures of a gateway: cold starts by phase, held requests, and what Envoy is told."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

from hearth.gateway.core.cold_starts import PHASES
from hearth.kit.metrics import FINE_SECONDS

#: How a pod was had: a warm one was claimed; an ordinary one was made, for code or for an image.
SOURCES = ("pool", "new", "image")
_REASONS_MAX = 100  #: kinds of failure that are told apart; what comes after is ``Other``

_COLD_STARTS = Histogram(
    "hearth_cold_start_seconds",
    "From the first request that waited for an instance to the first byte of its answer, or to the"
    " activation's end where there was none.",
    ["source", "outcome"],
    buckets=FINE_SECONDS,
)
_PHASES = Histogram(
    "hearth_cold_start_phase_seconds",
    "How long each phase of a cold start took.",
    ["phase", "source"],
    buckets=FINE_SECONDS,
)
_FAILURES = Counter(
    "hearth_activation_failures", "Activations that gave no instance, by reason.", ["reason"]
)
_HOLDS = Histogram(
    "hearth_hold_seconds",
    "How long requests were held, by how that ended.",
    ["outcome"],
    buckets=FINE_SECONDS,
)
HELD = Gauge("hearth_requests_held", "Requests that are held now.")
XDS_REJECTED = Counter("hearth_xds_rejected", "Configuration that Envoy did not take.")
ENVOY_DEATHS = Counter("hearth_envoy_deaths", "How often Envoy died and was started again.")

#: How a cold start ends: with an answer; the instance did not answer; nobody waited any more.
for _outcome in ("ok", "no_answer", "abandoned"):
    for _source in SOURCES:
        _COLD_STARTS.labels(_source, _outcome)
_COLD_STARTS.labels("none", "failed")
for _source in SOURCES:
    for _phase in PHASES:
        _PHASES.labels(_phase, _source)
for _outcome in ("released", "failed", "timeout", "refused", "gone"):
    _HOLDS.labels(_outcome)
_reasons = {
    "AutoscalerAway", "CodeInvalid", "CreateContainerConfigError", "ExitedEarly", "FailedCreate",
    "NoCapacity", "NotReady", "Overloaded", "PodNotCreated", "PodNotReady", "RevisionMissing",
    "Other",
}  # fmt: skip
for _reason in _reasons:
    _FAILURES.labels(_reason)


def activation_failed(reason: str, after_s: float | None = None) -> None:
    """There is no instance; ``after_s`` seconds after the first request, if that is the end."""
    if reason not in _reasons:
        if len(_reasons) >= _REASONS_MAX:
            reason = "Other"
        _reasons.add(reason)
    _FAILURES.labels(reason).inc()
    if after_s is not None:
        _COLD_STARTS.labels("none", "failed").observe(after_s)


def cold_start(source: str, outcome: str, took_s: float) -> None:
    """A cold start has ended."""
    _COLD_STARTS.labels(source, outcome).observe(took_s)


def phases(source: str, took_s: Mapping[str, float]) -> None:
    """Phases of a cold start have ended."""
    for phase, each_s in took_s.items():
        _PHASES.labels(phase, source).observe(each_s)


def hold_ended(outcome: str, after_s: float) -> None:
    """A request is held no longer."""
    _HOLDS.labels(outcome).observe(after_s)
