from hearth.controllers.core.trust import brought_up_to_date, make_trust

ONE, TWO = "one", "two"


def test_what_is_there_is_changed_when_it_differs():
    wanted = make_trust("hearth-trust", "shop", ONE)
    assert brought_up_to_date(wanted, wanted) is None
    mine = {**wanted, "metadata": {**wanted["metadata"], "labels": {"mine": "1"}}}
    changed = brought_up_to_date(mine, wanted)
    assert changed is not None
    assert changed["metadata"]["labels"] == {"mine": "1", "hearth.dev/trust": "true"}
    other = make_trust("hearth-trust", "shop", TWO)
    assert brought_up_to_date(other, wanted) == wanted
