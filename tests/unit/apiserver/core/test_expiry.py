"""Keys go in order of their time, once."""

from __future__ import annotations

from hearth.apiserver.core.expiry import Expiry


def test_what_is_due_goes_in_order_and_is_forgotten():
    expiry = Expiry()
    for key, due_s in (("b", 2.0), ("a", 1.0), ("c", 3.0)):
        expiry.put(key, due_s)
    assert expiry.next_s() == 1.0
    assert expiry.pop_due(2.0) == ["a", "b"]
    assert expiry.next_s() == 3.0
    assert expiry.pop_due(2.5) == []


def test_what_is_written_again_lives_longer():
    expiry = Expiry()
    expiry.put("a", 1.0)
    expiry.put("a", 5.0)
    assert expiry.pop_due(4.0) == []
    assert expiry.pop_due(5.0) == ["a"]


def test_what_is_gone_is_not_due():
    expiry = Expiry()
    expiry.put("a", 1.0)
    expiry.remove("a")
    expiry.remove("never there")
    assert expiry.next_s() is None
    assert expiry.pop_due(9.0) == []
