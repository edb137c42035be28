"""Reads where the time of a cold start went.

Source: W3C Server Timing, the ``Server-Timing`` header.
"""

from __future__ import annotations


def parse_server_timing(header: str) -> dict[str, float]:
    """Milliseconds by phase, in the header's order; entries without a duration are left out."""
    phases = {}
    for entry in header.split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "dur":
                try:
                    phases[name] = float(value.strip().strip('"'))
                except ValueError:
                    continue
    return phases
