"""Which revisions nobody needs any more: pure.

Source: knative.dev/serving pkg/reconciler/gc/gc.go.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from hearth.api.config import GcConfig
from hearth.api.meta import Wire, annotations_of, is_deleting, labels_of, metadata, name_of
from hearth.api.names import ROUTING_STATE_LABEL, ROUTING_STATE_MODIFIED_ANNOTATION

NO_GC_ANNOTATION = "serving.knative.dev/no-gc"
_RESERVE = "reserve"


def garbage(
    revisions: Sequence[Wire], latest: Collection[str], config: GcConfig, now: datetime
) -> tuple[list[Wire], float | None]:
    """The revisions to remove, the one that was active longest ago first.

    Args:
        revisions: all of one Configuration.
        latest: the names of its newest and of its newest ready one, which always stay.
        config: what holds.
        now: the time.

    Returns:
        Them, and seconds until the next may have to go; None when only a change can bring that.
    """
    revisions = [revision for revision in revisions if not is_deleting(revision)]
    if config.is_off or len(revisions) <= config.min_non_active:
        return [], None
    idle = [one for one in revisions if not _is_active(one, latest)]
    idle.sort(key=_last_active)
    may_go = len(idle) - config.min_non_active
    if may_go <= 0:
        return [], None
    left_s = {name_of(one): _left_s(one, config, now) for one in idle}
    stale = [one for one in idle if (left := left_s[name_of(one)]) is not None and left <= 0]
    gone = stale[:may_go]
    if len(stale) < may_go and config.max_non_active is not None:
        others = [one for one in idle if one not in gone]
        gone += others[: max(0, len(others) - config.max_non_active)]
    waiting = [left for left in left_s.values() if left is not None and left > 0]
    return gone, min(waiting, default=None)


def _is_active(revision: Wire, latest: Collection[str]) -> bool:
    """Whether it has traffic, may get some at once, or is to be kept."""
    return (
        name_of(revision) in latest
        or annotations_of(revision).get(NO_GC_ANNOTATION, "").lower() == "true"
        or labels_of(revision).get(ROUTING_STATE_LABEL) != _RESERVE
    )


def _last_active(revision: Wire) -> datetime:
    text = annotations_of(revision).get(ROUTING_STATE_MODIFIED_ANNOTATION)
    try:
        return datetime.fromisoformat(text) if text else _created(revision)
    except ValueError:
        return _created(revision)


def _created(revision: Wire) -> datetime:
    return datetime.fromisoformat(str(metadata(revision).get("creationTimestamp")))


def _left_s(revision: Wire, config: GcConfig, now: datetime) -> float | None:
    """Seconds until it is stale; None when time alone does not make it so."""
    kept = (
        (config.since_create_s, _created(revision)),
        (config.since_active_s, _last_active(revision)),
    )
    lefts = [keep - (now - since).total_seconds() for keep, since in kept if keep is not None]
    return max(lefts, default=None)
