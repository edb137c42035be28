"""Certificates of Routes and DomainMappings, with all serving controllers running."""

import asyncio
from datetime import timedelta

from hearth.api.kinds import (
    CERTIFICATE,
    CLUSTER_DOMAIN_CLAIM,
    CONFIG_MAP,
    DOMAIN_MAPPING,
    ROUTE,
    SECRET,
    SERVICE,
)
from hearth.api.tls import data_of, pair_of
from hearth.kit.x509 import make_authority, make_certificate, read_pair
from tests.unit.controllers.world import START, World, tell

HOST = "shop.example.com"
APP = "hello.default.localhost"
ZERO = {"autoscaling.knative.dev/initial-scale": "0"}


def config(world: World, **data: str) -> None:
    data = {"external_domain_tls": "Enabled"} | data
    keys = {key.replace("_", "-"): value for key, value in data.items()}
    wire = {"metadata": {"name": "config-network"}, "data": keys}
    world.api.put(CONFIG_MAP, wire, "knative-serving")


async def settle(world: World, rounds: int = 5) -> None:
    for _ in range(rounds):
        await world.settle()
        world.program()
    await world.settle()


def said(world: World, kind=ROUTE, name="hello") -> tuple[str, str, str]:
    status, reason, _ = world.condition(kind, name, "CertificateProvisioned")
    return status, reason, world.api.get(kind, name)["status"]["url"]


def mapping(world: World, **spec: object) -> None:
    world.api.put(
        CLUSTER_DOMAIN_CLAIM, {"metadata": {"name": HOST}, "spec": {"namespace": "default"}}
    )
    ref = {"kind": "Service", "apiVersion": "serving.knative.dev/v1", "name": "hello"}
    world.api.put(DOMAIN_MAPPING, {"metadata": {"name": HOST}, "spec": {"ref": ref, **spec}})


def test_a_route_and_its_tags_get_certificates_that_our_authority_signs():
    async def story(world: World):
        config(world)
        world.gateway()
        world.service(
            annotations=ZERO, traffic=[{"latestRevision": True, "percent": 100, "tag": "v"}]
        )
        await world.settle()
        assert said(world) == ("True", "HTTPDowngrade", f"http://{APP}:8080")
        await settle(world)
        assert said(world) == ("True", "", f"https://{APP}")
        assert world.condition(ROUTE, "hello")[0] == "True"
        assert world.condition(SERVICE, "hello")[0] == "True"
        [target] = world.api.get(ROUTE, "hello")["status"]["traffic"]
        assert target["url"] == f"https://v-{APP}"
        certificates = world.api.all(CERTIFICATE)
        assert sorted(one["spec"]["dnsNames"][0] for one in certificates) == [APP, f"v-{APP}"]
        secret = world.api.get(SECRET, certificates[0]["spec"]["secretName"])
        assert read_pair(pair_of(secret)).names == tuple(certificates[0]["spec"]["dnsNames"])
        authority = world.api.get(SECRET, "domain-ca", "hearth-system")
        assert secret["data"]["ca.crt"] == authority["data"]["tls.crt"]
        world.service(annotations=ZERO)
        await settle(world)
        assert [one["spec"]["dnsNames"] for one in world.api.all(CERTIFICATE)] == [[APP]]

    tell(story)


def test_with_redirect_nothing_is_called_ready_before_its_certificate():
    async def story(world: World):
        config(world, http_protocol="Redirected")
        world.gateway()
        world.service(annotations=ZERO)
        await world.settle()
        assert said(world)[:2] == ("Unknown", "CertificateNotReady")
        assert world.condition(ROUTE, "hello")[0] == "Unknown"
        await settle(world)
        assert said(world) == ("True", "", f"https://{APP}")
        notes = world.api.get(ROUTE, "hello")["status"]["annotations"]
        assert notes["hearth.dev/http-protocol"] == "redirected"

    tell(story)


def test_annotations_disable_tls_and_local_routes_have_none():
    async def story(world: World):
        config(world)
        world.gateway()
        off = {"networking.knative.dev/disable-external-domain-tls": "true"}
        world.service(annotations=ZERO, own=off)
        await settle(world)
        assert said(world) == ("True", "TLSNotEnabled", f"http://{APP}:8080")
        assert world.api.all(CERTIFICATE) == []
        config(world, external_domain_tls="Disabled")
        await settle(world)
        message = world.condition(ROUTE, "hello", "CertificateProvisioned")[2]
        assert message == "external-domain-tls is not enabled"

    tell(story)


