import pytest

from hearth.node.core.capacity import parse_resources


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("", {}, id="nothing"),
        pytest.param("nvidia.com/gpu=2", {"nvidia.com/gpu": "2"}, id="one"),
        pytest.param("a.b/c=1, d.e/f=1k", {"a.b/c": "1", "d.e/f": "1k"}, id="two"),
    ],
)
def test_resources_are_read(text, want):
    assert parse_resources(text) == want


@pytest.mark.parametrize("text", ["gpu=1", "a.b/c", "a.b/c=", "a.b/c=1.5", "a.b/c=many"])
def test_what_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"node_resources|is not a quantity"):
        parse_resources(text)
