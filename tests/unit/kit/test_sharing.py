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


def test_whole_parts_are_shared_and_unlike_ones_are_not():
    sharing = Sharing()
    same = b'{"containers": [{"ports": [{"port": 1}], "on": true, "no": null, "deep": {}}]}'
    one, two = (sharing.of(msgspec.json.decode(same)) for _ in range(2))
    assert one["containers"] is two["containers"]
    other = sharing.of(msgspec.json.decode(same.replace(b"true", b"1")))
    assert other == {"containers": [{"ports": [{"port": 1}], "on": 1, "no": None, "deep": {}}]}
    assert other["containers"] is not one["containers"]
    assert other["containers"][0]["ports"] is one["containers"][0]["ports"]


def test_a_map_and_a_list_of_the_same_words_differ():
    shared = Sharing().of({"map": {"a": "b"}, "list": ["a", "b"], "none": {}, "nothing": []})
    assert shared == {"map": {"a": "b"}, "list": ["a", "b"], "none": {}, "nothing": []}


def test_what_is_asked_for_again_stays_shared_and_the_rest_is_forgotten():
    sharing = Sharing()
    kept, lost = sharing.of({"a": "kept"}), sharing.of({"a": "lost"})
    for number in range(20_000):
        sharing.of({"number": str(number)})
        assert sharing.of({"a": "kept"}) is kept
    assert sharing.of({"a": "lost"}) is not lost
