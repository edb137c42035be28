import pytest

from hearth.node.core.image_gc import AGE_MIN_S, Stored, bytes_to_free, to_remove


@pytest.mark.parametrize(
    ("available", "wanted"),
    [
        pytest.param(300, 0, id="room"),
        pytest.param(151, 0, id="nearly-full"),
        pytest.param(150, 50, id="full"),
        pytest.param(0, 200, id="nothing-left"),
    ],
)
def test_a_disk_is_emptied_from_the_high_mark_to_the_low_one(available, wanted):
    assert bytes_to_free(1000, available, high_share=0.85, low_share=0.80) == wanted


def stored(name, *, size=10, first=0.0, last=0.0):
    return Stored(name, size, first, last)


def test_what_was_used_longest_ago_goes_first_and_no_more_than_is_needed():
    images = [stored("new", last=30.0), stored("old", last=10.0), stored("older", last=5.0)]
    assert to_remove(images, 11, 1000.0) == ["older", "old"]
    assert to_remove(images, 0, 1000.0) == []


def test_what_has_just_come_or_was_just_used_stays():
    images = [stored("pulled", first=1000.0), stored("used", last=1000.0)]
    assert to_remove(images, 100, 1000.0 + AGE_MIN_S - 1) == []
    assert to_remove(images, 100, 1000.0 + AGE_MIN_S) == ["pulled", "used"]
