"""Go's durations: ``300ms``, ``60s``, ``1m30s``."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$")
_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration_s(text: str) -> float:
    """Seconds of a Go duration such as ``1m30s``, without a sign.

    Raises:
        ValueError: not a duration.
    """
    if text == "0":
        return 0.0
    if not _DURATION.match(text):
        raise ValueError(f"{text!r} is not a duration such as 60s or 1m30s")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", text)
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)
