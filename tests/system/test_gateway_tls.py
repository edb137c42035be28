"""TLS at the gateway, on the real Envoy: certificates by name, changed while it runs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from datetime import UTC, datetime, timedelta

import pytest

from hearth.api.kinds import CERTIFICATE, DOMAIN_MAPPING, SECRET
from hearth.kit.x509 import make_authority, make_certificate
from tests.system.edge import backend, open_edge, play, until

HOST = "shop.example.com"
DAY = timedelta(days=1)


@pytest.fixture
def on_edge(tmp_path):
    """Play a story on a gateway with a service ``a`` that answers ``b1``."""

    def run(story):
        async def whole():
            async with open_edge(tmp_path) as edge, backend("b1") as b1:
                revision = await edge.service("a")
                edge.pod("a-pod", revision, b1.port)
                await story(edge, b1)

        play(whole)

    return run


class Authority:
    def __init__(self):
        self.pair = make_authority("test", 10 * DAY, datetime.now(UTC) - 2 * DAY)

    def secret(self, api, name, *hosts, since=0, days=5, **changed):
        """Store a certificate for the hosts, valid from ``since`` days on."""
        start = datetime.now(UTC) + since * DAY
        pair = make_certificate(hosts or (HOST,), self.pair, days * DAY, start)
        data = {"tls.crt": pair.certificate, "tls.key": pair.key} | changed
        encoded = {k: base64.b64encode(v).decode() for k, v in data.items()}
        wire = {"metadata": {"name": name}, "type": "kubernetes.io/tls", "data": encoded}
        api.put(SECRET, wire)
        return pair.certificate

    def context(self, *alpn):
        found = ssl.create_default_context(cadata=self.pair.certificate.decode())
        found.set_alpn_protocols(list(alpn or ("http/1.1",)))
        return found


@contextlib.asynccontextmanager
async def connect(edge, authority, host=HOST, *alpn, at=0):
    async with asyncio.timeout(5):
        port = at or edge.gateway.https_port
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=authority.context(*alpn), server_hostname=host
        )
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


async def certificate(edge, authority, host=HOST):
    """What is served for the host; None if there is no (valid) one."""
    try:
        async with connect(edge, authority, host) as (_, writer):
            found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    except ssl.SSLError:
        return None
    return ssl.DER_cert_to_PEM_cert(found).encode()


async def serves(edge, authority, pem, host=HOST):
    """Return once that one is served."""
    for _ in range(100):
        if (found := await certificate(edge, authority, host)) and pem.startswith(found.strip()):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not served for {host}")


async def get(reader, writer, host=HOST, path="/"):
    writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    return head.split(" ")[1], (await reader.readexactly(length)).decode()


async def mapped(edge, authority, **secret):
    """A DomainMapping with a certificate."""
    pem = authority.secret(edge.api, "shop-tls", **secret)
    spec = {"tls": {"secretName": "shop-tls"}}
    await edge.mapping(HOST, "a", spec=spec)
    return pem


def test_a_given_certificate_is_served_and_rotated_without_losing_a_connection(on_edge):
    async def story(edge, b1):
        authority = Authority()
        await serves(edge, authority, await mapped(edge, authority))
        async with connect(edge, authority) as old:
            assert await get(*old) == ("200", "b1")
            await serves(edge, authority, authority.secret(edge.api, "shop-tls"))
            assert await get(*old) == ("200", "b1"), "connections made before go on"

    on_edge(story)


def test_http2_is_had_by_alpn(on_edge):
    async def story(edge, b1):
        authority = Authority()
        await serves(edge, authority, await mapped(edge, authority))
        for offered, want in ((("h2", "http/1.1"), "h2"), (("http/1.1",), "http/1.1")):
            async with connect(edge, authority, HOST, *offered) as (_, writer):
                assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == want

    on_edge(story)


def test_a_host_without_a_certificate_has_no_handshake_and_gets_one_later(on_edge):
    async def story(edge, b1):
        authority = Authority()
        assert await certificate(edge, authority) is None
        await serves(edge, authority, await mapped(edge, authority))
        edge.api.remove(DOMAIN_MAPPING, HOST)
        await asyncio.sleep(0.2)
        assert await certificate(edge, authority) is None

    on_edge(story)


BAD = {
    "another-host": {"hosts": ("other.example.com",)},
    "expired": {"since": -2, "days": 1},
    "no-certificate": {"tls.crt": b"nonsense"},
    "foreign-key": {"tls.key": make_authority("x", DAY, datetime.now(UTC)).key},
}


@pytest.mark.parametrize("bad", [pytest.param(v, id=k) for k, v in BAD.items()])
def test_what_cannot_be_used_does_not_replace_what_is_served(on_edge, bad):
    async def story(edge, b1):
        authority = Authority()
        pem = await mapped(edge, authority)
        await serves(edge, authority, pem)
        changed = {k: v for k, v in bad.items() if k != "hosts"}
        authority.secret(edge.api, "shop-tls", *bad.get("hosts", ()), **changed)
        await asyncio.sleep(0.2)
        await serves(edge, authority, pem)
        edge.api.remove(SECRET, "shop-tls")
        await asyncio.sleep(0.2)
        await serves(edge, authority, pem)

    on_edge(story)


def test_a_certificate_object_serves_all_its_hosts(on_edge):
    async def story(edge, b1):
        authority, hosts = Authority(), ["a.default.localhost", "t-a.default.localhost"]
        pem = authority.secret(edge.api, "c", *hosts)
        spec = {"dnsNames": hosts, "secretName": "c"}
        edge.api.put(CERTIFICATE, {"metadata": {"name": "c"}, "spec": spec})
        for host in hosts:
            await serves(edge, authority, pem, host)
        async with connect(edge, authority, hosts[0]) as connection:
            assert await get(*connection, hosts[0]) == ("200", "b1")

    on_edge(story)


def test_plain_http_is_redirected_but_for_challenges_and_from_inside(on_edge):
    async def story(edge, b1):
        authority = Authority()
        host = "a.default.localhost"
        url = f"http://{host}/.well-known/acme-challenge/t"
        challenge = {"url": url, "keyAuthorization": "t.thumb"}
        spec = {"dnsNames": [host], "secretName": "c"}
        edge.api.put(CERTIFICATE, {"metadata": {"name": "c"}, "spec": spec})
        edge.api.set_status(CERTIFICATE, "c", {"http01Challenges": [challenge]})
        pem = authority.secret(edge.api, "c", host)
        await serves(edge, authority, pem, host)
        await edge.route(
            "a", {"revisionName": "a-00001", "percent": 100}, http_protocol="redirected"
        )
        async with edge.request("a", "/x?y=1", allow_redirects=False) as response:
            assert response.status == 301
            want = f"https://{host}:{edge.gateway.https_port}/x?y=1"
            assert response.headers["location"] == want
        assert await edge.get("a", "/.well-known/acme-challenge/t") == (200, "t.thumb")
        async with connect(edge, authority, host) as connection:
            assert await get(*connection, host) == ("200", "b1")
        inside = edge.gateway.inside_port
        local = "a.default.svc.cluster.local"
        assert await edge.get("a", host=local, at=inside) == (200, "b1")
        edge.api.set_status(CERTIFICATE, "c", {"http01Challenges": None})
        await asyncio.sleep(0.2)
        path = "/.well-known/acme-challenge/t"
        async with edge.request("a", path, allow_redirects=False) as response:
            assert response.status == 301

    on_edge(story)


def test_plain_http_at_the_tls_port_is_sent_to_https(on_edge):
    async def story(edge, b1):
        port = edge.gateway.https_port
        host = f"a.default.localhost:{port}"
        request = edge.request("a", "/x?y=1", host=host, at=port, allow_redirects=False)
        async with request as response:
            location = response.headers.get("location")
            assert (response.status, location) == (301, f"https://{host}/x?y=1")
        assert not b1.requests

    on_edge(story)


def test_a_name_inside_is_served_over_tls_to_the_inside_alone(on_edge):
    async def story(edge, b1):
        authority, host, inside = Authority(), "a.default.svc", edge.gateway.inside_https_port
        spec = {"dnsNames": [host], "secretName": "c"}
        edge.api.put(CERTIFICATE, {"metadata": {"name": "c"}, "spec": spec})
        await serves(edge, authority, authority.secret(edge.api, "c", host), host)
        async with connect(edge, authority, host, at=inside) as connection:
            assert await get(*connection, host) == ("200", "b1")
        async with connect(edge, authority, host) as connection:
            assert (await get(*connection, host))[0] == "404"

    on_edge(story)


def test_names_that_nobody_has_leave_nothing_behind(on_edge):
    async def story(edge, b1):
        authority = Authority()
        for number in range(50):
            assert await certificate(edge, authority, f"x{number}.example.com") is None
        resources = edge.gateway._resources
        asked = [
            name for stream in resources._streams for names in stream.subscribed.values()
            for name in names if name.endswith(".example.com")
        ]  # fmt: skip
        await until(lambda: len(asked) <= 1, 2, str(asked))

    on_edge(story)
