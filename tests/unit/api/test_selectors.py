import pytest

from hearth.api.errors import BadRequest
from hearth.api.selectors import parse_field_selector, parse_label_selector, selector_of

LABELS = {"app": "hello", "tier": "web", "count": "5"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        pytest.param("", True, id="everything"),
        pytest.param("app=hello", True, id="equal"),
        pytest.param("app==hello,tier=web", True, id="and"),
        pytest.param("app=hello,tier=db", False, id="and-fails"),
        pytest.param("app!=hello", False, id="unequal"),
        pytest.param("gone!=x", True, id="absent-is-unequal"),
        pytest.param("app in (a, hello)", True, id="in"),
        pytest.param("app notin (a,b)", True, id="notin"),
        pytest.param("gone notin (a)", True, id="absent-is-notin"),
        pytest.param("app", True, id="exists"),
        pytest.param("!gone", True, id="missing"),
        pytest.param("!app", False, id="not-missing"),
        pytest.param("count>4", True, id="greater"),
        pytest.param("count<4", False, id="less"),
        pytest.param("app>4", False, id="not-a-number"),
    ],
)
def test_label_selectors(text, matches):
    assert parse_label_selector(text).matches(LABELS) is matches


@pytest.mark.parametrize("text", ["a in b", "=x", "a in (b", "a b"])
def test_a_bad_label_selector_is_named(text):
    with pytest.raises(BadRequest, match="unable to parse"):
        parse_label_selector(text)


def test_field_selectors():
    fields = {"metadata.name": "x", "spec.nodeName": ""}
    assert parse_field_selector("metadata.name=x").matches(fields)
    assert not parse_field_selector("metadata.name!=x").matches(fields)
    with pytest.raises(BadRequest, match="cannot parse"):
        parse_field_selector("metadata.name")


def test_a_selector_object():
    selector = selector_of({
        "matchLabels": {"app": "hello"},
        "matchExpressions": [{"key": "tier", "operator": "In", "values": ["web"]},
                             {"key": "gone", "operator": "DoesNotExist"}],
    })  # fmt: skip
    assert selector.matches(LABELS)
    assert not selector.matches({**LABELS, "gone": "x"})
    assert not selector_of({})
