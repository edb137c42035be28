"""Knative's autoscaling annotations: what each may be.

Source: knative.dev/serving pkg/apis/autoscaling/annotation_validation.go and register.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from hearth.api.errors import FieldError
from hearth.api.names import AUTOSCALING_PREFIX

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$")
_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration_s(text: str) -> float:
    """Seconds of a Go duration such as ``1m30s``.

    Raises:
        ValueError: not a duration.
    """
    if text == "0":
        return 0.0
    if not _DURATION.match(text):
        raise ValueError(f"{text!r} is not a duration such as 60s or 1m30s")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", text)
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def _integer(low: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        good = re.match(r"-?\d+$", text) and int(text) >= low
        return "" if good else f"expected an integer >= {low}"

    return check


def _number(low: float, high: float) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            return "" if low <= float(text) <= high else f"expected {low} <= {text} <= {high}"
        except ValueError:
            return "expected a number"

    return check


def _duration(low_s: float, high_s: float) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            good = low_s <= parse_duration_s(text) <= high_s
        except ValueError as error:
            return str(error)
        return "" if good else f"expected {low_s:g}s <= {text} <= {high_s:g}s"

    return check


def _one_of(*allowed: str) -> Callable[[str], str]:
    return lambda text: "" if text in allowed else f"expected one of {', '.join(allowed)}"


#: What each annotation (without the prefix) may be; both of Knative's spellings are taken.
_CHECKS: Mapping[str, Callable[[str], str]] = {
    "class": _one_of("kpa.autoscaling.knative.dev"),
    "metric": _one_of("concurrency"),
    "min-scale": _integer(0),
    "max-scale": _integer(0),
    "initial-scale": _integer(0),
    "activation-scale": _integer(1),
    "target": _number(0.01, float("inf")),
    "target-utilization-percentage": _number(1, 100),
    "target-burst-capacity": _number(-1, float("inf")),
    "window": _duration(6, 3600),
    "panic-window-percentage": _number(1, 100),
    "panic-threshold-percentage": _number(110, 1000),
    "scale-down-delay": _duration(0, 3600),
    "scale-to-zero-pod-retention-period": _duration(0, float("inf")),
}
_SPELLINGS = {name.replace("-", ""): name for name in _CHECKS}


def canonical(name: str) -> str | None:
    """``min-scale`` for ``autoscaling.knative.dev/minScale``; None for another annotation."""
    if not name.startswith(AUTOSCALING_PREFIX):
        return None
    own = name.removeprefix(AUTOSCALING_PREFIX)
    return _SPELLINGS.get(own.replace("-", "").lower(), own)


def autoscaling_annotations(annotations: Mapping[str, str]) -> dict[str, str]:
    """The autoscaling annotations by their canonical name."""
    return {own: value for name, value in annotations.items() if (own := canonical(name))}


def autoscaling_faults(annotations: Mapping[str, str], path: str) -> list[FieldError]:
    """What is wrong with the autoscaling annotations."""
    faults = []
    for name, value in annotations.items():
        own = canonical(name)
        if own is None:
            continue
        if own not in _CHECKS:
            said = f"invalid key name {name!r}: {path}\nunknown autoscaling annotation"
            faults.append(FieldError(f"{path}.{name}", said))
        elif why := _CHECKS[own](str(value)):
            faults.append(FieldError(f"{path}.{name}", f"invalid value: {value}: {name}\n{why}"))
    found = autoscaling_annotations(annotations)
    low, high = found.get("min-scale", "0"), found.get("max-scale", "0")
    if low.isdigit() and high.isdigit() and 0 < int(high) < int(low):
        said = f"max-scale={high} is less than min-scale={low}: {path}"
        faults.append(FieldError(path, said))
    return faults
