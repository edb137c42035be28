from hearth.api.meta import ObjectKey
from hearth.gateway.core.owners import Owners

ONE, TWO = ObjectKey("root", "a", "one"), ObjectKey("root", "b", "two")


def test_who_came_first_has_the_name_until_it_lets_go():
    owners = Owners()
    assert owners.take(ONE, ["x", "y"]) == {"x", "y"}
    assert owners.take(TWO, ["y", "z"]) == {"z"}
    assert owners.released() == set()
    assert owners.take(ONE, ["x"]) == {"x"}
    assert owners.released() == {TWO}
    assert owners.released() == set(), "told once"
    assert owners.take(TWO, ["y", "z"]) == {"y", "z"}


def test_who_wants_a_name_no_more_is_not_told():
    owners = Owners()
    owners.take(ONE, ["x"])
    owners.take(TWO, ["x"])
    owners.take(TWO, [])
    owners.take(ONE, [])
    assert owners.released() == set()
    assert owners.names_of(ONE) == set()
