import pytest

from hearth.api.errors import BadRequest, Invalid
from hearth.api.patches import json_patch, merge_patch, strategic_merge


@pytest.mark.parametrize(
    ("current", "patch", "want"),
    [
        pytest.param({"a": 1}, {"b": 2}, {"a": 1, "b": 2}, id="add"),
        pytest.param({"a": 1}, {"a": None}, {}, id="remove"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}, id="nested"),
        pytest.param({"a": [1, 2]}, {"a": [3]}, {"a": [3]}, id="lists-are-replaced"),
        pytest.param({"a": 1}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}, id="value-to-object"),
    ],
)
def test_merge_patch(current, patch, want):
    assert merge_patch(current, patch) == want


def test_json_patch():
    assert json_patch({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}]) == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("patch", "error"),
    [
        pytest.param({"op": "add"}, BadRequest, id="not-a-list"),
        pytest.param([{"op": "explode", "path": "/a"}], BadRequest, id="unknown-operation"),
        pytest.param([{"op": "remove", "path": "/gone"}], Invalid, id="path-is-not-there"),
        pytest.param([{"op": "test", "path": "/a", "value": 9}], Invalid, id="test-fails"),
    ],
)
def test_a_json_patch_that_does_not_apply(patch, error):
    with pytest.raises(error):
        json_patch({"a": 1}, patch)


def containers(*names):
    return [{"name": name} for name in names]


@pytest.mark.parametrize(
    ("current", "patch", "want"),
    [
        pytest.param({"containers": [{"name": "a", "image": "1"}, {"name": "b"}]},
                     {"containers": [{"name": "a", "image": "2"}]},
                     {"containers": [{"name": "a", "image": "2"}, {"name": "b"}]},
                     id="lists-with-a-key-are-merged"),
        pytest.param({"containers": containers("a", "b")},
                     {"containers": [{"name": "a", "$patch": "delete"}]},
                     {"containers": containers("b")}, id="delete-an-element"),
        pytest.param({"containers": containers("a")},
                     {"containers": [*containers("b"), {"$patch": "replace"}]},
                     {"containers": containers("b")}, id="replace-a-list"),
        pytest.param({"containers": containers("a", "b")},
                     {"$setElementOrder/containers": containers("b", "a"),
                      "containers": containers("a")},
                     {"containers": containers("b", "a")}, id="order"),
        pytest.param({"finalizers": ["a"]}, {"finalizers": ["b", "a"]},
                     {"finalizers": ["a", "b"]}, id="sets-are-merged"),
        pytest.param({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]},
                     {"finalizers": ["b"]}, id="delete-from-a-set"),
        pytest.param({"args": [1]}, {"args": [2]}, {"args": [2]}, id="other-lists-are-replaced"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"$retainKeys": ["c"], "c": 3}},
                     {"a": {"c": 3}}, id="retain-keys"),
        pytest.param({"a": {"b": 1}}, {"a": {"$patch": "replace", "c": 1}}, {"a": {"c": 1}},
                     id="replace-a-map"),
        pytest.param({"a": {"b": 1}}, {"a": {"$patch": "delete"}}, {}, id="delete-a-map"),
    ],
)  # fmt: skip
def test_strategic_merge(current, patch, want):
    assert strategic_merge(current, patch) == want
