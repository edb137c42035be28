from datetime import UTC, datetime, timedelta

import pytest

from hearth.api.config import NetworkConfig
from hearth.api.tls import data_of
from hearth.controllers.domainmapping.core.certificates import (
    given,
    given_secret,
    mapping_certificate,
)
from hearth.kit.x509 import make_authority, make_certificate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ON = NetworkConfig(external_domain_tls=True)
AUTHORITY = make_authority("test", 100 * DAY, NOW)


def mapping(**spec):
    meta = {"name": "shop.example.com", "namespace": "n", "uid": "u"}
    return {"apiVersion": "v1", "kind": "DomainMapping", "metadata": meta, "spec": spec}


def secret(host="shop.example.com"):
    return {"data": data_of(make_certificate([host], AUTHORITY, DAY, NOW))}


def test_the_certificate_is_for_the_mappings_host():
    assert mapping_certificate(mapping(), ON)["spec"] == {
        "dnsNames": ["shop.example.com"], "domain": "shop.example.com",
        "secretName": "shop.example.com",
    }  # fmt: skip
    assert given_secret(mapping()) == ""
    assert given_secret(mapping(tls={"secretName": "s"})) == "s"


@pytest.mark.parametrize(
    ("secret", "at", "want"),
    [
        pytest.param(None, NOW, "no such Secret", id="absent"),
        pytest.param({"data": {}}, NOW, "no tls.crt", id="empty"),
        pytest.param(secret("a.com"), NOW, "for a.com, expected shop", id="foreign"),
        pytest.param(secret(), NOW + 2 * DAY, "ended at 2026-01-02", id="ended"),
    ],
)
def test_one_that_cannot_be_served_is_said(secret, at, want):
    found = given(mapping(), "s", secret, at)
    assert (found.status, found.reason) == ("False", "CertificateNotUsable")
    assert want in found.message


def test_one_that_can_is():
    found = given(mapping(), "s", secret(), NOW)
    assert (found.status, found.reason) == ("True", "CertificateExternallyProvided")
    assert found.served == {"shop.example.com"}
    assert found.until == NOW + DAY
