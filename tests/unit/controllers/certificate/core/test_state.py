from datetime import UTC, datetime, timedelta

import pytest

from hearth.controllers.certificate.core.state import (
    Seen,
    certificate_status,
    held,
    hosts_of,
    is_foreign,
    make_secret,
    named,
    waits,
)
from hearth.kit.x509 import make_authority, make_certificate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CLASS = {"networking.knative.dev/certificate-class": "c"}
CERTIFICATE = {
    "apiVersion": "networking.internal.knative.dev/v1alpha1",
    "kind": "Certificate",
    "metadata": {
        "name": "a", "namespace": "n", "uid": "u", "generation": 1, "resourceVersion": "10",
        "annotations": CLASS,
    },
    "spec": {"dnsNames": ["a.example.com"], "secretName": "s"},
}  # fmt: skip
AUTHORITY = make_authority("test", 100 * DAY, NOW)


def secret(host="a.example.com", life=9 * DAY):
    made = make_secret(CERTIFICATE, make_certificate([host], AUTHORITY, life, NOW), b"ca")
    made["metadata"]["resourceVersion"] = "20"
    return made


def gateway(certificates=0, secrets=0):
    annotations = {
        "hearth.dev/programmed-certificates": str(certificates),
        "hearth.dev/programmed-secrets": str(secrets),
    }
    spec = {"renewTime": "2026-01-01T00:00:00.000000Z", "leaseDurationSeconds": 30}
    return {"metadata": {"name": "g", "annotations": annotations}, "spec": spec}


def ready(status):
    [one] = status["conditions"]
    return one["status"], one.get("reason", "")


def test_a_secret_is_held_to_what_the_certificate_asks_for():
    found = held(CERTIFICATE, secret())
    assert found is not None
    assert found.not_after == NOW + 9 * DAY
    assert timedelta() < NOW + 6 * DAY - found.renew_at < timedelta(minutes=10)
    assert held(CERTIFICATE, secret("b.example.com")) is None
    assert held(CERTIFICATE, None) is None
    other = secret()
    other["metadata"]["annotations"] = {}
    assert held(CERTIFICATE, other) is None, "another issuer's is replaced"
    assert held(CERTIFICATE, {**secret(), "data": {}}) is None
    assert hosts_of(CERTIFICATE) == ["a.example.com"]
    assert named(CERTIFICATE) == "n/a"


def test_the_secret_is_the_certificates_own():
    made = secret()
    assert made["type"] == "kubernetes.io/tls"
    assert set(made["data"]) == {"tls.crt", "tls.key", "ca.crt"}
    assert not is_foreign(CERTIFICATE, made)
    assert not is_foreign(CERTIFICATE, None)
    assert is_foreign(CERTIFICATE, {"metadata": {"name": "s"}})


@pytest.mark.parametrize(
    ("lease", "want"),
    [
        pytest.param(gateway(9, 20), ("Unknown", "GatewayNotProgrammed"), id="not the certificate"),
        pytest.param(gateway(10, 19), ("Unknown", "GatewayNotProgrammed"), id="not the secret"),
        pytest.param(gateway(10, 20), ("True", ""), id="both"),
    ],
)
def test_it_is_ready_once_the_gateways_serve_it(lease, want):
    seen = Seen(held(CERTIFICATE, secret()), secret(), [lease], NOW)
    status = certificate_status(CERTIFICATE, seen)
    assert ready(status) == want
    assert status["notAfter"] == "2026-01-10T00:00:00Z"
    assert waits({**CERTIFICATE, "status": status}) == (want[0] != "True")


def test_one_that_cannot_be_renewed_is_ready_until_it_ends():
    was = certificate_status(
        CERTIFICATE, Seen(held(CERTIFICATE, secret()), secret(), [gateway(10, 20)], NOW)
    )
    wire = {**CERTIFICATE, "status": was}
    fault = ("OrderFailed", "no")
    late = Seen(held(wire, secret()), secret(), [], NOW + 8 * DAY, fault)
    assert ready(certificate_status(wire, late)) == ("True", "")
    ended = Seen(held(wire, secret()), secret(), [], NOW + 10 * DAY, fault)
    assert ready(certificate_status(wire, ended)) == ("False", "OrderFailed")


def test_without_one_it_says_what_it_waits_for():
    challenge = {"url": "http://a.example.com/x"}
    seen = Seen(None, None, [], NOW, challenges=[challenge])
    status = certificate_status(CERTIFICATE, seen)
    assert ready(status) == ("Unknown", "Issuing")
    assert status["http01Challenges"] == [challenge]
    held_but_gone = Seen(held(CERTIFICATE, secret()), None, [], NOW)
    status = certificate_status({**CERTIFICATE, "status": status}, held_but_gone)
    assert ready(status) == ("Unknown", "GatewayNotProgrammed")
    assert "http01Challenges" not in status