def test_a_mapping_gets_its_certificate_once_it_has_its_claim():
    async def story(world: World):
        config(world)
        world.gateway()
        world.service(annotations=ZERO)
        mapping(world)
        await settle(world)
        assert said(world, DOMAIN_MAPPING, HOST) == ("True", "", f"https://{HOST}")
        assert world.condition(DOMAIN_MAPPING, HOST)[0] == "True"
        assert world.api.get(CERTIFICATE, HOST)["spec"]["dnsNames"] == [HOST]

    tell(story)


def test_a_certificate_of_another_class_is_left_to_whoever_issues_it():
    async def story(world: World):
        config(world, certificate_class="other.example.com", http_protocol="Redirected")
        world.gateway()
        world.service(annotations=ZERO)
        await settle(world)
        assert said(world)[:2] == ("Unknown", "CertificateNotReady")
        [certificate] = world.api.all(CERTIFICATE)
        assert "status" not in certificate or not certificate["status"]

    tell(story)


def test_a_given_secret_is_looked_into_and_followed():
    async def story(world: World):
        world.gateway()
        world.service(annotations=ZERO)
        mapping(world, tls={"secretName": "mine"})
        await settle(world)
        assert said(world, DOMAIN_MAPPING, HOST)[:2] == ("False", "CertificateNotUsable")
        authority = make_authority("test", timedelta(days=100), START)
        given = make_certificate([HOST], authority, timedelta(days=10), START)
        secret = {"metadata": {"name": "mine"}, "type": "kubernetes.io/tls", "data": data_of(given)}
        world.api.put(SECRET, secret)
        await settle(world)
        expected = ("True", "CertificateExternallyProvided", f"https://{HOST}")
        assert said(world, DOMAIN_MAPPING, HOST) == expected
        other = make_certificate(["other.com"], authority, timedelta(days=10), START)
        world.api.put(SECRET, {**secret, "data": data_of(other)})
        await settle(world)
        assert "other.com" in world.condition(DOMAIN_MAPPING, HOST)[2]

    tell(story)


def test_a_certificate_is_renewed_when_a_third_of_its_life_is_left():
    async def story(world: World):
        config(world)
        world.gateway()
        world.service(annotations=ZERO)
        await settle(world)
        [certificate] = world.api.all(CERTIFICATE)
        name = certificate["spec"]["secretName"]
        first = read_pair(pair_of(world.api.get(SECRET, name))).not_after
        await asyncio.sleep(timedelta(days=59).total_seconds())
        assert read_pair(pair_of(world.api.get(SECRET, name))).not_after == first
        await asyncio.sleep(timedelta(days=2).total_seconds())
        assert read_pair(pair_of(world.api.get(SECRET, name))).not_after > first
        assert world.condition(CERTIFICATE, certificate["metadata"]["name"])[0] == "True"

    tell(story)


def test_a_foreign_secret_is_not_overwritten():
    async def story(world: World):
        config(world, http_protocol="Redirected")
        world.gateway()
        world.api.put(SECRET, {"metadata": {"name": HOST}, "type": "kubernetes.io/tls", "data": {}})
        world.service(annotations=ZERO)
        mapping(world)
        await settle(world)
        assert said(world, DOMAIN_MAPPING, HOST)[:2] == ("False", "CertificateProvisionFailed")
        assert world.condition(CERTIFICATE, HOST)[:2] == ("False", "SecretNotOwned")
        assert world.api.get(SECRET, HOST)["data"] == {}

    tell(story)


def test_an_issuer_that_refuses_is_asked_less_and_less_often():
    async def story(world: World):
        config(world, certificate_class="acme.certificate.networking.knative.dev")
        world.gateway()
        world.service(annotations=ZERO)
        await settle(world)
        [certificate] = world.api.all(CERTIFICATE)
        found = world.condition(CERTIFICATE, certificate["metadata"]["name"])
        assert found[:2] == ("False", "NotConfigured")
        assert "config-acme: server: found ''" in found[2]

        def asked() -> int:
            return sum(1 for note in world.notes.taken if note[2] == "NotConfigured")

        await asyncio.sleep(60)
        assert 3 <= asked() <= 5, "after 5, 10, 20 and 40 s"
        was = asked()
        for number in range(5):
            [wire] = world.api.all(CERTIFICATE)
            meta = {**wire["metadata"], "labels": {"touched": str(number)}}
            world.api.put(CERTIFICATE, {**wire, "metadata": meta})
            await world.settle()
        assert asked() <= was + 1, "not because something else changes"
        was = asked()
        config(world)
        await settle(world)
        assert asked() == was
        assert said(world) == ("True", "", f"https://{APP}"), "another issuer is asked at once"

    tell(story)


