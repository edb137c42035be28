"""Figures of the pools and of claims."""

from __future__ import annotations

from prometheus_client import Counter

import hearth.kit.metrics  # noqa: F401 - how instruments are served

_CLAIMS = Counter("hearth_claims", "Claims for an instance by what came of them.", ["outcome"])
#: ``claimed``: a warm pod took the code; ``lost``: it did not, and another was taken; ``empty``: no
#: warm pod is left; ``no_pool``: none is of the kind that is asked for; ``app_failed``: the app
#: does not start; ``backing_off``: it failed a moment ago, so nothing was tried.
OUTCOMES = ("claimed", "lost", "empty", "no_pool", "app_failed", "backing_off")
_counted = {outcome: _CLAIMS.labels(outcome) for outcome in OUTCOMES}


def claim_ended(outcome: str) -> None:
    """See ``OUTCOMES``."""
    _counted[outcome].inc()
