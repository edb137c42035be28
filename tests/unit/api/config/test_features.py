import pytest

from hearth.api.config import read_features


@pytest.mark.parametrize(
    ("value", "want"),
    [
        pytest.param(None, False, id="absent"),
        pytest.param("Enabled", True, id="enabled"),
        pytest.param("enabled", True, id="any-case"),
        pytest.param("Allowed", False, id="allowed"),
        pytest.param("yes", False, id="no-flag"),
    ],
)
def test_tag_headers_are_spoken_only_when_enabled(value, want):
    data = {} if value is None else {"tag-header-based-routing": value}
    assert read_features(data).tag_header_based_routing is want