def test_a_given_certificate_that_ends_is_said():
    async def story(world: World):
        world.gateway()
        world.service(annotations=ZERO)
        authority = make_authority("test", timedelta(days=100), START)
        given = make_certificate([HOST], authority, timedelta(hours=1), START)
        secret = {"metadata": {"name": "mine"}, "type": "kubernetes.io/tls", "data": data_of(given)}
        world.api.put(SECRET, secret)
        mapping(world, tls={"secretName": "mine"})
        await settle(world)
        assert world.condition(DOMAIN_MAPPING, HOST)[0] == "True"
        await asyncio.sleep(3590)
        assert world.condition(DOMAIN_MAPPING, HOST)[0] == "True"
        await asyncio.sleep(20)
        assert world.condition(DOMAIN_MAPPING, HOST)[:2] == ("False", "CertificateNotUsable")

    tell(story)


def test_certificates_stay_when_tls_is_disabled_for_a_while():
    async def story(world: World):
        config(world)
        world.gateway()
        world.service(annotations=ZERO)
        mapping(world)
        await settle(world)
        was = world.api.all(SECRET)
        config(world, external_domain_tls="Disabled")
        await settle(world)
        assert said(world)[1:] == ("TLSNotEnabled", f"http://{APP}:8080")
        assert said(world, DOMAIN_MAPPING, HOST)[1] == "TLSNotEnabled"
        config(world)
        await settle(world)
        assert said(world) == ("True", "", f"https://{APP}")
        assert world.api.all(SECRET) == was, "nothing was issued anew"

    tell(story)


def inside(world: World, **data: str) -> None:
    config(world, external_domain_tls="Disabled", cluster_local_domain_tls="Enabled", **data)


def test_names_inside_get_certificates_and_the_address_says_https():
    async def story(world: World):
        inside(world)
        world.gateway()
        world.service(
            annotations=ZERO, traffic=[{"latestRevision": True, "percent": 100, "tag": "v"}]
        )
        await world.settle()
        assert said(world)[:2] == ("Unknown", "CertificateNotReady")
        await settle(world)
        assert said(world) == ("True", "", f"http://{APP}:8080")
        assert world.condition(SERVICE, "hello")[0] == "True"
        address = {"url": "https://hello.default.svc.cluster.local"}
        assert world.api.get(ROUTE, "hello")["status"]["address"] == address
        assert world.api.get(SERVICE, "hello")["status"]["address"] == address
        names = sorted(one["spec"]["dnsNames"] for one in world.api.all(CERTIFICATE))
        assert names == [
            [f"{name}.default{end}" for end in ("", ".svc", ".svc.cluster.local")]
            for name in ("hello", "v-hello")
        ]
        world.service(annotations=ZERO)
        await settle(world)
        assert len(world.api.all(CERTIFICATE)) == 1
        config(world, external_domain_tls="Disabled")
        await settle(world)
        assert world.api.get(ROUTE, "hello")["status"]["address"]["url"].startswith("http://")
        assert len(world.api.all(CERTIFICATE)) == 1, "it is not asked for anew later"

    tell(story)


def test_what_is_reached_from_inside_alone_has_https_urls_and_is_not_redirected():
    async def story(world: World):
        inside(world, http_protocol="Redirected")
        world.gateway()
        world.service(
            annotations=ZERO, traffic=[{"latestRevision": True, "percent": 100, "tag": "v"}]
        )
        labels = {"networking.knative.dev/visibility": "cluster-local"}
        await world.settle()
        service = world.api.get(SERVICE, "hello")
        world.api.put(SERVICE, {**service, "metadata": {**service["metadata"], "labels": labels}})
        await settle(world)
        local = "default.svc.cluster.local"
        assert said(world) == ("True", "", f"https://hello.{local}")
        status = world.api.get(ROUTE, "hello")["status"]
        assert [one["url"] for one in status["traffic"]] == [f"https://v-hello.{local}"]
        assert "hearth.dev/http-protocol" not in (status.get("annotations") or {})

    tell(story)


def test_our_authority_signs_no_name_of_another_namespace():
    async def story(world: World):
        world.gateway()
        meta = {"name": "c", "annotations": {
            "networking.knative.dev/certificate-class": "hearth.certificate.networking.knative.dev",
        }}  # fmt: skip
        spec = {"dnsNames": ["a.bank.svc.cluster.local"], "secretName": "c"}
        world.api.put(CERTIFICATE, {"metadata": meta, "spec": spec})
        await settle(world)
        status, reason, message = world.condition(CERTIFICATE, "c")
        assert (status, reason) == ("False", "HostNotOwned")
        assert "expected names of namespace default" in message

    tell(story)
