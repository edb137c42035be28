import base64
from datetime import UTC, datetime, timedelta

import pytest

from hearth.api.meta import ObjectKey
from hearth.api.tls import pair_of
from hearth.gateway.core.certificates import (
    challenges_of,
    may_serve,
    precedence,
    secrets_of_certificate,
    secrets_of_mapping,
)
from hearth.kit.x509 import Facts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def mapping(*, secret="shop-tls", claimed="True"):
    conditions = [{"type": "DomainClaimed", "status": claimed}]
    return {
        "metadata": {"name": "shop.example.com", "namespace": "shop"},
        "spec": {"tls": {"secretName": secret} if secret else None},
        "status": {"conditions": conditions},
    }


def certificate(**status):
    spec = {"dnsNames": ["a.example.com", "b.example.com"], "secretName": "s"}
    return {"metadata": {"name": "c", "namespace": "shop"}, "spec": spec, "status": status}


def test_a_mapping_names_the_secret_of_its_host_once_it_has_its_claim():
    found = secrets_of_mapping(mapping(), "root")
    assert found == {"shop.example.com": ObjectKey("root", "shop", "shop-tls")}
    assert secrets_of_mapping(mapping(claimed="False"), "root") == {}
    assert secrets_of_mapping(mapping(secret=""), "root") == {}


def test_a_certificate_names_one_secret_for_all_its_hosts():
    key = ObjectKey("root", "shop", "s")
    found = secrets_of_certificate(certificate(), "root")
    assert found == {"a.example.com": key, "b.example.com": key}


def inside(namespace, *hosts):
    wire = certificate()
    labels = {"networking.knative.dev/certificate-type": "cluster-local-domain"}
    meta = {"name": "c", "namespace": namespace, "labels": labels}
    return {**wire, "metadata": meta, "spec": {**wire["spec"], "dnsNames": list(hosts)}}


def test_no_namespace_has_the_names_of_another():
    named = ("a.shop", "a.shop.svc", "a.shop.svc.cluster.local")
    assert set(secrets_of_certificate(inside("shop", *named), "root")) == set(named)
    others = ("a.bank.svc", "a.bank.svc.cluster.local")
    assert secrets_of_certificate(inside("shop", *others), "root") == {}


def test_a_host_outside_goes_before_a_name_inside_that_looks_like_it():
    outside, local = certificate(), inside("com", "example.com")
    assert sorted((local, outside), key=precedence) == [outside, local]


def test_a_challenge_is_answered_on_its_own_host_alone():
    url = "http://a.example.com/.well-known/acme-challenge/token"
    wire = certificate(http01Challenges=[{"url": url, "keyAuthorization": "token.thumb"}])
    assert challenges_of(wire, "a.example.com") == (
        ("/.well-known/acme-challenge/token", "token.thumb"),
    )
    assert challenges_of(wire, "b.example.com") == ()
    assert challenges_of(certificate(), "a.example.com") == ()


def test_a_secret_without_both_parts_is_refused():
    encoded = base64.b64encode(b"x").decode()
    assert pair_of({"data": {"tls.crt": encoded, "tls.key": encoded}}).key == b"x"
    for data in ({}, {"tls.crt": encoded}, {"tls.crt": encoded, "tls.key": "!"}):
        with pytest.raises(ValueError, match=r"found no tls\.crt and tls\.key"):
            pair_of({"data": data})


@pytest.mark.parametrize(
    ("names", "ends", "has_other", "want"),
    [
        (("shop.example.com",), NOW + DAY, True, True),
        (("*.example.com",), NOW + DAY, True, True),
        (("other.example.com", "*.com"), NOW + DAY, False, False),
        (("shop.example.com",), NOW - DAY, True, False),
        (("shop.example.com",), NOW - DAY, False, True),
    ],
)
def test_what_is_served(names, ends, has_other, want):
    facts = Facts(names, NOW - DAY, ends, "CN=x")
    assert may_serve(facts, "shop.example.com", NOW, has_other=has_other) is want
