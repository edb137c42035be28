"""One counter, compare-and-swap, history: any order of writes keeps the invariants."""

from __future__ import annotations

import random

import pytest

from hearth.store.core.mvcc import (
    FRESH,
    Compacted,
    Entry,
    KeyExists,
    Mismatch,
    Mvcc,
    Put,
    Remove,
)


def written(*ops, history_max=100):
    mvcc = Mvcc(history_max=history_max)
    for op in ops:
        mvcc.publish(mvcc.write([op]))
    return mvcc


def kept_bytes(entries):
    return sum(len(entry._kept) for entry in entries)


def test_old_values_take_less_memory_and_read_the_same():
    text = b'{"metadata":{"labels":{"one":"label","another":"label"}}}' * 50
    values = [text + str(number).encode() for number in range(FRESH * 3)]
    puts = [Put(f"/{number:04}", value) for number, value in enumerate(values)]
    mvcc = written(*puts, history_max=1000)
    entries = [entry for _, entry in mvcc.scan("/")]
    assert kept_bytes(entries[-FRESH:]) == sum(map(len, values[-FRESH:]))  # may be read any moment
    assert kept_bytes(entries[:-FRESH]) < 0.1 * sum(map(len, values[:-FRESH]))
    assert [entry.value for entry in entries] == values


def test_what_was_there_at_the_start_is_packed_as_writes_come():
    there = [(f"/there-{number}", Entry(b"x" * 3000, 1, 1)) for number in range(100)]
    mvcc = Mvcc(there, revision=1)
    for _ in range(100):
        mvcc.publish(mvcc.write([Put("/a", b"")]))
    assert kept_bytes(entry for _, entry in there) < 10_000
    assert all(entry.value == b"x" * 3000 for _, entry in mvcc.scan("/there-"))


def test_each_write_takes_the_next_revision():
    mvcc = written(Put("/a", b"1"), Put("/b", b"2"), Put("/a", b"3"))
    assert mvcc.revision == 3
    assert mvcc.get("/a") == Entry(b"3", created=1, modified=3)
    assert mvcc.get("/c") is None


@pytest.mark.parametrize(
    ("op", "error"),
    [
        pytest.param(Put("/a", b"", expect=0), KeyExists, id="create-what-is-there"),
        pytest.param(Put("/a", b"", expect=9), Mismatch, id="update-at-another-revision"),
        pytest.param(Put("/b", b"", expect=1), Mismatch, id="update-what-is-not-there"),
        pytest.param(Remove("/a", expect=2), Mismatch, id="remove-at-another-revision"),
        pytest.param(Remove("/b"), Mismatch, id="remove-what-is-not-there"),
    ],
)
def test_a_write_that_does_not_hold_changes_nothing(op, error):
    mvcc = written(Put("/a", b"1"))
    with pytest.raises(error):
        mvcc.write([Put("/c", b"first"), op])
    assert (mvcc.revision, mvcc.get("/c"), mvcc.get("/a")) == (1, None, Entry(b"1", 1, 1))


@pytest.mark.parametrize("expect", [None, 1], ids=["whatever", "that-revision"])
def test_a_write_that_holds_is_done(expect):
    mvcc = written(Put("/a", b"1"))
    [event] = mvcc.write([Put("/a", b"2", expect)])
    assert (event.old, event.new) == (Entry(b"1", 1, 1), Entry(b"2", 1, 2))
    [event] = mvcc.write([Remove("/a", None if expect is None else 2)])
    assert (event.old, event.new, event.revision) == (Entry(b"2", 1, 2), None, 3)


def test_a_transaction_moves_an_object_at_consecutive_revisions():
    mvcc = written(Put("/one/a", b"1"))
    events = mvcc.write([Remove("/one/a", 1), Put("/two/a", b"1", expect=0)])
    assert [(e.revision, e.key, e.new is None) for e in events] == [
        (2, "/one/a", True),
        (3, "/two/a", False),
    ]


def test_a_scan_sees_what_is_below_the_prefix_in_order():
    mvcc = written(*(Put(key, b"") for key in ("/b/2", "/a/1", "/b/1", "/c/1", "/b/3")))
    mvcc.write([Remove("/b/2")])
    assert [key for key, _ in mvcc.scan("/b/")] == ["/b/1", "/b/3"]
    assert [key for key, _ in mvcc.scan("/c/")] == ["/c/1"]
    assert list(mvcc.scan("/d/")) == []


def test_what_is_undone_never_was():
    mvcc = written(Put("/a", b"1"))
    events = [*mvcc.write([Put("/a", b"2"), Put("/b", b"1")]), *mvcc.write([Remove("/a")])]
    mvcc.undo(events)
    mvcc.check()
    assert (mvcc.revision, mvcc.get("/a"), mvcc.get("/b")) == (1, Entry(b"1", 1, 1), None)


def test_a_watcher_is_owed_exactly_what_came_after():
    mvcc = written(*(Put("/a", str(n).encode()) for n in range(5)))
    assert [event.revision for event in mvcc.since(3)] == [4, 5]
    assert mvcc.since(5) == []


def test_old_events_are_dropped_and_asking_for_them_is_refused():
    mvcc = written(*(Put("/a", b"") for _ in range(21)), history_max=10)
    with pytest.raises(Compacted):
        mvcc.since(10)
    assert [event.revision for event in mvcc.since(11)] == list(range(12, 22))
    mvcc.check()


def test_a_revision_of_another_store_is_refused():
    with pytest.raises(Compacted):
        written(Put("/a", b"")).since(2)


def test_a_loaded_store_goes_on_counting_and_has_no_history():
    mvcc = Mvcc([("/b", Entry(b"x", 3, 7)), ("/a", Entry(b"y", 2, 2))], revision=9)
    mvcc.check()
    with pytest.raises(Compacted):
        mvcc.since(8)
    [event] = mvcc.write([Put("/a", b"z")])
    assert event.revision == 10


@pytest.mark.parametrize("seed", range(20))
def test_any_story_keeps_the_invariants(seed):
    chance = random.Random(seed)
    mvcc, unpublished = Mvcc(history_max=7), []
    for _ in range(200):
        key = f"/{chance.randrange(6)}"
        entry = mvcc.get(key)
        op = Remove(key) if entry and chance.random() < 0.4 else Put(key, b"v")
        unpublished.append(mvcc.write([op]))
        if chance.random() < 0.2:
            mvcc.undo(unpublished.pop())
        elif chance.random() < 0.5:
            for events in unpublished:
                mvcc.publish(events)
            unpublished.clear()
        mvcc.check()


def test_old_events_are_forgotten_but_the_newest_stay():
    mvcc = written(*(Put(f"/{number}", b"") for number in range(10)))
    assert mvcc.forget(6, kept=2)
    mvcc.check()
    assert [event.revision for event in mvcc.since(6)] == [7, 8, 9, 10]
    with pytest.raises(Compacted):
        mvcc.since(5)
    assert mvcc.forget(10, kept=2) and not mvcc.forget(10, kept=2)
    assert [event.revision for event in mvcc.since(8)] == [9, 10]
