"""Times as Kubernetes writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(moment: datetime) -> str:
    """Format as ``metav1.Time`` does: whole seconds, ``Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(moment: datetime) -> str:
    """Format as ``metav1.MicroTime`` does: microseconds, ``Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def unix_ns(moment: datetime) -> int:
    """Nanoseconds since 1970; as exact as the moment, that is to microseconds."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
