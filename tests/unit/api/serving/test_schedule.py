from datetime import UTC, datetime

import pytest

from hearth.api.serving.schedule import (
    SCHEDULE_ANNOTATION,
    ScheduledFloor,
    floor_at,
    parse_schedule,
    schedule_faults,
)

OFFICE = "3 from 0 8 * * 1-5 until 0 18 * * 1-5 in Europe/Berlin"


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_what_is_written_is_read():
    assert parse_schedule(f"{OFFICE}; 1 from 0 0 * * * until 0 1 * * *;") == (
        ScheduledFloor(3, "0 8 * * 1-5", "0 18 * * 1-5", "Europe/Berlin"),
        ScheduledFloor(1, "0 0 * * *", "0 1 * * *", "UTC"),
    )
    assert str(parse_schedule(OFFICE)[0]) == OFFICE


@pytest.mark.parametrize(
    ("now", "pods", "until"),
    [  # Berlin is an hour ahead of UTC in winter, two in summer
        pytest.param("2026-11-24T06:59:59", 0, "2026-11-24T07:00:00", id="before-eight"),
        pytest.param("2026-11-24T07:00:00", 3, "2026-11-24T17:00:00", id="at-eight"),
        pytest.param("2026-11-24T16:59:59", 3, "2026-11-24T17:00:00", id="before-six"),
        pytest.param("2026-11-24T17:00:00", 0, "2026-11-25T07:00:00", id="at-six"),
        pytest.param("2026-11-28T12:00:00", 0, "2026-11-29T12:00:00", id="on-a-saturday"),
        pytest.param("2026-07-01T06:00:00", 3, "2026-07-01T16:00:00", id="in-summer"),
    ],
)
def test_a_floor_holds_between_its_times(now, pods, until):
    found = floor_at(parse_schedule(OFFICE), at(now))
    assert (found.pods, found.until) == (pods, at(until))


def test_of_several_the_highest_counts():
    both = "2 from 0 0 * * * until 0 23 * * *; 5 from 0 12 * * * until 0 13 * * *"
    found = [floor_at(parse_schedule(both), at(f"2026-01-01T{hour}:30:00")).pods for hour in
             ("10", "12", "13", "23")]  # fmt: skip
    assert found == [2, 5, 2, 0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("always 3", 'expected "PODS from CRON until CRON [in ZONE]"'),
        ("3 from 99 8 * * * until 0 18 * * *", "is no cron expression"),
        ("3 from 0 8 30 2 * until 0 18 * * *", "is no cron expression"),
        ("3 from 0 8 * * until 0 18 * * *", "is no cron expression"),
        ("3 from 0 8 * * * until 0 18 * * * in Mars/Phobos", "'Mars/Phobos' is no time zone"),
        ("3 from 0 8 * * * until 0 18 * * * in ../../etc/passwd", "is no time zone"),
        ("1" * 1001, "expected at most 1000"),
    ],
)
def test_what_is_not_understood_is_told_with_its_path(text, said):
    [fault] = schedule_faults({SCHEDULE_ANNOTATION: text}, "metadata.annotations")
    assert fault.field == f"metadata.annotations.{SCHEDULE_ANNOTATION}"
    assert said in fault.message


def test_nothing_is_wrong_where_nothing_is_scheduled():
    assert schedule_faults({}, "metadata.annotations") == []
    assert schedule_faults({SCHEDULE_ANNOTATION: OFFICE}, "metadata.annotations") == []
