"""Kubernetes quantities: ``100m``, ``1.5``, ``64Mi``, ``2e3``.

Source: k8s.io/apimachinery/pkg/api/resource.
"""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i))?$")
_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal("1e3"),
    "M": Decimal("1e6"), "G": Decimal("1e9"), "T": Decimal("1e12"), "P": Decimal("1e15"),
    "E": Decimal("1e18"), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30),
    "Ti": Decimal(2**40), "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip


def parse_quantity(text: str) -> Decimal:
    """The exact value, in the unit's base (bytes, cores, …).

    Raises:
        ValueError: not a quantity.
    """
    found = _QUANTITY.match(text)
    if not found:
        raise ValueError(f"{text!r} is not a quantity such as 100m, 1.5 or 64Mi")
    number = Decimal(found[1] + (found[2] or ""))
    return number * _SUFFIXES[found[3]] if found[3] else number


def parse_cpu(text: str) -> Decimal:
    """Cores."""
    return parse_quantity(text)
