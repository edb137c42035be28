import msgspec

from hearth.kit.sharing import Sharing

RAW = b"""{"labels": {"app": "a", "tier": "web"},
           "list": [{"app": "a", "tier": "web"}, 1, true, null],
           "mixed": {"controller": true}, "other": {"controller": 1}}"""


def test_what_is_shared_is_equal_and_equal_parts_are_the_same():
    sharing = Sharing()
    wires = [msgspec.json.decode(RAW) for _ in range(2)]
    one, two = (sharing.of(wire) for wire in wires)
    assert one == two == wires[0]
    assert one["labels"] is two["labels"] is one["list"][0]


def test_true_is_not_taken_for_one():
    shared = Sharing().of(msgspec.json.decode(RAW))
    assert shared["mixed"]["controller"] is True
    assert shared["other"]["controller"] == 1 and shared["other"]["controller"] is not True


def test_the_order_of_a_map_stays():
    sharing = Sharing()
    sharing.of({"a": "1", "b": "2"})
    assert list(sharing.of({"b": "2", "a": "1"})) == ["b", "a"]
