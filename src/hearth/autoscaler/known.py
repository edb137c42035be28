"""What an autoscaler knows of one revision: what it asks for, its figures, its last decision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hearth.api.activation import RevisionStat
from hearth.api.serving.schedule import Floor, floor_at
from hearth.autoscaler.core.decider import TICK_S, Answer, State
from hearth.autoscaler.core.spec import RPS, DeciderSpec
from hearth.autoscaler.core.windows import Window


@dataclass(slots=True)
class _Seen:
    """What one gateway said last."""

    at_s: float
    in_flight: float  #: requests, those that are held too
    rate: float  #: requests that began, per second
    busy: Mapping[str, float]  #: requests in flight by instance


@dataclass(slots=True)
class Known:
    """One revision. Times are of a clock that never goes back."""

    spec: DeciderSpec
    since_s: float  #: since when there has been anything to observe
    state: State
    stable: Window = field(init=False)
    panic: Window = field(init=False)
    active_s: float = -1e9  #: when there last was a request
    poked_s: float = -1e9
    replicas: int = 0  #: the scale as set, ahead of the cache
    has_room: bool = False  #: for the burst to be ready for, as told
    answer: Answer | None = None  #: the last one
    cold_starts_ms: tuple[int, ...] = ()  #: the last ones, until an instance answered
    _floor: Floor | None = None  #: of the schedule, as it was last looked up
    _gateways: dict[str, _Seen] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with empty windows."""
        self._make_windows()

    def _make_windows(self) -> None:
        self.stable = Window(self.spec.stable_window_s, self.spec.weighted)
        self.panic = Window(self.spec.panic_window_s, self.spec.weighted)

    def follow(self, spec: DeciderSpec) -> None:
        """It asks for something else now; figures stay where they mean the same."""
        was, self.spec = self.spec, spec
        self._floor = None
        if _windows_of(was) != _windows_of(spec):
            self._make_windows()

    def scheduled(self, now: datetime) -> int:
        """The pods that stay by the schedule at this moment; looked up again when it changes."""
        if not self.spec.schedule:
            return 0
        if self._floor is None or now >= self._floor.until:
            self._floor = floor_at(self.spec.schedule, now)
        return self._floor.pods

    def is_idle(self, now_s: float) -> bool:
        """Whether the stable window saw no request, however short."""
        return now_s - self.active_s >= self.spec.stable_window_s

    def take(self, gateway: str, stat: RevisionStat, now_s: float, over_s: float) -> float:
        """Take one gateway's figures in.

        Args:
            gateway: whose.
            stat: its figures.
            now_s: when they came.
            over_s: seconds that they are about.

        Returns:
            What all gateways together have now, in the metric that decides.
        """
        mine = _Seen(now_s, stat.in_flight + stat.held, stat.requests / over_s, stat.busy)
        for silent in [n for n, seen in self._gateways.items() if now_s - seen.at_s >= TICK_S]:
            del self._gateways[silent]
        self._gateways[gateway] = mine
        # A request that ended already counts too, but cannot wake: activation does, if it succeeds.
        if mine.in_flight or (stat.requests and self.replicas):
            self.active_s = now_s
        seen = self._gateways.values()
        total = sum(each.rate if self.spec.metric == RPS else each.in_flight for each in seen)
        share_s = over_s / len(self._gateways)  # each gateway covers the same time
        self.stable.record(now_s, total, share_s)
        self.panic.record(now_s, total, share_s)
        if not mine.in_flight and not mine.rate:
            del self._gateways[gateway]
        return total

    def busy(self) -> Mapping[str, float]:
        """Requests in flight by instance, as all gateways said last."""
        found: Counter[str] = Counter()
        for seen in self._gateways.values():
            found.update(seen.busy)
        return found


def _windows_of(spec: DeciderSpec) -> tuple[object, ...]:
    return spec.metric, spec.weighted, spec.stable_window_s, spec.panic_window_s
