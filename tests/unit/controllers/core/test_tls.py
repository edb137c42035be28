import pytest

from hearth.api.config import NetworkConfig
from hearth.controllers.core.conditions import Conditions, living
from hearth.controllers.core.tls import (
    CERTIFICATE_PROVISIONED,
    Provisioned,
    Wanted,
    class_of,
    is_plain_redirected,
    make_certificate,
    mark_certificates,
    provisioned,
    wants_certificates,
)

ON = NetworkConfig(external_domain_tls=True)
REDIRECTED = NetworkConfig(external_domain_tls=True, http_redirected=True)


def owner(**annotations):
    named = {f"networking.knative.dev/{k.replace('_', '-')}": v for k, v in annotations.items()}
    meta = {"name": "hello", "namespace": "n", "uid": "u", "annotations": named}
    return {"apiVersion": "serving.knative.dev/v1", "kind": "Route", "metadata": meta}


def certificate(host="a.com", status=None, reason="", of=None, **kind):
    wanted = Wanted(f"c-{host}", [host], "com", **kind)
    made = make_certificate(of or owner(), ("l", "v"), wanted, ON)
    if status:
        made["status"] = {"conditions": [{"type": "Ready", "status": status, "reason": reason}]}
    return made


def test_tls_is_wanted_unless_an_annotation_disables_it():
    assert wants_certificates(owner(), ON)
    assert not wants_certificates(owner(), NetworkConfig())
    assert not wants_certificates(owner(disable_external_domain_tls="true"), ON)
    assert not wants_certificates(owner(disable_auto_tls="1"), ON)
    assert wants_certificates(owner(disable_external_domain_tls="false"), ON)


def test_an_annotation_decides_about_plain_http_before_the_cluster():
    assert is_plain_redirected(owner(), REDIRECTED)
    assert not is_plain_redirected(owner(http_protocol="Enabled"), REDIRECTED)
    assert is_plain_redirected(owner(http_protocol="Redirected"), ON)
    assert not is_plain_redirected(owner(), ON)


def test_the_class_is_the_clusters_unless_the_owner_says_another():
    assert class_of(certificate()) == ON.certificate_class
    mine = owner() | {}
    mine["metadata"]["annotations"] = {"networking.knative.dev/certificate.class": "mine"}
    assert class_of(certificate(of=mine)) == "mine"


@pytest.mark.parametrize(
    ("found", "network", "want", "served", "https"),
    [
        pytest.param(("True", ""), ON, ("True", ""), True, True, id="ready"),
        pytest.param((None, ""), ON, ("True", "HTTPDowngrade"), False, False, id="downgraded"),
        pytest.param(
            (None, ""), REDIRECTED, ("Unknown", "CertificateNotReady"), False, True, id="waits"
        ),
        pytest.param(
            ("False", "X"), REDIRECTED, ("False", "CertificateProvisionFailed"), False, True,
            id="failed",
        ),
    ],
)  # fmt: skip
def test_what_the_status_says(found, network, want, served, https):
    tls = provisioned(owner(), [certificate("a.com", *found)], network)
    assert (tls.status, tls.reason) == want
    assert (bool(tls.served), bool(tls.https)) == (served, https)


def test_one_that_redirects_by_its_own_annotation_waits_for_its_certificate():
    mine = owner(http_protocol="redirected")
    tls = provisioned(mine, [certificate(of=mine)], ON)
    assert (tls.status, tls.reason) == ("Unknown", "CertificateNotReady")


def test_anothers_certificate_is_not_used():
    foreign = certificate()
    foreign["metadata"]["ownerReferences"] = []
    tls = provisioned(owner(), [foreign], ON)
    assert (tls.status, tls.reason) == ("False", "CertificateNotOwned")


INSIDE = {"type": "cluster-local-domain"}


def test_one_for_the_inside_is_waited_for_and_the_outside_is_served_meanwhile():
    outside = certificate("a.com", "True")
    tls = provisioned(owner(), [outside, certificate("h.n.svc", **INSIDE)], ON)
    assert (tls.status, tls.reason) == ("Unknown", "CertificateNotReady")
    assert tls.served == tls.https == {"a.com"}
    tls = provisioned(owner(), [certificate("a.com"), certificate("h.n.svc", "True", **INSIDE)], ON)
    assert (tls.status, tls.reason) == ("True", "HTTPDowngrade")
    assert tls.https == {"h.n.svc"}
    tls = provisioned(owner(), [outside, certificate("h.n.svc", "False", "X", **INSIDE)], ON)
    assert (tls.status, tls.reason) == ("False", "CertificateProvisionFailed")


def test_no_acme_server_is_asked_for_names_of_the_cluster():
    acme = "acme.certificate.networking.knative.dev"
    mine = owner(certificate_class=acme)
    assert class_of(certificate(of=mine)) == acme
    assert class_of(certificate(of=mine, **INSIDE)) == ON.certificate_class


def test_hosts_with_their_certificate_do_not_wait_for_the_others():
    tls = provisioned(owner(), [certificate("a.com", "True"), certificate("b.com")], ON)
    assert tls.reason == "HTTPDowngrade"
    assert tls.served == tls.https == {"a.com"}


@pytest.mark.parametrize("status", ["True", "False", "Unknown"])
def test_the_condition_is_marked(status):
    conditions = Conditions(living(CERTIFICATE_PROVISIONED), {"metadata": {}}, "now")
    mark_certificates(conditions, Provisioned(status, "R", "M"))
    found = conditions.get(CERTIFICATE_PROVISIONED)
    assert found == {
        "type": CERTIFICATE_PROVISIONED, "status": status, "reason": "R", "message": "M",
    }  # fmt: skip
