import hashlib

import pytest

from hearth.api.naming import child_name
from hearth.controllers.core.metadata import brought_to, differs, listed, without

LONG = "a" * 60


@pytest.mark.parametrize(
    ("parent", "want"),
    [
        pytest.param("hello", "hello-00001", id="short"),
        pytest.param("b" * 57, "b" * 57 + "-00001", id="just-fits"),
        pytest.param(LONG, "a" * 25 + hashlib.md5(LONG.encode()).hexdigest() + "-00001", id="cut"),
    ],
)
def test_a_childs_name_fits_a_dns_label(parent, want):
    name = child_name(parent, "-00001")
    assert name == want and len(name) <= 63


def test_long_names_that_differ_only_at_the_end_stay_different():
    assert child_name(LONG + "x", "-00001") != child_name(LONG + "y", "-00001")


def test_lists_in_annotations_are_sorted_and_may_be_absent():
    assert listed({"routes": "b,a,"}, "routes") == ["a", "b"]
    assert listed({}, "routes") == []


def test_without_copies():
    assert without({"a": "1", "b": "2"}, ["a"]) == {"b": "2"}


def wire(spec="s", labels=None, **annotations):
    return {"metadata": {"labels": labels or {}, "annotations": annotations}, "spec": spec}


@pytest.mark.parametrize(
    ("existing", "want"),
    [
        pytest.param(wire(a="1"), False, id="same"),
        pytest.param(wire(a="1", **{"serving.knative.dev/creator": "me"}), False, id="stamped"),
        pytest.param(wire(spec="t", a="1"), True, id="spec"),
        pytest.param(wire(labels={"x": "y"}, a="1"), True, id="label"),
        pytest.param(wire(a="1", b="2"), True, id="annotation-too-many"),
        pytest.param(wire(), True, id="annotation-missing"),
    ],
)
def test_a_difference_is_what_the_owner_would_write(existing, want):
    desired = wire(a="1")
    assert differs(existing, desired) is want
    assert not differs(brought_to(existing, desired), desired)


def test_bringing_up_to_date_keeps_what_the_api_server_stamped_and_everything_else():
    existing = wire(b="2", **{"serving.knative.dev/creator": "me"})
    existing["metadata"]["resourceVersion"] = "7"
    existing["status"] = {"kept": True}
    brought = brought_to(existing, wire(spec="new", a="1"))
    assert brought["metadata"]["annotations"] == {"serving.knative.dev/creator": "me", "a": "1"}
    assert (brought["metadata"]["resourceVersion"], brought["status"]) == ("7", {"kept": True})
