"""A real cluster, and Hearth on it, as their users see them.

The cluster's addresses are reached from a network namespace of its own, which these tests enter.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
HEARTH = str(Path(sys.executable).with_name("hearth"))
SYSTEM = "hearth-system"
APP_IMAGE = "app.test/hello:1"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Answer:
    """What an app, or the gateway, answered."""

    status: int
    headers: dict[str, str]
    body: str
    took_s: float


@dataclass(frozen=True)
class Cluster:
    """The cluster, as its administrator."""

    program: Path  #: starts and stops it
    name: str
    programs: Path  #: the folder of kubectl and kn

    @property
    def kubeconfig(self) -> str:
        """The administrator's."""
        return self.control("kubeconfig").strip()

    def control(self, *arguments: str) -> str:
        """Run the program that the cluster is."""
        environ = {**os.environ, "CLUSTER": self.name}
        ran = subprocess.run(
            [str(self.program), *arguments], env=environ, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, f"cluster {arguments}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def run(
        self, *command: str, stdin: str = "", fails: bool = False, timeout_s: float = 150
    ) -> str:
        """Run a client; its output, or what it complained of when it was to fail."""
        environ = {
            "HOME": "/nonexistent",
            "KUBECONFIG": self.kubeconfig,
            "PATH": os.environ["PATH"],
        }
        ran = subprocess.run(
            command, input=stdin, env=environ, capture_output=True, text=True, timeout=timeout_s,
            check=False,
        )  # fmt: skip
        assert (ran.returncode != 0) == fails, f"{command}: {ran.stdout}{ran.stderr}"
        return ran.stderr if fails else ran.stdout

    def kubectl(self, *arguments: str, stdin: str = "", fails: bool = False) -> str:
        return self.run(str(self.programs / "kubectl"), *arguments, stdin=stdin, fails=fails)

    def kn(self, *arguments: str, fails: bool = False) -> str:
        return self.run(str(self.programs / "kn"), *arguments, fails=fails)

    def hearth(self, *arguments: str, fails: bool = False) -> str:
        return self.run(HEARTH, *arguments, fails=fails)

    def get(self, what: str, *arguments: str) -> Any:
        """``kubectl get -o json``."""
        return json.loads(self.kubectl("get", what, "-o", "json", *arguments))

    def apply(self, *wires: dict[str, Any], fails: bool = False) -> str:
        text = yaml.safe_dump_all(wires)
        return self.kubectl("apply", "-f", "-", stdin=text, fails=fails)

    def address(self, service: str = "hearth-gateway") -> str:
        """The cluster IP of one of our Services."""
        return str(self.get("service", "-n", SYSTEM, service)["spec"]["clusterIP"])

    def call(
        self, name: str, path: str = "/", *, host: str = "", timeout_s: float = 60, **headers: str
    ) -> Answer:
        """Send one request for ``NAME.default.localhost`` to the gateways."""
        connection = http.client.HTTPConnection(self.address(), 80, timeout=timeout_s)
        started = time.monotonic()
        with contextlib.closing(connection):
            host = host or f"{name}.default.localhost"
            connection.request("GET", path, headers={"Host": host, **headers})
            response = connection.getresponse()
            body = response.read().decode()
        found = {k.lower(): v for k, v in response.getheaders()}
        return Answer(response.status, found, body, time.monotonic() - started)

    def pods(self, revision: str) -> list[dict[str, Any]]:
        """Those of a revision that are not on their way out."""
        found = self.get("pods", "-l", f"serving.knative.dev/revision={revision}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def logs(self, part: str) -> list[dict[str, Any]]:
        """The JSON lines of a Deployment's pods."""
        selector = f"app.kubernetes.io/name={part}"
        said = self.kubectl("-n", SYSTEM, "logs", "-l", selector, "--tail", "-1", "--prefix=false")
        return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


@contextlib.contextmanager
def running(program: Path, name: str) -> Iterator[Cluster]:
    """A cluster of that name, for the length of a block, from inside its network.

    One that runs already is used as it is, and goes on.
    """
    cluster = Cluster(program, name, Path())
    programs = Path(cluster.control("programs").strip())
    is_up = Path(cluster.kubeconfig).exists()
    if not is_up:
        cluster.control("up")
    try:
        with _entered(Path(f"/run/netns/kube-{name}")):
            yield Cluster(program, name, programs)
    finally:
        if not is_up:
            cluster.control("down")


def settled(check: Callable[[], None], timeout_s: float) -> None:
    """Try until the check no longer fails."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


@contextlib.contextmanager
def _entered(namespace: Path) -> Iterator[None]:
    """This thread, and what it starts, is in the network namespace for the length of a block."""
    with Path("/proc/self/ns/net").open() as outside:
        _enter(namespace)
        try:
            yield
        finally:
            _set(outside.fileno())


def _enter(namespace: Path) -> None:
    with namespace.open() as file:
        _set(file.fileno())


def _set(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def service(name: str, *, image: str = APP_IMAGE, annotations: dict[str, str] | None = None,
            **env: str) -> dict[str, Any]:  # fmt: skip
    """A Service of a container image."""
    listed = [{"name": key, "value": value} for key, value in env.items()]
    own = {"autoscaling.knative.dev/window": "6s", **(annotations or {})}
    container = {"image": image, "imagePullPolicy": "IfNotPresent", "env": listed}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "template": {"metadata": {"annotations": own}, "spec": {"containers": [container]}}
        },
    }
