"""Gradual rollout: the share of a new revision grows in steps over a given time.

A target that follows a Configuration's latest ready revision begins with 1 % for the new one. How
long the gateways took for that is the shortest step; the rest of the time is cut into equal steps
of whole percents. A revision that comes meanwhile begins another one: the newest takes from the
ones before it, newest first, and each keeps what it reached.

Times are nanoseconds since 1970, and the JSON is Knative's: it is kept in the Route's status, so a
rollout goes on after a restart.

Source: knative.dev/serving pkg/reconciler/route/traffic/rollout.go.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from hearth.api.views import View

_SECOND_NS = 1_000_000_000
Key = tuple[str, str]  #: tag and Configuration


@dataclass(frozen=True, slots=True)
class Share:
    """A revision and its percent of the Route's traffic."""

    revision: str
    percent: int


@dataclass(frozen=True, slots=True)
class Steps:
    """When and how far a rollout goes on; all zero when there is none."""

    started_ns: int = 0
    next_ns: int = 0
    every_ns: int = 0  #: 0 until the gateways have the first percent
    percent: int = 0


@dataclass(frozen=True, slots=True)
class Rollout:
    """What a target that follows a Configuration is made of, oldest revision first."""

    key: Key
    percent: int
    shares: tuple[Share, ...]
    steps: Steps = Steps()

    @property
    def is_done(self) -> bool:
        """Whether all goes to one revision."""
        return len(self.shares) < 2


def advance(goal: Rollout, was: Rollout | None, now_ns: int) -> Rollout:
    """The rollout as it is now, on its way to ``goal``.

    Args:
        goal: where it is to end: all to one revision.
        was: how it was before; None if there was none, then it is at its end at once.
        now_ns: the time.
    """
    if was is None or goal.percent <= 1 or not was.shares:
        return goal
    shares = _resized(was.shares, goal.percent - was.percent)
    new = goal.shares[0].revision
    if was.shares[-1].revision != new:
        return replace(goal, shares=_begun(shares, new), steps=Steps(started_ns=now_ns))
    if len(shares) < 2:
        return goal
    going = replace(goal, shares=shares, steps=was.steps)
    return _stepped(going, now_ns) if was.steps.percent > 0 else going


def timed(rollout: Rollout, now_ns: int, duration_s: float) -> Rollout:
    """The rollout with its steps, now that the gateways have its first percent.

    Args:
        rollout: one that may have just begun; another one stays as it is.
        now_ns: the time.
        duration_s: how long all of it shall take, over 0.
    """
    steps = rollout.steps
    if steps.every_ns or not steps.started_ns:
        return rollout
    shortest_s = max(1, math.ceil((now_ns - steps.started_ns) / _SECOND_NS))
    left_s = max(1.0, duration_s - shortest_s)
    missing = rollout.percent - 1
    count = min(max(1.0, left_s / shortest_s), missing)
    every_ns = int(left_s / count * _SECOND_NS)
    percent = math.floor(missing / count + 0.5)
    return replace(rollout, steps=Steps(steps.started_ns, now_ns + every_ns, every_ns, percent))


def _resized(shares: Sequence[Share], more: int) -> tuple[Share, ...]:
    """Give the newest revision more of the Route, or take from the oldest ones."""
    if more >= 0:
        return (*shares[:-1], replace(shares[-1], percent=shares[-1].percent + more))
    less, kept = -more, list(shares)
    while kept and kept[0].percent <= less:
        less -= kept.pop(0).percent
    if kept and less:
        kept[0] = replace(kept[0], percent=kept[0].percent - less)
    return tuple(kept)


def _begun(shares: Sequence[Share], new: str) -> tuple[Share, ...]:
    """Take 1 % from the newest of the old revisions for the new one."""
    old = list(shares)
    for at in reversed(range(len(old))):
        if old[at].percent > 0:
            old[at] = replace(old[at], percent=old[at].percent - 1)
            break
    return (*(share for share in old if share.percent > 0), Share(new, 1))


def _stepped(rollout: Rollout, now_ns: int) -> Rollout:
    """One step further, if it is time."""
    steps = rollout.steps
    if now_ns < steps.next_ns:
        return rollout
    *older, newest = rollout.shares
    left = steps.percent
    while older and older[-1].percent <= left:
        left -= older.pop().percent
    if not older:
        return replace(rollout, shares=(replace(newest, percent=rollout.percent),), steps=Steps())
    older[-1] = replace(older[-1], percent=older[-1].percent - left)
    newest = replace(newest, percent=min(newest.percent + steps.percent, rollout.percent))
    again = replace(steps, next_ns=now_ns + steps.every_ns)
    return replace(rollout, shares=(*older, newest), steps=again)


# The JSON


class _Share(View, frozen=True):
    revision_name: str
    percent: int


class _Steps(View, frozen=True, rename={
    "started_ns": "starttime", "next_ns": "nextStepTime", "every_ns": "stepDuration",
    "percent": "stepSize",
}):  # fmt: skip
    started_ns: int = 0
    next_ns: int = 0
    every_ns: int = 0
    percent: int = 0


class _Rollout(View, frozen=True):
    configuration_name: str
    tag: str = ""
    percent: int = 0
    revisions: tuple[_Share, ...] = ()
    step_params: _Steps = _Steps()


class _Rollouts(View, frozen=True):
    configurations: tuple[_Rollout, ...] = ()


def written(rollouts: Iterable[Rollout]) -> str:
    """The rollouts as Knative's JSON; empty when there is none."""
    views = [
        _Rollout(
            tag=one.key[0],
            configuration_name=one.key[1],
            percent=one.percent,
            revisions=tuple(_Share(share.revision, share.percent) for share in one.shares),
            step_params=_Steps(
                one.steps.started_ns, one.steps.next_ns, one.steps.every_ns, one.steps.percent
            ),
        )
        for one in sorted(rollouts, key=lambda one: one.key)
    ]
    return msgspec.json.encode(_Rollouts(tuple(views))).decode() if views else ""


def read(text: str) -> Mapping[Key, Rollout]:
    """The rollouts of :func:`written`; none when the text is not what that writes."""
    if not text:
        return {}
    try:
        views = msgspec.json.decode(text, type=_Rollouts).configurations
    except msgspec.MsgspecError:
        return {}
    found = [_of(view) for view in views]
    return {one.key: one for one in found} if all(map(_is_sound, found)) else {}


def _of(view: _Rollout) -> Rollout:
    shares = tuple(Share(share.revision_name, share.percent) for share in view.revisions)
    steps = view.step_params
    return Rollout(
        (view.tag, view.configuration_name),
        view.percent,
        shares,
        Steps(steps.started_ns, steps.next_ns, steps.every_ns, steps.percent),
    )


def _is_sound(one: Rollout) -> bool:
    return (
        one.percent <= 100
        and 0 <= one.steps.percent <= one.percent
        and sum(share.percent for share in one.shares) == one.percent
    )
