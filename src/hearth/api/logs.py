"""How lines of a log are asked for, and where the log of a pod's requests is found.

Source: k8s.io/api/core/v1 PodLogOptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Knative's container beside the app's, which there is none of here: what it would have logged is
#: found under its name.
QUEUE_PROXY = "queue-proxy"


@dataclass(frozen=True, slots=True)
class Query:
    """Which lines are asked for."""

    follow: bool = False
    previous: bool = False  #: of the run before
    timestamps: bool = False
    tail_lines: int | None = None
    since_s: int | None = None
    limit_bytes: int | None = None

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Query:
        """From a URL's query; raises ``ValueError`` with what is wrong."""
        numbers = {}
        for name in ("tailLines", "sinceSeconds", "limitBytes"):
            if text := given.get(name):
                if not text.isdigit():
                    raise ValueError(f"{name} is {text!r}, expected a number")
                numbers[name] = int(text)
        return cls(
            follow=given.get("follow") == "true",
            previous=given.get("previous") == "true",
            timestamps=given.get("timestamps") == "true",
            tail_lines=numbers.get("tailLines"),
            since_s=numbers.get("sinceSeconds"),
            limit_bytes=numbers.get("limitBytes"),
        )
