"""What pools and sets name what they make."""

from hearth.pool.resources import fallback_name


def test_a_pod_is_named_as_one_of_knatives_deployments():
    assert fallback_name({"metadata": {"name": "app-00001"}}, "a1b2c3") == (
        "app-00001-deployment-a1b2c"
    )


def test_a_long_name_leaves_room_for_what_tells_pods_apart():
    name = fallback_name({"metadata": {"name": "a" * 63}}, "a1b2c3")
    assert (len(name), name[-5:]) == (63, "a1b2c")
