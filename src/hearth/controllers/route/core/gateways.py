"""Whether every live gateway has programmed what a Route says.

Each gateway keeps a Lease and notes on it the highest resourceVersion of Routes and Revisions that
all of its Envoy's listeners have acknowledged. A gateway whose Lease ran out is not waited for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from hearth.api.meta import Wire, annotations_of, name_of, spec_of
from hearth.api.names import PROGRAMMED_ANNOTATION

_DURATION_S = 30  #: of a Lease that does not say


@dataclass(frozen=True, slots=True)
class Ingress:
    """The state of all gateways with respect to one Route."""

    programmed: bool
    reason: str = ""
    message: str = ""
    again_after_s: float | None = None  #: when the first gateway that is waited for is given up


def ingress_of(
    leases: Iterable[Wire],
    resource_version: str,
    now: datetime,
    annotation: str = PROGRAMMED_ANNOTATION,
) -> Ingress:
    """Whether every live gateway has programmed that version or a later one.

    Args:
        leases: of the gateways that serve the Route.
        resource_version: of the Route when its traffic was last written, or later.
        now: UTC.
        annotation: where a Lease notes what is programmed of the object's kind.
    """
    live = {name_of(lease): lease for lease in leases if _left_s(lease, now) > 0}
    if not live:
        return Ingress(False, "NoGateway", "No gateway is alive.")
    behind = {
        name: lease
        for name, lease in live.items()
        if _programmed(lease, annotation) < int(resource_version)
    }
    if not behind:
        return Ingress(True)
    names = ", ".join(sorted(behind))
    said = f"Waiting for {len(behind)} of {len(live)} gateways to be programmed: {names}."
    soonest_s = min(_left_s(lease, now) for lease in behind.values())
    return Ingress(False, "GatewayNotProgrammed", said, soonest_s)


def _programmed(lease: Wire, annotation: str) -> int:
    text = annotations_of(lease).get(annotation, "")
    return int(text) if text.isdigit() else 0


def _left_s(lease: Wire, now: datetime) -> float:
    """Seconds until the Lease runs out; negative when it has, or was never renewed."""
    renewed = spec_of(lease).get("renewTime")
    if not renewed:
        return -1.0
    lasts = timedelta(seconds=float(spec_of(lease).get("leaseDurationSeconds") or _DURATION_S))
    return (datetime.fromisoformat(renewed) + lasts - now).total_seconds()
