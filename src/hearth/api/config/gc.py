"""``config-gc``: how long revisions that get no traffic are kept.

Source: knative.dev/serving pkg/gc/config.go, config/core/configmaps/gc.yaml.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from hearth.api.durations import parse_duration_s

T = TypeVar("T")
_DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class GcConfig:
    """What ``config-gc`` says; the defaults are Knative's. None is "disabled"."""

    since_create_s: float | None = 48 * 3600.0  #: a younger revision is not stale
    since_active_s: float | None = 15 * 3600.0  #: nor is one that had traffic since
    min_non_active: int = 20  #: this many stale ones stay
    max_non_active: int | None = 1000  #: of more than this many the oldest go, stale or not

    @property
    def is_off(self) -> bool:
        """Whether nothing is ever removed."""
        return (self.since_create_s, self.since_active_s, self.max_non_active) == (None,) * 3


def read_gc(data: Mapping[str, str]) -> GcConfig:
    """The data of ``config-gc``.

    Raises:
        ValueError: a key has a value that is not understood or not allowed, in Knative's words.
    """
    config = GcConfig()
    if (text := data.get("min-non-active-revisions")) is not None:
        try:
            config = replace(config, min_non_active=int(text))
        except ValueError:
            said = (
                f'failed to parse "min-non-active-revisions": found {text!r}, expected an integer'
            )
            raise ValueError(f"failed to parse data: {said}") from None
    config = replace(
        config,
        since_create_s=_parsed(data, "retain-since-create-time", _duration, config.since_create_s),
        since_active_s=_parsed(
            data, "retain-since-last-active-time", _duration, config.since_active_s
        ),
        max_non_active=_parsed(data, "max-non-active-revisions", _count, config.max_non_active),
    )
    low, high = config.min_non_active, config.max_non_active
    if low < 0:
        raise ValueError(f"min-non-active-revisions must be non-negative, was: {low}")
    if high is not None and low > high:
        raise ValueError(
            f"min-non-active-revisions({low}) must be <= max-non-active-revisions({high})"
        )
    return config


def _parsed(
    data: Mapping[str, str], key: str, parse: Callable[[str], T], default: T | None
) -> T | None:
    text = data.get(key, "")
    if not text:
        return default
    if text.lower() == _DISABLED:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"failed to parse {key}: {error}") from None


def _duration(text: str) -> float:
    if text.startswith("-"):
        raise ValueError(f"must be non-negative, was: {text}")
    return parse_duration_s(text)


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError(f"must be non-negative, was: {count}")
    return count
