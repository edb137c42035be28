from datetime import UTC, datetime

from hearth.controllers.route.core.domains import Domain
from hearth.controllers.route.core.status import Seen, route_status
from hearth.controllers.route.core.traffic import BadTarget, Target

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WAITING = BadTarget("Unknown", "RevisionMissing", "not yet")
FAILED = BadTarget("False", "RevisionMissing", "never")
NEW = [Target("r2", 100, True)]


def gateway(programmed):
    meta = {"name": "g", "annotations": {"hearth.dev/programmed": str(programmed)}}
    spec = {"renewTime": "2026-01-01T00:00:00.000000Z", "leaseDurationSeconds": 30}
    return {"metadata": meta, "spec": spec}


class Life:
    """One Route through the reconciles of its life; every write raises its version by 10."""

    def __init__(self):
        meta = {"name": "hello", "namespace": "default", "generation": 1, "resourceVersion": "10"}
        self.wire = {"metadata": meta, "status": {}}
        self.writes = 0

    def sees(self, traffic, *gateways):
        seen = Seen(traffic, gateways, Domain("localhost", 80), NOW, "2026-01-01T00:00:00Z")
        self.outcome = route_status(self.wire, seen)
        if self.outcome.status != self.wire["status"]:
            self.writes += 1
            version = str(int(self.wire["metadata"]["resourceVersion"]) + 10)
            meta = {**self.wire["metadata"], "resourceVersion": version}
            self.wire = {"metadata": meta, "status": self.outcome.status}
        return self

    def changed(self):
        self.wire["metadata"]["generation"] += 1
        return self

    @property
    def said(self):
        by_type = {one["type"]: one for one in self.outcome.status["conditions"]}
        kinds = ("Ready", "AllTrafficAssigned", "IngressReady", "CertificateProvisioned")
        return tuple(
            " ".join(filter(None, (by_type[k]["status"], by_type[k].get("reason")))) for k in kinds
        )


def test_it_waits_for_a_revision_then_for_the_gateway():
    life = Life().sees(WAITING)
    missing = "Unknown RevisionMissing"
    assert life.said == (missing, missing, "Unknown IngressNotConfigured", "Unknown")
    assert life.outcome.status["url"] == "http://hello.default.localhost"
    behind = "Unknown GatewayNotProgrammed"
    certificate = "True TLSNotEnabled"
    assert life.sees(NEW, gateway(10_000)).said == (behind, "True", behind, certificate)
    assert life.sees(NEW, gateway(29)).said[2] == behind
    assert life.writes == 2  # waiting is not written again: that would move what is waited for
    assert life.outcome.again_after_s == 30
    assert life.sees(NEW, gateway(30)).said == ("True", "True", "True", certificate)
    assert life.sees(NEW).said[0] == "True"
    assert life.outcome.status["address"] == {"url": "http://hello.default.svc.cluster.local"}
    assert life.outcome.status["observedGeneration"] == 1


def test_without_a_gateway_it_says_so():
    assert Life().sees(NEW).sees(NEW).said[2] == "Unknown NoGateway"


def test_other_traffic_must_be_programmed_again():
    life = Life().sees(NEW).sees(NEW, gateway(99))
    split = [Target("r1", 80, False, "old"), Target("r2", 20, True)]
    assert life.sees(split, gateway(99)).said[2] == "Unknown GatewayNotProgrammed"
    assert life.outcome.status["traffic"] == [
        {
            "revisionName": "r1", "percent": 80, "latestRevision": False, "tag": "old",
            "url": "http://old-hello.default.localhost",
        },
        {"revisionName": "r2", "percent": 20, "latestRevision": True},
    ]  # fmt: skip
    assert life.sees(split, gateway(99)).said[0] == "True"


def test_a_new_generation_with_the_same_traffic_stays_ready():
    life = Life().sees(NEW).sees(NEW, gateway(99)).changed().sees(NEW, gateway(99))
    assert life.said[0] == "True" and life.outcome.status["observedGeneration"] == 2


def test_a_target_that_fails_leaves_the_traffic_as_it_was():
    life = Life().sees(NEW).sees(NEW, gateway(99)).sees(FAILED, gateway(99))
    failed = "False RevisionMissing"
    assert life.said == (failed, failed, "True", "True TLSNotEnabled")
    assert life.outcome.status["traffic"][0]["revisionName"] == "r2"
    assert life.sees(NEW, gateway(99)).said[0] == "True"


def test_a_new_generation_that_cannot_be_had_is_not_ready():
    life = Life().sees(NEW).sees(NEW, gateway(99)).changed().sees(WAITING)
    assert life.said[2] == "Unknown IngressNotConfigured"
