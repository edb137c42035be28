"""Times as Kubernetes writes them."""

from __future__ import annotations

from datetime import datetime


def rfc3339(moment: datetime) -> str:
    """Format as ``metav1.Time`` does: whole seconds, ``Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(moment: datetime) -> str:
    """Format as ``metav1.MicroTime`` does: microseconds, ``Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
