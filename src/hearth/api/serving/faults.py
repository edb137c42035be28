"""What is wrong with a field, in the words of Knative's FieldErrors.

Source: knative.dev/pkg apis/field_error.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from hearth.api.errors import FieldError

Faults: TypeAlias = Iterator[FieldError]


def missing(path: str) -> FieldError:
    """The field must be there."""
    return FieldError(path, f"missing field(s): {path}", "FieldValueRequired")


def disallowed(path: str) -> FieldError:
    """The field must not be there."""
    return FieldError(path, f"must not set the field(s): {path}", "FieldValueForbidden")


def wrong(path: str, value: Any, why: str = "") -> FieldError:
    """The field has a value that is not allowed."""
    said = f"invalid value: {value}: {path}"
    return FieldError(path, f"{said}\n{why}" if why else said)


def out_of_bounds(path: str, value: Any, low: Any, high: Any) -> FieldError:
    """The number must be between the two."""
    return FieldError(path, f"expected {low} <= {value} <= {high}: {path}")
