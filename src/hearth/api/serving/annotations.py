"""Knative's autoscaling annotations: what each may be.

Source: knative.dev/serving pkg/apis/autoscaling/annotation_validation.go and register.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hearth.api.config.autoscaler import HPA, KPA, AutoscalerConfig
from hearth.api.durations import parse_duration_s
from hearth.api.errors import FieldError
from hearth.api.names import AUTOSCALING_PREFIX

_INT32_MAX = 2**31 - 1
_WINDOW_S = (6.0, 3600.0)  #: Knative's bounds of a window
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
_INTEGER = re.compile(r"[+-]?\d+$")

#: Knative's names, without the prefix; most have a second spelling (``minScale``).
NAMES = (
    "class", "metric", "target", "window", "min-scale", "max-scale", "initial-scale",
    "activation-scale", "target-utilization-percentage", "target-burst-capacity",
    "panic-window-percentage", "panic-threshold-percentage", "scale-down-delay",
    "scale-to-zero-pod-retention-period", "metric-aggregation-algorithm",
)  # fmt: skip
_ONE_SPELLING = frozenset({"activation-scale"})


def _camel(name: str) -> str:
    first, *others = name.split("-")
    return first + "".join(other.capitalize() for other in others)


_SPELLINGS = {name: name for name in NAMES} | {
    _camel(name): name for name in NAMES if name not in _ONE_SPELLING
}


def canonical(name: str) -> str | None:
    """``min-scale`` for ``autoscaling.knative.dev/minScale``; None for another annotation."""
    if not name.startswith(AUTOSCALING_PREFIX):
        return None
    own = name.removeprefix(AUTOSCALING_PREFIX)
    return _SPELLINGS.get(own, own)


def autoscaling_annotations(annotations: Mapping[str, str]) -> dict[str, str]:
    """The autoscaling annotations by their canonical name."""
    return {name: value for name, (_, value) in _found(annotations).items()}


def unknown_annotations(annotations: Mapping[str, str]) -> list[str]:
    """Annotations with the autoscaler's prefix that it does not know."""
    return sorted(name for name in annotations if (canonical(name) or "class") not in NAMES)


