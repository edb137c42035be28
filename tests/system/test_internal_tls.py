"""system-internal-tls: requests go to instances over TLS, and no other way, while it is enabled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import websockets

from hearth.api.errors import NotFound
from hearth.api.inside import TLS_CONDITION, TLS_PORT
from hearth.api.kinds import CERTIFICATE, CONFIG_MAP, POD, SECRET
from hearth.api.meta import is_condition_true, labels_of, status_of
from tests.system.running import EXAMPLES, Running, command_line, eventually, processes_below, up
from tests.system.test_tls import configure

NETWORKS = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
APP = """
import os, time
def handle(request):
    time.sleep(float(request.query.get("s", "0")))
    return f"{os.environ['HOSTNAME']} {len(request.body)}"
"""
ALWAYS = ("--annotation", "autoscaling.knative.dev/min-scale=1")


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    folder = tmp_path_factory.mktemp("internal")
    (folder / "app").mkdir()
    (folder / "app" / "app.py").write_text(APP)
    with up(folder / "state") as running:
        running.hearth("deploy", "app", "--source", str(folder / "app"), *ALWAYS)
        yield running


@pytest.fixture
def enabled(platform):
    configure(platform, system_internal_tls="Enabled")
    eventually(lambda: instances(platform) and all(map(is_secured, instances(platform))), 20)
    return platform


def instances(running: Running, service: str = "app"):
    label = f"serving.knative.dev/service={service}"
    found = running.api(lambda client: client.list(POD, "default", label_selector=label)).items
    return [pod for pod in found if status_of(pod).get("phase") == "Running"]


def is_secured(pod) -> bool:
    return is_condition_true(pod, TLS_CONDITION)


def terminators(running: Running) -> list[int]:
    found = processes_below(running.process.pid)
    return [pid for pid in found if "/terminator/envoy.json" in command_line(pid)]


@dataclass
class Load:
    """What several clients are answered that post one request after the other."""

    statuses: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@contextlib.contextmanager
def load(running: Running, name: str = "app", clients: int = 4) -> Iterator[Load]:
    found, over = Load(), threading.Event()

    def post() -> None:
        while not over.is_set():
            try:
                answer = running.call(name, method="POST", body=b"x" * 1000)
            except OSError as error:
                found.faults.append(repr(error))
                continue
            found.statuses.append(answer.status)
            if answer.status != 200:
                found.faults.append(f"{answer.status} {answer.body!r}")

    threads = [threading.Thread(target=post) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join()


def peer(ip: str, trusted: str, namespace: str = "default") -> dict:
    """The certificate that is shown for a pod."""
    context = ssl.create_default_context(cadata=trusted)
    with (
        socket.create_connection((ip, TLS_PORT), 5) as plain,
        context.wrap_socket(plain, server_hostname=f"kn-user-{namespace}") as secure,
    ):
        return dict(secure.getpeercert())


def trusted(running: Running) -> str:
    found = running.api(lambda client: client.get(CONFIG_MAP, "hearth-system", "domain-ca"))
    return str(found["data"]["ca.crt"])


@NETWORKS
def test_it_is_enabled_and_disabled_under_load_without_a_lost_request(platform):
    configure(platform)
    with load(platform) as found:
        for _ in range(2):
            time.sleep(0.5)
            configure(platform, system_internal_tls="Enabled")
            eventually(lambda: all(map(is_secured, instances(platform))), 20, "TLS is answered")
            time.sleep(1)
            assert terminators(platform)
            configure(platform)
            time.sleep(0.5)
    assert not found.faults
    assert len(found.statuses) > 200


@NETWORKS
def test_an_instance_proves_to_be_of_its_namespace(enabled):
    [pod] = instances(enabled)
    shown = peer(status_of(pod)["podIP"], trusted(enabled))
    assert ("DNS", "kn-user-default") in shown["subjectAltName"]
    with pytest.raises(ssl.SSLCertVerificationError):
        peer(status_of(pod)["podIP"], trusted(enabled), "other")
    certificate = enabled.api(lambda client: client.get(CERTIFICATE, "default", "serving-certs"))
    assert labels_of(certificate)["networking.knative.dev/certificate-type"] == "system-internal"


@NETWORKS
def test_nothing_is_sent_in_plain_text_while_tls_is_not_answered(enabled):
    [pid] = terminators(enabled)
    os.kill(pid, signal.SIGSTOP)
    try:
        with load(enabled, clients=2) as found:
            time.sleep(1.5)
            assert not found.statuses, "who answered?"
            os.kill(pid, signal.SIGCONT)
            eventually(lambda: len(found.statuses) > 20, 20, "it goes on")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert not found.faults


@NETWORKS
def test_a_terminator_that_dies_is_back_and_what_comes_meanwhile_waits(enabled):
    [pid] = terminators(enabled)
    before = enabled.call("app").status
    os.kill(pid, signal.SIGKILL)
    # What was sent on a kept connection may have been seen: only a safe method is sent again.
    after = [enabled.call("app").status]
    after += [enabled.call("app", method="POST", body=b"x").status for _ in range(5)]
    assert (before, after) == (200, [200] * 6)
    assert terminators(enabled) != [pid]


@NETWORKS
def test_certificates_rotate_without_a_lost_request(enabled):
    [pod] = instances(enabled)
    ip = status_of(pod)["podIP"]
    was = peer(ip, trusted(enabled))["serialNumber"]

    def serial() -> str:
        with contextlib.suppress(OSError):
            return str(peer(ip, trusted(enabled))["serialNumber"])
        return was

    async def remove(client, namespace, name):
        with contextlib.suppress(NotFound):
            await client.delete(SECRET, namespace, name)

    with load(enabled) as found:
        enabled.api(lambda client: remove(client, "hearth-system", "domain-ca"))
        enabled.api(lambda client: remove(client, "default", "serving-certs"))
        eventually(lambda: serial() != was, 20, "another certificate, by another authority")
        time.sleep(2)  # kept connections end, new ones must be believed
    assert not found.faults
    assert trusted(enabled).count("BEGIN CERTIFICATE") > 1, "the former authority is trusted on"


@NETWORKS
def test_one_at_zero_is_woken_and_spoken_to_over_tls(enabled, source):
    enabled.hearth("deploy", "cold", "--source", source(app__py=APP), "--initial-scale", "0")
    answer = enabled.call("cold", method="POST", body=b"123")
    assert (answer.status, answer.body.split()[1]) == (200, b"3")
    eventually(lambda: all(map(is_secured, instances(enabled, "cold"))), what="it is secured")
    enabled.hearth("delete", "cold")


@NETWORKS
def test_websockets_pass(enabled):
    enabled.hearth("deploy", "ws", "--source", str(EXAMPLES / "websocket"), "--initial-scale", "0")

    async def echo():
        uri = f"ws://ws.default.localhost:{enabled.port}/"
        at = {"host": "127.0.0.1", "port": enabled.port, "proxy": None}
        async with websockets.connect(uri, open_timeout=20, **at) as connection:
            await connection.send("hello")
            return await asyncio.wait_for(connection.recv(), 10)

    for state in ("cold", "warm"):
        assert "hello" in asyncio.run(echo()), state
    enabled.hearth("delete", "ws")


def test_without_networks_of_pods_it_is_refused_in_words(tmp_path, source):
    settings = tmp_path / "settings.toml"
    settings.write_text('netns = "off"\n')
    with up(tmp_path / "state", "--config", str(settings), pool=1) as running:
        configure(running, system_internal_tls="Enabled")
        running.hearth("deploy", "app", "--source", source(app__py=APP), "--initial-scale", "0")
        answer = running.call("app")
        assert answer.status == 503
        assert b"instances without a network of their own have no TLS" in answer.body
