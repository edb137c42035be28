from datetime import UTC, datetime, timedelta

import pytest

from hearth.api.resources import resource_for
from hearth.api.tables import age_of, make_table

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (200, "3m20s"), (700, "11m"), (3 * 3600, "3h"),
     (3 * 3600 + 300, "3h5m"), (10 * 3600, "10h"), (50 * 3600, "2d2h"), (20 * 86400, "20d"),
     (800 * 86400, "2y")],
)  # fmt: skip
def test_ages_are_said_as_kubectl_says_them(seconds, said):
    since = (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert age_of(since, NOW) == said


def test_a_pods_row():
    pod = {
        "metadata": {"name": "a", "creationTimestamp": "2025-12-31T23:59:00Z"},
        "spec": {"containers": [{}], "nodeName": "n"},
        "status": {"phase": "Running", "podIP": "1.2.3.4", "containerStatuses": [
            {"ready": True, "restartCount": 2, "state": {"running": {}}}]},
    }  # fmt: skip
    table = make_table(resource_for("", "v1", "pods"), [pod], "7", NOW)
    names = [c["name"] for c in table["columnDefinitions"]]
    assert names == ["Name", "Ready", "Status", "Restarts", "Age", "IP", "Node"]
    assert table["rows"][0]["cells"] == ["a", "1/1", "Running", 2, "60s", "1.2.3.4", "n"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert table["metadata"]["resourceVersion"] == "7"
