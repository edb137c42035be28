"""How much figures grew: instruments count for the whole process, other tests included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY


def value(name: str, /, **labels: str) -> float:
    """An instrument's value now; fails when it is not there."""
    found = REGISTRY.get_sample_value(name, labels)
    assert found is not None, f"{name}{labels}: is not there, expected it from the start"
    return found


class Grown(dict[str, float]):
    """By name of what was asked for."""


@contextmanager
def growth(**of: tuple[str, dict[str, str]]) -> Iterator[Grown]:
    """How much each grew in the block; see there after it."""
    before = {name: value(metric, **labels) for name, (metric, labels) in of.items()}
    grown = Grown()
    yield grown
    for name, (metric, labels) in of.items():
        grown[name] = value(metric, **labels) - before[name]
