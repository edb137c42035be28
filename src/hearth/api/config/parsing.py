"""Values of Knative's config maps, as Go reads them.

Source: knative.dev/pkg configmap/parse.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hearth.api.durations import parse_duration_s
from hearth.api.quantities import parse_quantity

#: Each key's field and how its value is read; of two keys for one field the later one wins.
Keys = Mapping[str, tuple[str, Callable[[str], Any]]]


def parse_keys(data: Mapping[str, str], keys: Keys) -> dict[str, Any]:
    """The fields that the data has values for; other keys are left alone.

    Raises:
        ValueError: a value cannot be read.
    """
    found = {}
    for key, (field, read) in keys.items():
        if key in data:
            try:
                found[field] = read(data[key])
            except ValueError as error:
                raise ValueError(f'failed to parse "{key}": {error}') from None
    return found


def flag(text: str) -> bool:
    """``true`` or ``false``."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError(f"found {text!r}, expected true or false")


def whole(text: str) -> int:
    """A whole number."""
    if not text.lstrip("+-").isdecimal():
        raise ValueError(f"found {text!r}, expected a whole number")
    return int(text)


def duration(text: str) -> float:
    """Seconds; may be negative."""
    sign = -1.0 if text.startswith("-") else 1.0
    return sign * parse_duration_s(text.removeprefix("-"))


def quantity(text: str) -> str:
    """A quantity such as ``100m``, as it was written."""
    parse_quantity(text)
    return text


def names(text: str) -> frozenset[str]:
    """Names with commas between them."""
    return frozenset(name.strip() for name in text.split(","))


def out_of_bounds(value: object, low: object, high: object, key: str) -> ValueError:
    """A number that is not between the two."""
    return ValueError(f"expected {low} <= {value} <= {high}: {key}")
