"""How a Service's traffic is shared out, and what a change makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hearth.api.meta import Wire, spec_of

LATEST = "@latest"  #: stands for whichever revision was made last and is ready


class BadSplit(Exception):
    """The percentages do not add up; the message says to what."""


@dataclass(frozen=True, slots=True)
class Change:
    """What shall become different."""

    percents: Mapping[str, int] = field(default_factory=dict)  #: by revision, or LATEST
    tags: Mapping[str, str] = field(default_factory=dict)  #: revision (or LATEST) by tag
    untag: frozenset[str] = frozenset()


def change_traffic(service: Wire, change: Change) -> list[Wire]:
    """The Service's new ``spec.traffic``.

    Percentages that are given hold; what they leave of 100 goes to the others, in the proportion
    they have now.

    Raises:
        BadSplit: more than 100 is given, or less and nobody is there to take the rest.
    """
    now = spec_of(service).get("traffic") or [{"latestRevision": True, "percent": 100}]
    percents: dict[str, int] = {}
    tags: dict[str, str] = {}
    for target in now:
        who = _who(target)
        percents[who] = percents.get(who, 0) + int(target.get("percent") or 0)
        if target.get("tag"):
            tags[str(target["tag"])] = who
    if change.percents:
        percents = _share_out(percents, change.percents)
    kept = {tag: who for tag, who in tags.items() if tag not in change.untag}
    return list(_targets(percents, {**kept, **change.tags}))


def missing_tags(service: Wire, tags: Iterable[str]) -> list[str]:
    """Those of the tags that the Service does not have."""
    have = {target.get("tag") for target in spec_of(service).get("traffic") or ()}
    return [tag for tag in tags if tag not in have]


def _share_out(now: Mapping[str, int], given: Mapping[str, int]) -> dict[str, int]:
    rest = 100 - sum(given.values())
    others = {who: percent for who, percent in now.items() if who not in given and percent}
    if rest < 0:
        raise BadSplit(f"the percentages sum to {100 - rest}, expected at most 100")
    if rest and not others:
        said = "and no other revision has traffic to take the rest"
        raise BadSplit(f"the percentages sum to {100 - rest} {said}, expected 100")
    return {**_proportionally(rest, others), **given}


def _proportionally(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Whole percents that sum to ``total``: the largest remainders are rounded up."""
    whole = sum(weights.values())
    shares = {who: total * weight // whole for who, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda who: (-(total * weights[who] % whole), who))
    for who in by_remainder[: total - sum(shares.values())]:
        shares[who] += 1
    return shares


def _targets(percents: Mapping[str, int], tags: Mapping[str, str]) -> Iterable[Wire]:
    left = {who: percent for who, percent in percents.items() if percent}
    for tag, who in sorted(tags.items()):
        yield {**_target(who), "percent": left.pop(who, 0), "tag": tag}
    for who, percent in left.items():
        yield {**_target(who), "percent": percent}


def _who(target: Wire) -> str:
    return str(target.get("revisionName") or LATEST)


def _target(who: str) -> Wire:
    if who == LATEST:
        return {"latestRevision": True}
    return {"revisionName": who, "latestRevision": False}
