import pytest

from hearth.cli.core.timing import parse_server_timing


@pytest.mark.parametrize(
    ("header", "want"),
    [
        pytest.param("held;dur=0.2, claimed;dur=1", {"held": 0.2, "claimed": 1.0}, id="phases"),
        pytest.param('a;desc="x";dur="3"', {"a": 3.0}, id="other-parameters-and-quotes"),
        pytest.param("miss, b;dur=soon", {}, id="without-a-duration"),
        pytest.param("", {}, id="empty"),
    ],
)
def test_phases_keep_their_order(header, want):
    assert parse_server_timing(header) == want
    assert list(parse_server_timing(header)) == list(want)
