"""Claim: one decide() costs under 20 µs, so 10,000 busy revisions take a tenth of a 2 s tick.

Also what taking one figure in costs, and reading a window, which a decision does twice.
"""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable, Iterator

from hearth.autoscaler.core.decider import Observation, State, decide
from hearth.autoscaler.core.spec import decider_spec
from hearth.autoscaler.core.windows import Window

NUMBER = 10_000
REPEAT = 9
SPEC = decider_spec({"metadata": {"annotations": {"autoscaling.knative.dev/min-scale": "1"}}})
LOADED = Observation(
    at_s=1000, ready_pods=2, replicas=2, stable=150, panic=180, idle=False, observed_s=600
)
IDLE = Observation(
    at_s=1000, ready_pods=1, replicas=1, stable=0, panic=0, idle=True, observed_s=600
)
BURST = Observation(
    at_s=1000, ready_pods=2, replicas=2, stable=150, panic=900, idle=False, observed_s=600
)
WAS = State(reached_initial=True)


def run() -> Iterator[dict[str, object]]:
    for name, seen in (("loaded", LOADED), ("idle", IDLE), ("burst", BURST)):
        yield {
            "what": f"decide, {name}",
            **_microseconds(lambda seen=seen: decide(SPEC, seen, WAS)),
        }
    window = Window(60)
    for tenth in range(600):
        window.record(tenth / 10, 5)
    yield {"what": "window, record", **_microseconds(lambda: window.record(59.9, 5))}
    yield {"what": "window, average", **_microseconds(lambda: window.average(59.9))}


def _microseconds(work: Callable[[], object]) -> dict[str, float]:
    runs = [took / NUMBER * 1e6 for took in timeit.repeat(work, number=NUMBER, repeat=REPEAT)]
    median, most = statistics.median(runs), max(runs)
    return {"median_us": round(median, 2), "min_us": round(min(runs), 2), "max_us": round(most, 2)}
