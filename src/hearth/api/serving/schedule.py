"""Scheduled floors: pods that a revision keeps at certain times whatever its load.

``hearth.dev/scheduled-min-scale: "3 from 0 8 * * 1-5 until 0 18 * * 1-5 in Europe/Berlin"``: three
pods on working days from eight to six. Several are separated by ``;``, and the highest that holds
counts; without ``in ZONE`` times are UTC. A floor holds when it began more recently than it ended.

Cron expressions are read by cronsim, which treats changes of the clock as Debian's cron does; zones
come from the system's database.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from hearth.api.errors import FieldError

SCHEDULE_ANNOTATION = "hearth.dev/scheduled-min-scale"
_FLOOR = re.compile(r"\s*(\d+)\s+from\s+(.+?)\s+until\s+(.+?)(?:\s+in\s+(\S+))?\s*")
_EXPECTED = 'expected "PODS from CRON until CRON [in ZONE]"'
_TEXT_MAX = 1000  #: characters


@dataclass(frozen=True, slots=True)
class ScheduledFloor:
    """One floor and when it holds."""

    pods: int
    begin: str  #: cron expression
    end: str
    zone: str = "UTC"

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.pods} from {self.begin} until {self.end} in {self.zone}"


@dataclass(frozen=True, slots=True)
class Floor:
    """What holds at a moment."""

    pods: int  #: 0 when no floor holds
    until: datetime  #: when something else may hold


def parse_schedule(text: str) -> tuple[ScheduledFloor, ...]:
    """Read the annotation.

    Raises:
        ValueError: says which part is not understood.
    """
    if len(text) > _TEXT_MAX:
        raise ValueError(f"has {len(text)} characters, expected at most {_TEXT_MAX}")
    return tuple(_parse_floor(part) for part in text.split(";") if part.strip())


def _parse_floor(text: str) -> ScheduledFloor:
    found = _FLOOR.fullmatch(text)
    if found is None:
        raise ValueError(f"found {text.strip()!r}, {_EXPECTED}")
    floor = ScheduledFloor(int(found[1]), found[2], found[3], found[4] or "UTC")
    zone = _zone(floor.zone)
    for expression in (floor.begin, floor.end):
        _occurs(expression, datetime(2026, 1, 1, tzinfo=zone), backwards=False)
    return floor


def floor_at(floors: Iterable[ScheduledFloor], now: datetime) -> Floor:
    """The highest floor that holds at ``now``, and when to ask again.

    Args:
        floors: as parsed.
        now: with a time zone.
    """
    pods, until = 0, now + timedelta(days=1)
    for floor in floors:
        here = now.astimezone(_zone(floor.zone))
        just_after = here.replace(microsecond=0) + timedelta(seconds=1)  # now itself has been
        began = _occurs(floor.begin, just_after, backwards=True)
        ended = _occurs(floor.end, just_after, backwards=True)
        if ended < began:
            pods = max(pods, floor.pods)
        for expression in (floor.begin, floor.end):
            until = min(until, _occurs(expression, here, backwards=False).astimezone(UTC))
    return Floor(pods, until)


def _occurs(expression: str, at: datetime, *, backwards: bool) -> datetime:
    """The last time before ``at``, or the next one after it."""
    from cronsim import CronSim, CronSimError  # here: most platforms have no schedule

    try:
        found: datetime = next(CronSim(expression, at, reverse=backwards))
    except CronSimError as error:
        raise ValueError(f"{expression!r} is no cron expression: {error}") from None
    return found


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # as above

    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone such as Europe/Berlin") from None


def schedule_faults(annotations: Mapping[str, str], path: str) -> list[FieldError]:
    """What is wrong with the annotation, if it is there."""
    text = annotations.get(SCHEDULE_ANNOTATION)
    if text is None:
        return []
    try:
        parse_schedule(str(text))
    except ValueError as error:
        where = f"{path}.{SCHEDULE_ANNOTATION}"
        return [FieldError(where, f"invalid value: {text}: {where}\n{error}")]
    return []
