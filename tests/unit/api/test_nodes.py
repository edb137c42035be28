from datetime import UTC, datetime, timedelta

import pytest

from hearth.api.nodes import STALE_S, is_stale

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def node(status="True", ago_s=0.0):
    said = (NOW - timedelta(seconds=ago_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = {"type": "Ready", "status": status, "lastHeartbeatTime": said}
    return {"status": {"conditions": [ready]}}


@pytest.mark.parametrize(
    ("wire", "stale"),
    [
        pytest.param(node(), False, id="just-now"),
        pytest.param(node(ago_s=STALE_S - 1), False, id="in-time"),
        pytest.param(node(ago_s=STALE_S + 1), True, id="silent"),
        pytest.param(node("Unknown", ago_s=900), False, id="known-to-be-silent"),
        pytest.param({"status": {}}, False, id="never-said-anything"),
        pytest.param({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, False,
                     id="says-no-time"),
    ],
)  # fmt: skip
def test_a_node_is_stale_once_it_has_been_silent_too_long(wire, stale):
    assert is_stale(wire, NOW) is stale
