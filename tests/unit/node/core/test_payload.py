"""A volume's files are what its source says, and faults are named as kubelet names them."""

from __future__ import annotations

import pytest

from hearth.node.core.payload import (
    File,
    VolumeFault,
    default_mode,
    files_of_keys,
    files_of_pod,
    token_file,
)

DATA = {"color": b"red", "size": b"5"}
POD = {
    "metadata": {"name": "hello", "labels": {"b": 'x"y', "a": "1"}, "annotations": {"n": "v"}},
    "spec": {"containers": [{"name": "app", "resources": {"limits": {"cpu": "1500m"}}}]},
}


def test_without_items_every_key_is_a_file():
    files = files_of_keys(DATA, {}, 0o644, "config", optional=False)
    assert files == {"color": File(b"red", 0o644), "size": File(b"5", 0o644)}


def test_items_choose_keys_paths_and_modes():
    items = [{"key": "color", "path": "deep/c", "mode": 0o400}, {"key": "size", "path": "s"}]
    files = files_of_keys(DATA, {"items": items}, 0o640, "config", optional=False)
    assert files == {"deep/c": File(b"red", 0o400), "s": File(b"5", 0o640)}


@pytest.mark.parametrize(("what",), [pytest.param("secret", id="secret"),
                                     pytest.param("config", id="config")])  # fmt: skip
def test_a_missing_key_is_a_fault_unless_optional(what):
    source = {"items": [{"key": "nope", "path": "p"}]}
    with pytest.raises(VolumeFault, match=f"^references non-existent {what} key: nope$"):
        files_of_keys(DATA, source, 0o644, what, optional=False)
    assert files_of_keys(DATA, source, 0o644, what, optional=True) == {}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("../up", id="up"),
        pytest.param("/etc/passwd", id="absolute"),
        pytest.param("a/../../b", id="inside-up"),
        pytest.param("..data", id="of-the-writer"),
        pytest.param("", id="none"),
    ],
)
def test_no_file_leaves_its_volume(path):
    source = {"items": [{"key": "color", "path": path}]}
    with pytest.raises(VolumeFault, match="must be relative"):
        files_of_keys(DATA, source, 0o644, "config", optional=False)


def test_a_pod_can_be_told_its_labels_and_its_limits():
    items = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}, "mode": 0o600},
        {
            "path": "cpu",
            "resourceFieldRef": {
                "containerName": "app", "resource": "limits.cpu", "divisor": "1m"
            },
        },
        {
            "path": "memory",
            "resourceFieldRef": {"containerName": "app", "resource": "limits.memory"},
        },
    ]  # fmt: skip
    files = files_of_pod(items, POD, 0o644, {"memory": "1Ki"})
    assert files == {
        "labels": File(b'a="1"\nb="x\\"y"', 0o644),
        "name": File(b"hello", 0o600),
        "cpu": File(b"1500", 0o644),
        "memory": File(b"1024", 0o644),
    }


@pytest.mark.parametrize(
    ("item", "said"),
    [
        pytest.param({"fieldRef": {"fieldPath": "spec.nope"}}, "no field spec.nope", id="field"),
        pytest.param(
            {"resourceFieldRef": {"containerName": "other", "resource": "limits.cpu"}},
            "container other not found", id="container",
        ),
        pytest.param(
            {"resourceFieldRef": {"containerName": "app", "resource": "cpu"}},
            "unsupported container resource : cpu", id="resource",
        ),
    ],
)  # fmt: skip
def test_what_a_pod_does_not_have_is_a_fault(item, said):
    with pytest.raises(VolumeFault, match=said):
        files_of_pod([{"path": "p", **item}], POD, 0o644, {})


def test_a_token_is_for_the_one_user_of_the_pod():
    assert token_file({"path": "token"}, "t", 0o644, 1000) == {"token": File(b"t", 0o600, 1000)}
    assert token_file({"path": "token"}, "t", 0o644, None) == {"token": File(b"t", 0o644)}


def test_modes_are_0644_unless_said():
    assert default_mode({}) == 0o644
    assert default_mode({"defaultMode": 0}) == 0
