import pytest

from hearth.node.core.fronts import ANSWERS, NO_CERTIFICATE, NO_NETWORK, NOT_LISTENING, with_tls

WAITS = [NOT_LISTENING, NO_CERTIFICATE, NO_NETWORK]


def pod(ready):
    return {"status": {"conditions": [{"type": "Ready", "status": ready}]}}


def status(ready="True"):
    kinds = ("PodScheduled", "ContainersReady", "Ready")
    return {"conditions": [{"type": kind, "status": ready} for kind in kinds]}


def said(found):
    return {one["type"]: one["status"] for one in found["conditions"]}


def test_nothing_is_said_where_it_is_not_asked_for():
    assert with_tls(status(), pod("False"), "now", None) == status()


def test_a_pod_for_which_tls_is_answered_is_as_ready_as_it_says():
    for ready in ("True", "False"):
        found = said(with_tls(status(ready), pod("False"), "now", ANSWERS))
        assert (found["Ready"], found["hearth.dev/TLS"]) == (ready, "True")


@pytest.mark.parametrize("standing", WAITS)
def test_a_pod_does_not_become_ready_before_and_says_why(standing):
    found = with_tls(status(), pod("False"), "now", standing)
    assert said(found) == {
        "PodScheduled": "True", "ContainersReady": "False", "Ready": "False",
        "hearth.dev/TLS": "False",
    }  # fmt: skip
    reasons = {one["reason"] for one in found["conditions"] if one["status"] == "False"}
    assert reasons == {standing.reason}


def test_a_pod_that_is_ready_stays_so_when_tls_is_enabled():
    found = with_tls(status(), pod("True"), "now", NOT_LISTENING)
    assert (said(found)["Ready"], said(found)["hearth.dev/TLS"]) == ("True", "False")


def test_why_a_pod_is_not_ready_for_other_reasons_is_not_hidden():
    own = {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}
    found = with_tls({"conditions": [own]}, pod("False"), "now", NOT_LISTENING)
    assert own in found["conditions"]
