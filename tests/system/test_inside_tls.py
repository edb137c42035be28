"""TLS among pods: names inside have certificates that apps verify with what they are given."""

from __future__ import annotations

import os

import pytest

from hearth.api.kinds import POD, SERVICE
from hearth.api.meta import condition_of, status_of
from tests.system.running import Running, eventually, up
from tests.system.test_tls import configure

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

APP = """
import ssl, urllib.request

def handle(request):
    url, trusting = request.query.get("of"), request.query.get("trusting", "/trust/ca.crt")
    if not url:
        return f"{request.headers['x-forwarded-proto']} {request.headers['host']}"
    context = ssl.create_default_context(cafile=trusting or None)
    try:
        return urllib.request.urlopen(url, timeout=20, context=context).read()
    except OSError as error:
        return str(error)
"""
HOSTS = ("asked.default.svc.cluster.local", "asked.default.svc", "asked.default")


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inside")
    (folder / "app").mkdir()
    (folder / "app" / "app.py").write_text(APP)
    with up(folder / "state") as running:
        configure(running, cluster_local_domain_tls="Enabled")
        for name in ("asking", "asked"):
            apply(running, name, folder / "app")
        for name in ("asking", "asked"):
            eventually(lambda name=name: is_ready(running, name), what=f"{name} is ready")
        yield running


def apply(running: Running, name: str, source) -> None:
    container = {
        "image": "hearth.dev/runtimes/python",
        "volumeMounts": [{"name": "trust", "mountPath": "/trust"}],
    }
    annotations = {"hearth.dev/code": f"file://{source}"}
    annotations["autoscaling.knative.dev/window"] = "6s"
    spec = {
        "containers": [container],
        "volumes": [{"name": "trust", "configMap": {"name": "hearth-trust"}}],
    }
    template = {"metadata": {"annotations": annotations}, "spec": spec}
    traffic = [{"latestRevision": True, "percent": 100, "tag": "v"}]
    wire = {"metadata": {"name": name, "namespace": "default"},
            "spec": {"template": template, "traffic": traffic}}  # fmt: skip
    running.api(lambda client: client.create(SERVICE, wire))


def service(running: Running, name: str):
    return running.api(lambda client: client.get(SERVICE, "default", name))


def is_ready(running: Running, name: str) -> bool:
    return (condition_of(service(running, name), "Ready") or {}).get("status") == "True"


def ask(running: Running, url: str, **more: str) -> str:
    query = "&".join(f"{name}={value}" for name, value in {"of": url, **more}.items())
    return running.call("asking", f"/?{query}").body.decode()


def test_an_app_asks_another_by_each_of_its_names_and_verifies_it(platform):
    address = status_of(service(platform, "asked"))["address"]["url"]
    assert address == f"https://{HOSTS[0]}"
    for host in (*HOSTS, f"v-{HOSTS[0]}"):
        assert ask(platform, f"https://{host}/") == f"https {host}"
    said = ask(platform, f"https://{HOSTS[0]}/", trusting="")
    assert "CERTIFICATE_VERIFY_FAILED" in said, "nobody else signed it"


def test_plain_http_goes_on(platform):
    assert ask(platform, f"http://{HOSTS[0]}/") == f"http {HOSTS[0]}"


def test_one_that_is_at_zero_is_woken_through_tls(platform):
    labels = "serving.knative.dev/service=asked"
    pods = lambda: platform.api(lambda c: c.list(POD, "default", label_selector=labels)).items  # noqa: E731
    eventually(lambda: not pods(), 40, "it is at zero")
    assert ask(platform, f"https://{HOSTS[0]}/") == f"https {HOSTS[0]}"
