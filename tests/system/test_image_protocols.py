"""HTTP/2 and gRPC to containers: a program of this machine, run in a pod of an image."""

from __future__ import annotations

import sys

import grpc
import pytest

from tests.system.boxes import needs_containers, ready
from tests.system.test_protocols import RPC, bidi, unary

pytestmark = needs_containers
ZERO = {"autoscaling.knative.dev/initial-scale": "0"}


@pytest.fixture
def python(deployed, tmp_path):
    """Deploys a Python program of this machine as a container: its root is the machine's."""

    def deploy(name, program, port_name):
        (tmp_path / "server.py").write_text(program)
        root = {"name": "machine", "hostPath": {"path": "/"}}
        deployed(
            name,
            annotations=ZERO,
            command=["/bin/busybox", "chroot", "/host", sys.executable, f"{tmp_path}/server.py"],
            ports=[{"name": port_name, "containerPort": 8080}],
            volumeMounts=[{"name": "machine", "mountPath": "/host"}],
            spec={"volumes": [root], "timeoutSeconds": 30},
        )

    return deploy


@pytest.mark.parametrize("talk", [pytest.param(unary, id="unary"), pytest.param(bidi, id="bidi")])
def test_grpc_reaches_a_container_from_zero_and_warm(loaded, python, talk):
    name = f"rpc-box-{talk.__name__}"
    python(name, RPC, "h2c")
    ready(loaded, name)
    authority = (("grpc.default_authority", f"{name}.default.localhost:{loaded.port}"),)
    with grpc.insecure_channel(f"127.0.0.1:{loaded.port}", options=authority) as channel:
        for state in ("cold", "warm"):
            call = talk(channel)
            assert dict(call.trailing_metadata())["trailer"] == "there", state