def _found(annotations: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """By canonical name the name as written, and the value; of two spellings the newer wins."""
    found: dict[str, tuple[str, str]] = {}
    for name, value in annotations.items():
        own = canonical(name)
        if own is not None and (own not in found or name == AUTOSCALING_PREFIX + own):
            found[own] = (name, str(value))
    return found


def autoscaling_faults(
    annotations: Mapping[str, str], path: str, config: AutoscalerConfig
) -> list[FieldError]:
    """What is wrong with the autoscaling annotations, in Knative's words.

    Args:
        annotations: of a Revision, or of a template of one.
        path: of the annotations, e.g. ``spec.template.metadata.annotations``.
        config: what the cluster allows.
    """
    return list(_Checks(_found(annotations), path, config).faults())


@dataclass(frozen=True, slots=True)
class _Checks:
    """The checks of one set of annotations."""

    given: Mapping[str, tuple[str, str]]
    path: str
    config: AutoscalerConfig

    def faults(self) -> Iterator[FieldError]:
        """All faults, in Knative's order."""
        yield from self._class()
        yield from self._bounds()
        yield from self._numbers()
        yield from self._durations()
        yield from self._metric()
        yield from self._algorithm()
        yield from self._initial_scale()

    def _value(self, own: str) -> str | None:
        return self.given[own][1] if own in self.given else None

    def _fault(self, message: str, *own: str, after: str = "") -> FieldError:
        names = [self.given[each][0] if each in self.given else each for each in own]
        paths = [f"{self.path}.{name}{after}" for name in names]
        return FieldError(paths[0].removesuffix(after), f"{message}: {', '.join(paths)}")

    def _invalid(self, own: str, after: str = "") -> FieldError:
        return self._fault(f"invalid value: {self._value(own)}", own, after=after)

    def _outside(self, own: str, low: object, high: object) -> FieldError:
        return self._fault(f"expected {low} <= {self._value(own)} <= {high}", own)

    def _class(self) -> Iterator[FieldError]:
        value = self._value("class")
        if value is not None and value.endswith(".knative.dev") and value not in (KPA, HPA):
            yield self._invalid("class")

    def _count(self, own: str) -> tuple[int, list[FieldError]]:
        """A number of pods; 0 when there is none or it cannot be read."""
        text = self._value(own)
        if text is None:
            return 0, []
        if not _INTEGER.match(text):
            return 0, [self._invalid(own)]
        if not 0 <= int(text) <= _INT32_MAX:
            return 0, [self._outside(own, 0, _INT32_MAX)]
        return int(text), []

    def _bounds(self) -> Iterator[FieldError]:
        low, faults = self._count("min-scale")
        high, more = self._count("max-scale")
        yield from (*faults, *more)
        if 0 < high < low:
            said = f"max-scale={high} is less than min-scale={low}"
            yield self._fault(said, "max-scale", "min-scale")
        limit = self.config.max_scale_limit
        if limit and "max-scale" in self.given:
            if high > limit:
                yield self._outside("max-scale", 1, limit)
            if high == 0:
                said = f"max-scale=0 (unlimited), must be less than {limit}"
                yield self._fault(said, "max-scale")
        yield from self._activation_scale(low, high)

    def _activation_scale(self, low: int, high: int) -> Iterator[FieldError]:
        own = "activation-scale"
        text = self._value(own)
        if text is None:
            return
        if not _INTEGER.match(text) or abs(int(text)) > _INT32_MAX:
            yield self._invalid(own)
            return
        value = int(text)
        if low > value:
            yield self._fault(f"min-scale={low} is greater than activation-scale={value}", own)
        elif 0 < high < value:
            yield self._fault(f"max-scale={high} is less than activation-scale={value}", own)
        elif value < 2:
            yield self._fault(f"activation-scale={value} must be greater than 1", own)

    def _numbers(self) -> Iterator[FieldError]:
        bounds = {
            "panic-window-percentage": (1, 100),
            "panic-threshold-percentage": (110, 1000),
            "target-utilization-percentage": (1, 100),
        }
        for own, (low, high) in bounds.items():
            value = self._value(own)
            if value is None:
                continue
            if (number := _number(value)) is None:
                yield self._invalid(own)
            elif not low <= number <= high:
                yield self._outside(own, low, high)
        if (value := self._value("target")) is not None:
            if (number := _number(value)) is None:
                yield self._invalid("target")
            elif number < 0.01:
                yield self._fault(f"target {value} should be at least 0.01", "target")
        if (value := self._value("target-burst-capacity")) is not None:
            number = _number(value)
            if number is None or (number < 0 and number != -1):
                yield self._invalid("target-burst-capacity")

    def _durations(self) -> Iterator[FieldError]:
        yield from self._duration("window", _WINDOW_S, "6s", whole=True)
        # Knative ends the retention at an hour; here it may be as long as one likes.
        yield from self._duration("scale-to-zero-pod-retention-period", (0.0, None), "0s")
        yield from self._duration("scale-down-delay", (0.0, _WINDOW_S[1]), "0s", whole=True)

    def _duration(
        self, own: str, bounds_s: tuple[float, float | None], low: str, *, whole: bool = False
    ) -> Iterator[FieldError]:
        text = self._value(own)
        if text is None:
            return
        negative = text.startswith("-")
        try:
            value_s = parse_duration_s(text.lstrip("+-") if text[1:] else text)
        except ValueError:
            yield self._invalid(own)
            return
        least_s, most_s = bounds_s
        if (negative and value_s) or value_s < least_s or (most_s and value_s > most_s):
            yield self._outside(own, low, "1h0m0s" if most_s else "any")
        elif whole and value_s != int(value_s):
            yield self._fault("must be specified with at most second precision", own)

    def _metric(self) -> Iterator[FieldError]:
        value = self._value("metric")
        kind = self._value("class") or self.config.autoscaler_class
        unknown = kind == KPA and value not in ("concurrency", "rps")
        if value is not None and (unknown or (kind == HPA and not value)):
            yield self._invalid("metric")

    def _algorithm(self) -> Iterator[FieldError]:
        value = self._value("metric-aggregation-algorithm")
        known = ("linear", "weighted-exponential", "weightedExponential")
        if self._value("class") == KPA and value and value not in known:
            yield self._invalid("metric-aggregation-algorithm")

    def _initial_scale(self) -> Iterator[FieldError]:
        value = self._value("initial-scale")
        if value is None:
            return
        if not _INTEGER.match(value):
            yield self._invalid("initial-scale")
        elif int(value) < 0:
            yield self._invalid("initial-scale", after=" must be greater than 0")
        elif int(value) == 0 and not self.config.allow_zero_initial_scale:
            yield self._invalid("initial-scale", after="=0 not allowed by cluster")


def _number(text: str) -> float | None:
    return float(text) if _FLOAT.match(text) else None
