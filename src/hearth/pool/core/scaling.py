"""Which pods a PooledReplicaSet or PodPool must gain or lose: pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from hearth.api.meta import Wire, annotations_of, is_deleting, metadata, name_of, spec_of, status_of
from hearth.api.names import CLAIMED_FROM_ANNOTATION
from hearth.api.pods import is_finished, is_ready

#: ``status.reason`` of pods whose node agent was restarted; the agent says so.
NODE_RESTARTED = "NodeRestarted"
EVICTED = "Evicted"  #: likewise, of pods that took more of its disk than they may
#: Waiting reasons that are no trouble, or that the end before tells of.
_COMING = (None, "ContainerCreating", "PodInitializing", "CrashLoopBackOff")
EARLY_S = 5.0  #: an app that ends sooner than this after its claim counts as not starting
TEMPLATE_HASH_ANNOTATION = "hearth.dev/template-hash"


@dataclass(frozen=True, slots=True)
class Change:
    """What to do to get from the pods that are there to those that are wanted."""

    create: int  #: how many to claim or create
    delete: tuple[str, ...]  #: pods that go, by name


def change_set(
    pods: Collection[Wire], coming: int, wanted: int, busy: Mapping[str, float]
) -> Change:
    """Bring a PooledReplicaSet to its number.

    Args:
        pods: that it owns.
        coming: claims and creations under way whose pods are not among ``pods``.
        wanted: how many there should be.
        busy: requests in flight by pod, as far as they are known.
    """
    finished = [name_of(pod) for pod in pods if is_finished(pod) and not is_deleting(pod)]
    alive = [pod for pod in pods if not is_finished(pod) and not is_deleting(pod)]
    missing = wanted - len(alive) - coming
    if missing >= 0:
        return Change(missing, tuple(finished))
    by_use = sorted(alive, key=lambda pod: _use(pod, busy.get(name_of(pod), 0.0)))
    surplus = by_use[: max(0, len(alive) - wanted)]
    return Change(0, (*finished, *map(name_of, surplus)))


def _use(pod: Wire, busy: float) -> tuple[bool, float, bool, float]:
    """Sorts the pods that are of least use first.

    Those that are not ready, then those with the fewest requests in flight, then ordinary ones
    before claimed ones, then the youngest.
    """
    claimed = CLAIMED_FROM_ANNOTATION in annotations_of(pod)
    return is_ready(pod), busy, claimed, -_created_s(pod)


def _created_s(pod: Wire) -> float:
    return datetime.fromisoformat(str(metadata(pod)["creationTimestamp"])).timestamp()


def change_pool(
    pods: Collection[Wire], reserved: Collection[str], wanted: int, template_hash: str
) -> Change:
    """Bring a PodPool to its level; pods of an older template go one at a time.

    Args:
        pods: labelled as the pool's.
        reserved: names of pods that claims are about to take away.
        wanted: the level.
        template_hash: of the pool's template now.
    """
    finished = [name_of(pod) for pod in pods if is_finished(pod) and not is_deleting(pod)]
    idle = [
        pod
        for pod in pods
        if not is_finished(pod) and not is_deleting(pod) and name_of(pod) not in reserved
    ]
    if len(idle) > wanted:
        surplus = sorted(idle, key=lambda p: (is_ready(p), _hash(p) == template_hash))
        gone = [name_of(pod) for pod in surplus[: len(idle) - wanted]]
        return Change(0, (*finished, *gone))
    stale = [name_of(pod) for pod in idle if _hash(pod) != template_hash]
    if stale and all(is_ready(pod) for pod in idle) and len(idle) == wanted:
        finished.append(stale[0])
    return Change(wanted - len(idle), tuple(finished))


def _hash(pod: Wire) -> str:
    return annotations_of(pod).get(TEMPLATE_HASH_ANNOTATION, "")


def hash_template(pool: Wire) -> str:
    """Identifies a pool's template and preloads."""
    spec = spec_of(pool)
    said = json.dumps([spec.get("template"), spec.get("preload")], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class SetCounts:
    """What a PooledReplicaSet's status counts."""

    replicas: int
    ready: int
    claimed: int


def count_set(pods: Iterable[Wire]) -> SetCounts:
    """Count the pods that are neither finished nor going."""
    alive = [pod for pod in pods if not is_finished(pod) and not is_deleting(pod)]
    claimed = sum(CLAIMED_FROM_ANNOTATION in annotations_of(pod) for pod in alive)
    return SetCounts(len(alive), sum(map(is_ready, alive)), claimed)


def is_resting(pod: Wire) -> bool:
    """Whether the pod only waits to be started again, though its app is known to work.

    Its last run was long enough, or ended by no doing of its own: killed, but not for its memory.
    """
    for status in status_of(pod).get("containerStatuses") or ():
        waiting = (status.get("state") or {}).get("waiting") or {}
        ended = (status.get("lastState") or {}).get("terminated") or {}
        if waiting.get("reason") != "CrashLoopBackOff" or not ended:
            continue
        if _was_killed(ended):
            return True
        times = [_seconds(ended.get(at)) for at in ("startedAt", "finishedAt")]
        return times[1] - times[0] >= EARLY_S
    return False


def was_killed(pod: Wire) -> bool:
    """Whether the pod has ended for good because it was killed, and not for its memory."""
    statuses = status_of(pod).get("containerStatuses") or ()
    return any(_was_killed((s.get("state") or {}).get("terminated") or {}) for s in statuses)


def _was_killed(ended: Wire) -> bool:
    return (ended.get("exitCode"), ended.get("reason")) == (137, "Error")


def _seconds(at: str | None) -> float:
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() if at else 0.0


def trouble_of(pods: Iterable[Wire]) -> tuple[str, str] | None:
    """Reason and message of a pod that cannot run, if there is one.

    A pod that ended with its node's agent is no sign of trouble with the app.
    """
    for pod in pods:
        if status_of(pod).get("reason") == NODE_RESTARTED:
            continue
        if status_of(pod).get("reason") == EVICTED:
            return EVICTED, str(status_of(pod).get("message") or "")
        inits = status_of(pod).get("initContainerStatuses") or ()
        for status in (*inits, *(status_of(pod).get("containerStatuses") or ())):
            state, last = status.get("state") or {}, status.get("lastState") or {}
            waiting = state.get("waiting") or {}
            ended = state.get("terminated") or last.get("terminated") or {}
            if waiting.get("reason") == "CrashLoopBackOff" and ended:
                said = ended.get("message") or "container exited with no error"  # Knative's
                return f"ExitCode{ended.get('exitCode')}", str(said)
            if waiting.get("reason") not in _COMING:
                return str(waiting["reason"]), str(waiting.get("message") or "")
            if state.get("terminated") and ended.get("exitCode"):
                return f"ExitCode{ended.get('exitCode')}", str(ended.get("message") or "")
    return None
