"""When a container counts as started, ready or dead: pure.

Source: kubelet's prober/worker.go; Knative asks often until the first success (queue-proxy's
readiness probe), and so do we.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PERIOD_S = 10.0
FAILURES = 3
AGGRESSIVE_S = 0.025  #: between readiness probes until the first success


@dataclass(slots=True)
class Verdict:
    """The standing of one probe; changed by :meth:`note` alone."""

    successes_needed: int = 1
    failures_needed: int = FAILURES
    good: bool | None = None  #: None: not known yet
    _run: int = 0  #: results of one kind in a row: successes above zero, failures below

    @classmethod
    def of(cls, probe: Mapping[str, Any]) -> Verdict:
        """For a probe as its spec has it."""
        return cls(
            max(1, int(probe.get("successThreshold") or 1)),
            max(1, int(probe.get("failureThreshold") or FAILURES)),
        )

    def note(self, ok: bool) -> bool:
        """Take one result; returns whether the standing has changed."""
        self._run = max(1, self._run + 1) if ok else min(-1, self._run - 1)
        was = self.good
        if ok and self._run >= self.successes_needed:
            self.good = True
        elif not ok and -self._run >= self.failures_needed:
            self.good = False
        return self.good is not was


def period_s(probe: Mapping[str, Any]) -> float:
    """Seconds between two probes."""
    return float(probe.get("periodSeconds") or PERIOD_S)


def grace_s(probe: Mapping[str, Any], pod_spec: Mapping[str, Any]) -> float:
    """Seconds that a container has to end, once its probe has condemned it."""
    own, of_pod = (
        probe.get("terminationGracePeriodSeconds"),
        pod_spec.get("terminationGracePeriodSeconds"),
    )
    return float(own if own is not None else 30 if of_pod is None else of_pod)
