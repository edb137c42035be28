import pytest

from hearth.node.core.storage import Used, excess, is_limited, on_disk


def spec(*limits, **volumes):
    """A pod spec of containers a, b, … with these limits, and emptyDirs."""
    containers = [
        {"name": name, "resources": {"limits": {"ephemeral-storage": limit} if limit else {}}}
        for name, limit in zip("abc", limits, strict=False)
    ]
    found = [{"name": name, "emptyDir": content} for name, content in volumes.items()]
    return {"containers": containers, "volumes": [*found, {"name": "s", "secret": {}}]}


@pytest.mark.parametrize(
    ("given", "used", "said"),
    [
        pytest.param(spec("1Mi"), Used({"a": 2**20}, {}), "", id="exactly"),
        pytest.param(spec("1Mi"), Used({"a": 2**20 + 1}, {}),
                     'Container a exceeded its local ephemeral storage limit "1Mi". ',
                     id="a-container"),
        pytest.param(spec(None, "1Mi"), Used({"a": 2**30, "b": 1}, {}), "", id="another-has-none"),
        pytest.param(spec("1Mi", v={}), Used({"a": 1}, {"v": 2**20}),
                     "Pod ephemeral local storage usage exceeds the total limit of containers "
                     "1Mi. ", id="with-its-volumes"),
        pytest.param(spec("1Mi", None, v={}), Used({}, {"v": 2**30}), "", id="no-total"),
        pytest.param(spec(None, v={"sizeLimit": "10k"}), Used({}, {"v": 10_001}),
                     'Usage of EmptyDir volume "v" exceeds the limit "10k". ', id="a-volume"),
        pytest.param(spec(None, v={"sizeLimit": "10k", "medium": "Memory"}),
                     Used({}, {"v": 10_001}), "", id="in-memory-it-has-a-wall"),
    ],
)  # fmt: skip
def test_what_is_exceeded(given, used, said):
    assert excess(given, used) == said


def test_pods_without_limits_need_not_be_looked_at():
    assert not is_limited(spec(None, v={}))
    assert is_limited(spec("1Mi"))
    assert is_limited(spec(None, v={"sizeLimit": "1Mi"}))


def test_only_what_is_on_disk_is_measured():
    assert on_disk(spec(None, v={}, m={"medium": "Memory"})) == ["v"]
