"""Who gets which warm pod: a machine.

A warm pod is *free* until a claim takes it and *reserved* from then on; it never becomes free
again, because its loader takes one specialisation in its life: a claim ends with the pod adopted,
or spent. The reservation is in memory alone: the pod itself is the lock, and a restart forgets
reservations without harm.

A revision whose code fails before it listens is *backing off*: claims for it are refused with the
last failure until a while has passed that doubles with each failure in a row, so that an app that
cannot start does not eat the pool.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from hearth.api.meta import ObjectKey

BACKOFF_FIRST_S = 1.0
BACKOFF_MAX_S = 300.0  #: kubelet's ceiling for crash loops


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a revision's code does not run."""

    reason: str
    message: str


# Events


@dataclass(frozen=True, slots=True)
class PodWarm:
    """A warm pod is ready."""

    pool: str
    pod: str


@dataclass(frozen=True, slots=True)
class PodUnready:
    """A pod is not ready: no claim gets it. One that has it goes on: its app may be on its way."""

    pod: str


@dataclass(frozen=True, slots=True)
class PodLost:
    """A warm pod is gone, going, adopted or not ready any more."""

    pod: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A revision wants an instance from one of the pools, in order of preference."""

    revision: ObjectKey
    pools: tuple[str, ...]
    at_s: float


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The revision's code listens."""

    revision: ObjectKey


@dataclass(frozen=True, slots=True)
class AppFailed:
    """The revision's code failed before it listened, or right after."""

    revision: ObjectKey
    failure: Failure
    at_s: float


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The revision is gone."""

    revision: ObjectKey


Event: TypeAlias = PodWarm | PodUnready | PodLost | Claim | Succeeded | AppFailed | Forgotten

# Effects


@dataclass(frozen=True, slots=True)
class Grant:
    """Specialise this pod for the claim."""

    pool: str
    pod: str


@dataclass(frozen=True, slots=True)
class FallBack:
    """No warm pod: make an ordinary one."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The revision is backing off after that failure."""

    failure: Failure
    again_after_s: float


Effect: TypeAlias = Grant | FallBack | Refuse


@dataclass(slots=True)
class _Trouble:
    failure: Failure
    failures: int
    until_s: float


@dataclass(slots=True)
class Claims:
    """Free and reserved pods, and revisions in trouble; changed by :meth:`on` alone."""

    free: dict[str, OrderedDict[str, None]] = field(default_factory=dict)  #: pods by pool
    reserved: dict[str, str] = field(default_factory=dict)  #: pool by pod
    _pool_of: dict[str, str] = field(default_factory=dict)  #: of free pods
    _trouble: dict[ObjectKey, _Trouble] = field(default_factory=dict)

    def on(self, event: Event) -> Effect | None:
        """Apply one event; only a claim has an effect."""
        match event:
            case PodWarm(pool, pod):
                if pod not in self.reserved:
                    self.free.setdefault(pool, OrderedDict())[pod] = None
                    self._pool_of[pod] = pool
            case PodUnready(pod):
                self._withdraw(pod)
            case PodLost(pod):
                self.reserved.pop(pod, None)
                self._withdraw(pod)
            case Claim():
                return self._claim(event)
            case Succeeded(revision) | Forgotten(revision):
                self._trouble.pop(revision, None)
            case AppFailed(revision, failure, at_s):
                self._failed(revision, failure, at_s)
            case _:
                assert_never(event)
        return None

    def failure_of(self, revision: ObjectKey) -> Failure | None:
        """The last failure of a revision that has not succeeded since."""
        trouble = self._trouble.get(revision)
        return trouble.failure if trouble else None

    def pause_s(self, revision: ObjectKey, at_s: float) -> float:
        """How long nothing more is to be tried for a revision that failed; 0: it may be now."""
        trouble = self._trouble.get(revision)
        return max(0.0, trouble.until_s - at_s) if trouble else 0.0

    def check(self) -> None:
        """Assert the invariants."""
        free = [pod for pods in self.free.values() for pod in pods]
        assert len(free) == len(set(free)), "a pod is free twice"
        assert not set(free) & set(self.reserved), "a pod is free and reserved"
        assert set(free) == set(self._pool_of)

    def _claim(self, claim: Claim) -> Effect:
        trouble = self._trouble.get(claim.revision)
        if trouble is not None and claim.at_s < trouble.until_s:
            return Refuse(trouble.failure, trouble.until_s - claim.at_s)
        for pool in claim.pools:
            if pods := self.free.get(pool):
                pod, _ = pods.popitem(last=False)  # the oldest: it has settled longest
                del self._pool_of[pod]
                self.reserved[pod] = pool
                return Grant(pool, pod)
        return FallBack()

    def _withdraw(self, pod: str) -> None:
        if (pool := self._pool_of.pop(pod, None)) is not None:
            del self.free[pool][pod]

    def _failed(self, revision: ObjectKey, failure: Failure, at_s: float) -> None:
        was = self._trouble.get(revision)
        failures = was.failures + 1 if was else 1
        pause_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(failures - 1, 30))
        self._trouble[revision] = _Trouble(failure, failures, at_s + pause_s)
