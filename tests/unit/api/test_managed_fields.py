"""Who owns which field, after updates and applies."""

from __future__ import annotations

import random

import pytest

from hearth.api.errors import Conflict
from hearth.api.fields_v1 import from_fields_v1, to_fields_v1, with_paths, without_paths
from hearth.api.managed_fields import apply, differences, note_update, owned_paths

AT = "2026-01-01T00:00:00Z"


def owners(wire):
    """Dotted leaf paths by manager."""
    found = {}
    for entry in wire["metadata"].get("managedFields", ()):
        paths = from_fields_v1(entry["fieldsV1"])
        found[entry["manager"]] = {".".join(step[2:] for step in path) for path in paths}
    return found


def test_who_creates_owns_everything_but_what_the_server_sets():
    wire = {"metadata": {"name": "a", "uid": "u", "labels": {"x": "1"}}, "spec": {"n": 1}}
    assert owners(note_update(None, wire, "me", AT)) == {"me": {"metadata.labels.x", "spec.n"}}


def test_who_changes_a_field_takes_it():
    wire = note_update(None, {"metadata": {"name": "a"}, "spec": {"n": 1, "m": 1}}, "one", AT)
    changed = note_update(wire, {**wire, "spec": {"n": 2, "m": 1}}, "two", AT)
    assert owners(changed) == {"one": {"spec.m"}, "two": {"spec.n"}}


def test_a_field_that_is_gone_is_nobodys():
    wire = note_update(None, {"metadata": {"name": "a"}, "spec": {"n": 1, "m": 1}}, "one", AT)
    assert owners(note_update(wire, {**wire, "spec": {"m": 1}}, "two", AT)) == {"one": {"spec.m"}}


def test_elements_of_keyed_lists_are_owned_one_by_one():
    one = {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}
    two = {"containers": [{"name": "b", "image": "2"}, {"name": "c", "image": "1"}]}
    changed, removed = differences(one, two)
    assert {path[1:] for path in changed} == {
        ('k:{"name":"b"}', "f:image"),
        ('k:{"name":"c"}',),
        ('k:{"name":"c"}', "f:name"),
        ('k:{"name":"c"}', "f:image"),
    }
    assert {path[1:] for path in removed} == {
        ('k:{"name":"a"}',),
        ('k:{"name":"a"}', "f:name"),
        ('k:{"name":"a"}', "f:image"),
    }


def test_what_an_apply_leaves_out_is_removed():
    first = apply(
        None, {"metadata": {"name": "a"}, "spec": {"n": 1, "m": 1}}, "me", AT, force=False
    )
    second = apply(first, {"metadata": {"name": "a"}, "spec": {"n": 1}}, "me", AT, force=False)
    assert second["spec"] == {"n": 1}
    assert owners(second) == {"me": {"spec.n"}}


@pytest.mark.parametrize("other", [None, {"b": "2"}])
def test_a_map_that_was_applied_empty_can_be_filled(other):
    wire = apply(None, {"metadata": {"name": "a"}, "data": {}}, "me", AT, force=False)
    if other:
        wire = note_update(wire, {**wire, "data": other}, "you", AT)
    filled = apply(wire, {"metadata": {"name": "a"}, "data": {"a": "1"}}, "me", AT, force=False)
    assert filled["data"] == {**(other or {}), "a": "1"}
    emptied = apply(filled, {"metadata": {"name": "a"}, "data": {}}, "me", AT, force=False)
    assert emptied["data"] == (other or {})


def test_an_apply_over_anothers_field_is_a_conflict_that_names_it():
    wire = note_update(None, {"metadata": {"name": "a"}, "spec": {"n": 1}}, "one", AT)
    wanted = {"metadata": {"name": "a"}, "spec": {"n": 2}}
    with pytest.raises(Conflict, match=r'conflict with "one": \.spec\.n'):
        apply(wire, wanted, "two", AT, force=False)
    forced = apply(wire, wanted, "two", AT, force=True)
    assert (forced["spec"], owners(forced)) == ({"n": 2}, {"two": {"spec.n"}})


def some_object(chance, depth=0):
    found = {}
    for field in chance.sample(["x", "y", "containers", "finalizers", "metadata"], 3):
        if field == "containers":
            names = chance.sample("abc", chance.randrange(4))
            found[field] = [{"name": name, "image": chance.randrange(2)} for name in names]
        elif field == "finalizers":
            found[field] = chance.sample("fgh", chance.randrange(3))
        elif field == "metadata":
            found[field] = {"name": "n", "labels": {"a": chance.randrange(2)}}
        elif depth < 2 and chance.random() < 0.5:
            found[field] = some_object(chance, depth + 1)
        else:
            found[field] = chance.choice([1, "s", {}, [], [1], None])
    return found


@pytest.mark.parametrize("seed", range(50))
def test_the_differences_are_those_between_all_paths(seed):
    chance = random.Random(seed)
    old, new = some_object(chance), some_object(chance)
    changed, removed = differences(old, new)
    assert removed == owned_paths(old) - owned_paths(new)
    assert changed >= owned_paths(new) - owned_paths(old)
    assert changed <= owned_paths(new)


@pytest.mark.parametrize("seed", range(50))
def test_a_trie_is_the_set_of_its_paths(seed):
    chance = random.Random(seed)
    universe = [tuple(chance.choices("abc", k=n)) for n in (1, 2, 3) for _ in range(6)]
    have = frozenset(chance.sample(universe, 9))
    other = frozenset(chance.sample(universe, 9))
    trie = to_fields_v1(have)
    assert from_fields_v1(trie) == have
    assert without_paths(trie, other) == to_fields_v1(have - other)
    assert from_fields_v1(with_paths(trie, other)) == have | other
    assert trie == to_fields_v1(have)  # as it was
