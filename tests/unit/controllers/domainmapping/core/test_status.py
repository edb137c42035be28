from datetime import UTC, datetime

from hearth.controllers.core.tls import Provisioned
from hearth.controllers.domainmapping.core.status import Seen, mapping_status, waits
from hearth.controllers.route.core.domains import Domain

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def gateway(programmed):
    meta = {"name": "g", "annotations": {"hearth.dev/programmed-domains": str(programmed)}}
    spec = {"renewTime": "2026-01-01T00:00:00.000000Z", "leaseDurationSeconds": 30}
    return {"metadata": meta, "spec": spec}


class Life:
    """One DomainMapping through the reconciles of its life; a write raises its version by 10."""

    def __init__(self):
        meta = {"name": "shop.example.com", "generation": 1, "resourceVersion": "10"}
        self.wire = {"metadata": meta, "status": {}}

    def sees(self, *gateways, target="hello", claimed=True, why=""):
        domain = Domain("localhost", 8080)
        seen = Seen(
            claimed, Provisioned(), target, why, domain, gateways, NOW, "2026-01-01T00:00:00Z"
        )
        status = mapping_status(self.wire, seen).status
        if status != self.wire["status"]:
            version = str(int(self.wire["metadata"]["resourceVersion"]) + 10)
            meta = {**self.wire["metadata"], "resourceVersion": version}
            self.wire = {"metadata": meta, "status": status}
        return self

    def said(self, kind="Ready"):
        [one] = [c for c in self.wire["status"]["conditions"] if c["type"] == kind]
        return " ".join(filter(None, (one["status"], one.get("reason"))))

    @property
    def target(self):
        return self.wire["status"].get("annotations", {}).get("hearth.dev/target")


def test_it_is_ready_once_the_gateways_have_it():
    life = Life().sees(gateway(5))
    assert life.said() == "Unknown IngressNotConfigured"
    assert waits(life.wire)
    life.sees(gateway(5))
    assert life.said() == "Unknown GatewayNotProgrammed"
    life.sees(gateway(30))
    assert life.said() == "True"
    assert not waits(life.wire)
    assert life.wire["status"]["url"] == "http://shop.example.com:8080"
    assert life.wire["status"]["address"] == {"url": "http://shop.example.com:8080"}
    assert life.said("CertificateProvisioned") == "True TLSNotEnabled"


def test_without_its_claim_it_leads_nowhere():
    life = Life().sees().sees(gateway(20)).sees(gateway(30), claimed=False)
    assert life.said() == "False DomainAlreadyClaimed"
    assert life.target is None
    life.sees(gateway(40))
    assert life.said("IngressReady") == "Unknown IngressNotConfigured", "the gateways let it go"
    life.sees(gateway(50))
    assert life.said() == "True"


def test_a_target_that_is_gone_is_said_and_what_was_goes_on():
    life = Life().sees().sees(gateway(20)).sees(gateway(20), target="", why="no such thing")
    assert life.said() == "False ResolveFailed"
    assert life.target == "hello"
    life.sees(gateway(30), target="other")
    assert (life.target, life.said()) == ("other", "Unknown IngressNotConfigured")
