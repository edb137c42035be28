from datetime import UTC, datetime, timedelta

import pytest

from hearth.controllers.route.core.gateways import Ingress, ingress_of

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def lease(name="a", programmed="7", age_s=5.0, lasts_s: int | None = 30):
    renewed = (NOW - timedelta(seconds=age_s)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"renewTime": renewed} | ({"leaseDurationSeconds": lasts_s} if lasts_s else {})
    meta = {"name": name, "annotations": {"hearth.dev/programmed": programmed}}
    return {"metadata": meta, "spec": spec}


NONE = Ingress(False, "NoGateway", "No gateway is alive.")


def behind(message, again_after_s):
    said = f"Waiting for {message}."
    return Ingress(False, "GatewayNotProgrammed", said, again_after_s)


@pytest.mark.parametrize(
    ("leases", "want"),
    [
        pytest.param([], NONE, id="none"),
        pytest.param([lease(age_s=30)], NONE, id="all-dead"),
        pytest.param([{"metadata": {"name": "a"}, "spec": {}}], NONE, id="never-renewed"),
        pytest.param([lease()], Ingress(True), id="programmed"),
        pytest.param([lease(programmed="10")], Ingress(True), id="as-a-number-not-as-text"),
        pytest.param([lease(), lease("b", "3", age_s=31)], Ingress(True), id="the-dead-not-asked"),
        pytest.param(
            [lease(), lease("b", "6")],
            behind("1 of 2 gateways to be programmed: b", 25.0),
            id="one-behind",
        ),
        pytest.param(
            [lease("b", "", lasts_s=None), lease("a", "x", age_s=20)],
            behind("2 of 2 gateways to be programmed: a, b", 10.0),
            id="the-first-to-run-out-is-waited-for",
        ),
    ],
)
def test_all_live_gateways_must_have_it(leases, want):
    assert ingress_of(leases, "7", NOW) == want
