"""Figures of the API server, under Kubernetes' names.

Source: k8s.io/apiserver pkg/endpoints/metrics.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from prometheus_client import Counter, Histogram

from hearth.kit.metrics import FINE_SECONDS

_REQUESTS = Counter(
    "apiserver_request", "Requests by what they were.", ["verb", "resource", "code"]
)
_SECONDS = Histogram(
    "apiserver_request_duration_seconds",
    "How long a request took; of a watch or another stream, until it began.",
    ["verb"],
    buckets=FINE_SECONDS,
)
#: Kubernetes' words here, by its words for what is done to objects.
_VERBS = {"create": "POST", "update": "PUT"}


@dataclass(slots=True)
class Measured:
    """One request, while it is answered."""

    verb: str  #: at first the method
    resource: str = ""  #: empty when it is about no objects
    _started: float = field(default_factory=time.monotonic)

    def is_about(self, verb: str, resource: str) -> None:
        """What is done to which kind of object, in Kubernetes' words."""
        self.verb, self.resource = _VERBS.get(verb, verb.upper()), resource

    def answered(self, code: int) -> None:
        """It is answered with that status."""
        _REQUESTS.labels(self.verb, self.resource, str(code)).inc()
        _SECONDS.labels(self.verb).observe(time.monotonic() - self._started)
