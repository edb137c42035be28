"""TLS on a running platform: issued and given certificates, by kubectl's objects and kn's commands.

``kn`` is used where it is found; without it that test says so.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import shutil
import socket
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from cryptography import x509

from hearth.api.errors import NotFound
from hearth.api.kinds import (
    CERTIFICATE,
    CLUSTER_DOMAIN_CLAIM,
    CONFIG_MAP,
    DOMAIN_MAPPING,
    NAMESPACE,
    ROUTE,
    SECRET,
    SERVICE,
)
from hearth.api.meta import condition_of, status_of
from hearth.api.tls import data_of
from hearth.kit.x509 import make_authority, make_certificate
from tests.system.pebble import pebble
from tests.system.running import Running, eventually, free_port, up

FUNCTION = "def handle(request):\n    return 'here'\n"
HOST = "shop.example.com"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    app = folder / "app"
    app.mkdir()
    (app / "app.py").write_text(FUNCTION)
    with up(folder / "state") as running:
        running.hearth("deploy", "shop", "--source", str(app))
        yield running


def configure(running: Running, **data: str) -> None:
    """Write ``config-network``."""
    keys = {key.replace("_", "-"): value for key, value in data.items()}
    meta = {"name": "config-network", "namespace": "knative-serving"}

    async def write(client):
        with contextlib.suppress(Exception):
            await client.create(NAMESPACE, {"metadata": {"name": "knative-serving"}})
        with contextlib.suppress(NotFound):
            await client.delete(CONFIG_MAP, "knative-serving", "config-network")
        await client.create(CONFIG_MAP, {"metadata": meta, "data": keys})

    running.api(write)


def read(running: Running, kind, name: str, namespace: str = "default"):
    return running.api(lambda client: client.get(kind, namespace, name))


def url_of(running: Running, kind, name: str) -> str:
    return str(status_of(read(running, kind, name)).get("url") or "")


def https_ready(running: Running, kind, name: str) -> bool:
    wire = read(running, kind, name)
    ready = condition_of(wire, "Ready") or {}
    return ready.get("status") == "True" and url_of(running, kind, name).startswith("https://")


def authority_of(running: Running) -> str:
    return str(read(running, CONFIG_MAP, "domain-ca", "hearth-system")["data"]["ca.crt"])


@contextlib.contextmanager
def handshake(url: str, trusted: str):
    """A TLS connection to the URL's host and port, which is on this machine."""
    parts = urlsplit(url)
    context = ssl.create_default_context(cadata=trusted)
    with (
        socket.create_connection(("127.0.0.1", parts.port or 443), 10) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as secure,
    ):
        yield secure


def get(url: str, trusted: str) -> tuple[int, bytes]:
    with handshake(url, trusted) as secure:
        connection = http.client.HTTPConnection(urlsplit(url).hostname or "")
        connection.sock = secure
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.status, response.read()


def serial(url: str, trusted: str) -> str:
    with handshake(url, trusted) as secure:
        return str(secure.getpeercert()["serialNumber"])


def test_a_service_gets_its_certificate_and_http_is_redirected(platform):
    configure(platform, external_domain_tls="Enabled", http_protocol="Redirected")
    eventually(lambda: https_ready(platform, SERVICE, "shop"), 20, "https")
    url = url_of(platform, ROUTE, "shop")
    assert get(url, authority_of(platform)) == (200, b"here")
    assert platform.hearth("invoke", "shop").stdout.strip() == "here"
    answer = platform.call("shop", "/x?y=1")
    assert answer.status == 301
    assert answer.headers["location"] == f"{url}/x?y=1"
    condition = platform.condition(ROUTE, "shop", "CertificateProvisioned")
    assert condition["status"] == "True"
    with (
        pytest.raises(ssl.SSLError),
        handshake(url.replace("shop.", "other."), authority_of(platform)),
    ):
        pass
    configure(platform)
    eventually(lambda: url_of(platform, SERVICE, "shop").startswith("http://"), 20, "plain again")
    eventually(lambda: platform.call("shop").status == 200, 20, "not redirected any more")


def give(running: Running, authority, host: str = HOST, days: int = 5) -> str:
    """Store a certificate for the host; returns its serial number's last digits."""
    pair = make_certificate([host], authority, days * DAY, datetime.now(UTC))
    meta = {"name": "mine", "namespace": "default"}
    wire = {"metadata": meta, "type": "kubernetes.io/tls", "data": data_of(pair)}

    async def write(client):
        try:
            await client.create(SECRET, wire)
        except Exception:
            await client.patch(SECRET, "default", "mine", {"data": wire["data"]})

    running.api(write)


def test_a_given_certificate_is_served_and_rotated(platform):
    configure(platform, autocreate_cluster_domain_claims="true")
    authority = make_authority("test", 10 * DAY, datetime.now(UTC))
    trusted = authority.certificate.decode()
    ref = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "shop"}
    wire = {
        "metadata": {"name": HOST, "namespace": "default"},
        "spec": {"ref": ref, "tls": {"secretName": "mine"}},
    }
    platform.api(lambda client: client.create(DOMAIN_MAPPING, wire))
    said = lambda: platform.condition(DOMAIN_MAPPING, HOST, "Ready")  # noqa: E731
    eventually(lambda: said().get("reason") == "CertificateNotUsable", 20, "it is missing")
    give(platform, authority)
    eventually(lambda: said().get("status") == "True", 20, "it is used")
    url = url_of(platform, DOMAIN_MAPPING, HOST)
    assert get(url, trusted) == (200, b"here")
    first = serial(url, trusted)
    give(platform, authority)
    eventually(lambda: serial(url, trusted) != first, 20, "rotated")
    give(platform, authority, "another.example.com")
    eventually(lambda: said().get("reason") == "CertificateNotUsable", 20, "for another host")
    assert get(url, trusted) == (200, b"here"), "the good one is served on"
    platform.api(lambda client: client.delete(DOMAIN_MAPPING, "default", HOST))

    def claimed() -> bool:
        try:
            read(platform, CLUSTER_DOMAIN_CLAIM, HOST, "")
        except NotFound:
            return False
        return True

    eventually(lambda: not claimed(), 20, "the claim went with it")


