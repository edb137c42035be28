"""The platform as four processes that meet over HTTPS; each may die and come back."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from hearth.api.kinds import NODE
from hearth.api.meta import is_condition_true
from hearth.client import Client
from hearth.client.http import HttpHandler
from hearth.client.kubeconfig import load_kubeconfig
from tests.system.running import HEARTH, eventually, free_port, is_alive

FUNCTION = "def handle(request):\n    return 'here'\n"


class Processes:
    """apiserver, controller, gateway and node with one state folder."""

    def __init__(self, folder):
        self.folder = folder
        self.state = folder / "state"
        self.running = {}
        self.ports = {name: str(free_port()) for name in ("api", "http", "autoscaler")}

    def kubeconfig(self, user):
        return str(self.state / (f"{user}.kubeconfig" if user != "admin" else "kubeconfig"))

    def start(self, name):
        own = {
            "apiserver": ["--state", str(self.state), "--api-port", self.ports["api"]],
            "controller": ["--kubeconfig", self.kubeconfig("controller"), "--autoscaler-port",
                           self.ports["autoscaler"], "--http-port", self.ports["http"]],
            "gateway": ["--kubeconfig", self.kubeconfig("gateway"), "--state",
                        str(self.folder / "gateway"), "--http-port", self.ports["http"],
                        "--autoscaler", f"https://127.0.0.1:{self.ports['autoscaler']}"],
            "node": ["--kubeconfig", self.kubeconfig("node"), "--state",
                     str(self.folder / "node")],
        }  # fmt: skip
        log = (self.folder / f"{name}.log").open("ab+")
        begin = log.seek(0, os.SEEK_END)
        process = subprocess.Popen([HEARTH, name, *own[name]], stdout=log, stderr=log)
        self.running[name] = process
        said = {"apiserver": "kubeconfig", "controller": "autoscaler", "gateway": "gateway ",
                "node": "node        ready"}[name]  # fmt: skip

        def is_up():
            assert process.poll() is None, (self.folder / f"{name}.log").read_text()[-3000:]
            return re.search(f"^{said}", (self.folder / f"{name}.log").read_text()[begin:], re.M)

        eventually(is_up, 30, f"{name} is up")
        log.close()

    def kill(self, name):
        self.running[name].kill()
        self.running.pop(name).wait()

    def envoy(self):
        """The process id of the gateway's Envoy."""
        record = json.loads((self.folder / "gateway" / "gateway" / "envoy.pid").read_text())
        return record["pid"]

    def stop(self):
        for name in ("gateway", "node", "controller", "apiserver"):
            if name in self.running:
                self.running[name].send_signal(signal.SIGINT)
                self.running.pop(name).wait(15)

    def hearth(self, *arguments):
        environ = {**os.environ, "KUBECONFIG": self.kubeconfig("admin")}
        done = subprocess.run([HEARTH, *arguments], capture_output=True, text=True, env=environ,
                              timeout=90, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def call(self, name):
        port = int(self.ports["http"])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", "/", headers={"Host": f"{name}.default.localhost:{port}"})
            return connection.getresponse().read()
        except OSError as error:
            return str(error).encode()
        finally:
            connection.close()


@pytest.fixture
def processes(tmp_path):
    found = Processes(tmp_path)
    try:
        for name in ("apiserver", "controller", "gateway", "node"):
            found.start(name)
        yield found
    finally:
        found.stop()


def test_four_processes_serve_and_each_may_be_killed(processes, source):
    folder = source(app__py=FUNCTION)
    processes.hearth("deploy", "first", "--source", folder, "--initial-scale", "0")
    assert processes.call("first") == b"here"
    for name in ("controller", "apiserver", "node", "gateway"):
        processes.kill(name)
        if name in ("controller", "apiserver"):
            assert processes.call("first") == b"here", f"warm requests need no {name}"
        processes.start(name)
        eventually(lambda: processes.call("first") == b"here", 60, f"served again after {name}")
    processes.hearth("deploy", "second", "--source", folder, "--initial-scale", "0")
    assert processes.call("second") == b"here"


def test_envoy_outlives_its_companion_and_is_taken_over(processes, source):
    folder = source(app__py=FUNCTION)
    processes.hearth("deploy", "kept", "--source", folder)
    assert processes.call("kept") == b"here"
    envoy = processes.envoy()
    processes.kill("gateway")
    assert processes.call("kept") == b"here", "warm requests need no companion"
    processes.hearth("deploy", "later", "--source", folder, "--initial-scale", "0", "--no-wait")
    processes.start("gateway")
    eventually(lambda: processes.call("later") == b"here", 30, "what came meanwhile is served")
    assert processes.envoy() == envoy
    processes.kill("gateway")
    processes.ports["http"] = str(free_port())
    processes.start("gateway")
    assert processes.envoy() != envoy, "one that listens elsewhere is replaced"
    assert not is_alive(envoy)
    assert processes.call("kept") == b"here"
    last = processes.envoy()
    processes.stop()
    assert not is_alive(last), "an orderly end is Envoy's, too"


def test_a_node_that_ends_takes_its_pods_out_of_routing(processes, source):
    processes.hearth("deploy", "moved", "--source", source(app__py=FUNCTION))
    assert processes.call("moved") == b"here"
    node = processes.running.pop("node")
    node.send_signal(signal.SIGTERM)
    node.wait(15)
    eventually(lambda: "NotReady" in node_states(processes), 10, "the node is not ready")
    processes.start("node")
    eventually(lambda: processes.call("moved") == b"here", 60, "served again")


def node_states(processes):
    async def story():
        server = load_kubeconfig(Path(processes.kubeconfig("admin")))
        async with HttpHandler.to(server) as handler:
            return (await Client(handler, tenant_in_path=False).list(NODE)).items

    return ["Ready" if is_condition_true(n, "Ready") else "NotReady" for n in asyncio.run(story())]
