"""What must go when owners and namespaces go."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from hearth.apiserver.core.deletion import FOREGROUND, ORPHAN
from hearth.apiserver.core.ownership import (
    Collect,
    Disown,
    Finish,
    Furnish,
    Ownership,
    Release,
    Seen,
)

HERE, THERE, NOWHERE = ("root", "here"), ("root", "there"), ("root", "")


def seen(name, *owners, scope=HERE, blocking=True, **more):
    blocks = owners if blocking else ()
    return Seen(f"/{name}", f"uid-{name}", scope, owners, blocks, **more)


def namespace(name="here", **more):
    return seen(f"ns-{name}", scope=NOWHERE, namespace=name, **more)


def loaded(*everything):
    ownership = Ownership()
    ownership.load(everything)
    return ownership


def test_what_lost_its_only_owner_is_collected():
    ownership = loaded(seen("owner"), seen("owned", "uid-owner"))
    assert ownership.remove("/owner") == [Collect("/owned", "uid-owned")]


def test_what_has_another_owner_stays():
    ownership = loaded(seen("one"), seen("two"), seen("owned", "uid-one", "uid-two"))
    assert ownership.remove("/one") == []
    assert ownership.remove("/two") == [Collect("/owned", "uid-owned")]


def test_what_comes_after_its_owner_went_is_collected():
    ownership = loaded(seen("owner"))
    ownership.remove("/owner")
    assert ownership.put(seen("late", "uid-owner")) == [Collect("/late", "uid-late")]


def test_the_order_of_what_is_there_at_the_start_does_not_matter():
    assert Ownership().load([seen("owned", "uid-owner"), seen("owner")]) == []


@pytest.mark.parametrize(
    ("scope", "want"),
    [
        pytest.param(NOWHERE, [], id="cluster-scoped"),
        pytest.param(THERE, [Collect("/owned", "uid-owned")], id="another-namespace"),
        pytest.param(("acme", "here"), [Collect("/owned", "uid-owned")], id="another-tenant"),
    ],
)
def test_an_owner_counts_only_where_owners_may_be(scope, want):
    ownership = loaded(seen("owner", scope=scope))
    assert ownership.put(seen("owned", "uid-owner")) == want


def test_an_object_that_is_moved_with_its_uid_keeps_its_owner_s_care():
    ownership = loaded(seen("pool", scope=NOWHERE), seen("pod", "uid-pool", scope=THERE))
    assert ownership.remove("/pod") == []
    assert ownership.put(replace(seen("pod", "uid-pool"), key="/moved")) == []
    assert ownership.remove("/pool") == [Collect("/moved", "uid-pod")]


def test_what_appeared_elsewhere_before_it_left_is_not_gone():
    ownership = loaded(seen("owner"), seen("owned", "uid-owner"))
    ownership.put(replace(seen("owner"), key="/moved"))
    assert ownership.remove("/owner") == []
    assert ownership.remove("/moved") == [Collect("/owned", "uid-owned")]


def test_foreground_waits_for_the_dependents_that_block():
    ownership = loaded(seen("owner"), seen("owned", "uid-owner"))
    going = seen("owner", finalizers=(FOREGROUND,), deleting=True)
    assert ownership.put(going) == [Collect("/owned", "uid-owned")]
    assert ownership.put(seen("owned", "uid-owner", deleting=True)) == []
    assert ownership.remove("/owned") == [Release("/owner", FOREGROUND)]


def test_foreground_does_not_wait_for_dependents_that_do_not_block():
    ownership = loaded(seen("owner"), seen("owned", "uid-owner", blocking=False))
    going = seen("owner", finalizers=(FOREGROUND,), deleting=True)
    assert ownership.put(going) == [
        Collect("/owned", "uid-owned"),
        Release("/owner", FOREGROUND),
    ]


def test_foreground_goes_down_the_whole_tree():
    tree = (seen("top"), seen("middle", "uid-top"), seen("leaf", "uid-middle"))
    ownership = loaded(*tree)
    going = seen("top", finalizers=(FOREGROUND,), deleting=True)
    assert ownership.put(going) == [Collect("/middle", "uid-middle", foreground=True)]


def test_orphans_are_disowned_before_their_owner_goes():
    ownership = loaded(seen("owner"), seen("owned", "uid-owner"))
    going = seen("owner", finalizers=(ORPHAN,), deleting=True)
    assert ownership.put(going) == [Disown("/owned", "uid-owner")]
    assert ownership.put(seen("owned")) == [Release("/owner", ORPHAN)]
    assert ownership.remove("/owner") == []


def test_a_namespace_is_furnished_once():
    ownership = Ownership()
    assert ownership.load([namespace()]) == [Furnish(HERE)]
    assert ownership.put(namespace()) == []
    assert ownership.put(namespace("there")) == [Furnish(THERE)]


def test_a_namespace_that_is_going_is_emptied_and_then_finished():
    ownership = loaded(namespace(), namespace("there"), seen("a"), seen("b", scope=THERE))
    assert ownership.put(namespace(deleting=True)) == [Collect("/a", "uid-a")]
    assert ownership.put(seen("late")) == [Collect("/late", "uid-late")]
    assert ownership.remove("/a") == [Collect("/late", "uid-late")]
    assert ownership.remove("/late") == [Finish("/ns-here")]


def test_an_empty_namespace_is_finished_at_once():
    ownership = loaded(namespace())
    assert ownership.put(namespace(deleting=True)) == [Finish("/ns-here")]
    assert ownership.remove("/ns-here") == []


def test_what_is_not_known_can_go():
    assert Ownership().remove("/nothing") == []


@pytest.mark.parametrize("seed", range(30))
def test_after_any_story_nothing_ownerless_is_left(seed):
    """Effects are carried out at once or late, in any order; in the end only owned things stay."""
    chance = random.Random(seed)
    ownership, there, todo = Ownership(), {}, []

    def put(one):
        there[one.key] = one
        todo.extend(ownership.put(one))

    def carry_out(effect):
        one = there.get(getattr(effect, "key", ""))
        if one is None:
            return
        match effect:
            case Collect() if one.namespace:
                put(replace(one, deleting=True))
            case Collect() | Finish():
                del there[effect.key]
                todo.extend(ownership.remove(effect.key))
            case Release(_, name):
                kept = tuple(f for f in one.finalizers if f != name)
                if kept:
                    put(replace(one, finalizers=kept))
                else:
                    del there[effect.key]
                    todo.extend(ownership.remove(effect.key))
            case Disown(_, owner):
                put(replace(one, owners=tuple(o for o in one.owners if o != owner)))

    put(namespace())
    for number in range(60):
        living = [one.uid for one in there.values() if not one.namespace]
        owners = chance.sample(living, min(len(living), chance.randrange(3)))
        put(seen(f"o{number}", *owners))
        if chance.random() < 0.4 and living:
            victim = chance.choice([o for o in there.values() if not o.namespace])
            finalizer = chance.choice([(), (FOREGROUND,), (ORPHAN,)])
            if finalizer:
                put(replace(victim, deleting=True, finalizers=finalizer))
            else:
                carry_out(Collect(victim.key, victim.uid))
        for _ in range(chance.randrange(4)):
            if todo:
                carry_out(todo.pop(chance.randrange(len(todo))))
        ownership.check()
    while todo:
        carry_out(todo.pop(chance.randrange(len(todo))))
    ownership.check()
    uids = {one.uid for one in there.values()}
    assert [o for o in there.values() if o.deleting] == []
    assert [o for o in there.values() if o.owners and not uids & set(o.owners)] == []
    carry_out(Collect("/ns-here", ""))
    while todo:
        carry_out(todo.pop(chance.randrange(len(todo))))
    assert there == {}