def test_kn_domain(platform):
    program = shutil.which("kn", path=os.environ.get("HEARTH_KUBERNETES_PROGRAMS"))
    if program is None:
        pytest.skip("kn is not installed")
    environ = {**os.environ, "KUBECONFIG": platform.ready["kubeconfig"]}

    def kn(*arguments: str) -> str:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, env=environ, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    configure(platform, autocreate_cluster_domain_claims="true", external_domain_tls="Enabled")
    kn("domain", "create", "kn.example.com", "--ref", "ksvc:shop")
    eventually(lambda: https_ready(platform, DOMAIN_MAPPING, "kn.example.com"), 20, "https")
    url = url_of(platform, DOMAIN_MAPPING, "kn.example.com")
    assert get(url, authority_of(platform)) == (200, b"here")
    listed = kn("domain", "list")
    assert "kn.example.com" in listed
    assert "True" in listed
    assert url in kn("domain", "describe", "kn.example.com")
    kn("domain", "update", "kn.example.com", "--ref", "kroute:shop")
    eventually(lambda: https_ready(platform, DOMAIN_MAPPING, "kn.example.com"), 20, "as a route")
    kn("domain", "delete", "kn.example.com")

    def is_there(kind) -> bool:
        try:
            return bool(read(platform, kind, "kn.example.com"))
        except NotFound:
            return False

    eventually(lambda: not is_there(CERTIFICATE) and not is_there(SECRET), 20, "all is removed")
    assert "kn.example.com" not in kn("domain", "list")


def write_acme(running: Running, **data: str) -> None:
    meta = {"name": "config-acme", "namespace": "knative-serving"}

    async def write(client):
        with contextlib.suppress(NotFound):
            await client.delete(CONFIG_MAP, "knative-serving", "config-acme")
        await client.create(CONFIG_MAP, {"metadata": meta, "data": data})

    running.api(write)


def test_a_certificate_is_had_from_an_acme_server(platform, tmp_path):
    host = "acme.example.com"
    ref = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "shop"}
    wire = {"metadata": {"name": host, "namespace": "default"}, "spec": {"ref": ref}}
    configure(
        platform,
        autocreate_cluster_domain_claims="true",
        external_domain_tls="Enabled",
        http_protocol="Redirected",
        certificate_class="acme.certificate.networking.knative.dev",
    )
    with pebble(tmp_path, platform.port) as server:
        platform.api(lambda client: client.create(DOMAIN_MAPPING, wire))

        def reason() -> str:
            try:
                return str(platform.condition(CERTIFICATE, host, "Ready").get("reason"))
            except NotFound:
                return ""

        eventually(lambda: reason() == "NotConfigured", 20, "no server is named")
        write_acme(platform, **{"server": server.directory, "ca-bundle": server.trusted})
        issued = lambda: https_ready(platform, DOMAIN_MAPPING, host)  # noqa: E731
        said = lambda: platform.condition(CERTIFICATE, host, "Ready")  # noqa: E731
        eventually(lambda: issued() or said().get("reason") == "ChallengeFailed", 40, "issued")
        assert issued(), str(said())
    secret = read(platform, SECRET, host)
    chain = base64.b64decode(secret["data"]["tls.crt"]).decode()
    assert "Pebble" in issuer_of(chain)
    assert served_pem(url_of(platform, DOMAIN_MAPPING, host)) in chain
    certificate = read(platform, CERTIFICATE, host)
    assert not status_of(certificate).get("http01Challenges")
    platform.api(lambda client: client.delete(DOMAIN_MAPPING, "default", host))
    configure(platform)


def served_pem(url: str) -> str:
    parts = urlsplit(url)
    context = ssl._create_unverified_context()
    with (
        socket.create_connection(("127.0.0.1", parts.port or 443), 10) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as secure,
    ):
        return ssl.DER_cert_to_PEM_cert(secure.getpeercert(binary_form=True)).strip()


def issuer_of(pem: str) -> str:
    return x509.load_pem_x509_certificate(pem.encode()).issuer.rfc4514_string()


def test_a_restart_serves_the_same_certificate(tmp_path, source):
    flags = ("--https-port", str(free_port()))
    with up(tmp_path / "state", *flags, pool=1) as first:
        first.hearth("deploy", "again", "--source", source(app__py=FUNCTION))
        configure(first, external_domain_tls="Enabled")
        eventually(lambda: https_ready(first, SERVICE, "again"), 20, "https")
        url, trusted = url_of(first, SERVICE, "again"), authority_of(first)
        was = serial(url, trusted)
    with up(tmp_path / "state", *flags, pool=1) as second:
        eventually(lambda: https_ready(second, SERVICE, "again"), 20, "https again")
        assert url_of(second, SERVICE, "again") == url
        assert serial(url, trusted) == was
        assert get(url, trusted) == (200, b"here")
