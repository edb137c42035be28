"""What probes may say, in Knative's words.

Source: knative.dev/serving pkg/apis/serving/k8s_validation.go.
"""

from __future__ import annotations

from hearth.api.config.features import FeaturesConfig
from hearth.api.errors import FieldError
from hearth.api.meta import Wire
from hearth.api.serving.faults import Faults, not_allowed, one_of, out_of_bounds, wrong

_HANDLERS = ("httpGet", "tcpSocket", "exec", "grpc")
_MAX_INT32 = 2**31 - 1


def probe_faults(
    container: Wire, port: Wire, path: str, features: FeaturesConfig, *, serves: bool
) -> Faults:
    """A container's probes; ``port`` is the one that the revision serves on."""
    if not serves and not features.is_enabled("multi-container-probing"):
        for kind in ("livenessProbe", "readinessProbe"):
            if isinstance(probe := container.get(kind), dict):
                yield from not_allowed(probe, (), f"{path}.{kind}")
        return
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(probe := container.get(kind), dict):
            yield from _probe(probe, port, f"{path}.{kind}", serves=serves)
    if isinstance(readiness := container.get("readinessProbe"), dict):
        yield from _readiness(readiness, f"{path}.readinessProbe")


def _probe(probe: Wire, port: Wire, path: str, *, serves: bool) -> Faults:
    yield from one_of(probe, _HANDLERS, path)
    for handler in ("httpGet", "tcpSocket"):
        if not isinstance(action := probe.get(handler), dict):
            continue
        wanted, at = action.get("port"), f"{path}.{handler}.port"
        if not serves and not wanted:
            yield wrong(at, "0", "Probe port must be specified")
        if serves and isinstance(wanted, str) and wanted not in ("", port.get("name") or "http"):
            yield wrong(at, wanted, "Probe port must match container port")


def _readiness(probe: Wire, path: str) -> Faults:
    period = probe.get("periodSeconds") or 0
    for field, low in (("periodSeconds", 0), ("initialDelaySeconds", 0), ("successThreshold", 1)):
        value = probe.get(field, low)
        if not low <= value <= _MAX_INT32:
            yield out_of_bounds(f"{path}.{field}", value, low, _MAX_INT32)
    for field in ("failureThreshold", "timeoutSeconds"):
        value = probe.get(field) or 0
        if period == 0 and value:
            said = f"{field} is disallowed when periodSeconds is zero: {path}.{field}"
            yield FieldError(f"{path}.{field}", said)
        elif period > 0 and value < 1:
            yield out_of_bounds(f"{path}.{field}", value, 1, _MAX_INT32)
