"""kubectl on the containers of a Service's pod: exec, cp, logs, attach, port-forward."""

from __future__ import annotations

import os
import re
import subprocess
import time

import pytest

from hearth.api.meta import name_of
from tests.conformance.conftest import program
from tests.system.boxes import deployed, loaded, needs_containers, pod_of, ready
from tests.system.conftest import running
from tests.system.running import eventually

__all__ = ["deployed", "loaded", "running"]

pytestmark = needs_containers


class Kubectl:
    """kubectl as the admin of a platform."""

    def __init__(self, running):
        self._environ = {**os.environ, "KUBECONFIG": running.ready["kubeconfig"]}
        self._program = program("kubectl")

    def __call__(self, *arguments, stdin=b""):
        return subprocess.run(
            [self._program, *arguments],
            env=self._environ,
            input=stdin,
            capture_output=True,
            timeout=30,
            check=False,
        )

    def start(self, *arguments):
        return subprocess.Popen(
            [self._program, *arguments],
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


@pytest.fixture
def kubectl(loaded):
    return Kubectl(loaded)


@pytest.fixture
def box(loaded, deployed, request):
    """The name of a pod that serves."""
    name = f"box-{abs(hash(request.node.name)) % 10**6}"
    deployed(name)
    ready(loaded, name)
    return name_of(pod_of(loaded, name))


def test_exec_has_streams_of_its_own_and_the_commands_code(kubectl, box):
    script = "echo out; echo err >&2; exit 3"
    done = kubectl("exec", box, "--", "/bin/sh", "-c", script)
    assert (done.returncode, done.stdout) == (3, b"out\n")
    assert done.stderr.startswith(b"err\n")
    big = b"x" * 2**20
    done = kubectl(
        "exec", "-i", box, "-c", "user-container", "--", "/bin/busybox", "cat", stdin=big
    )
    assert (done.returncode, done.stdout) == (0, big)


def test_files_are_copied_in_and_out(kubectl, box, tmp_path):
    (tmp_path / "file").write_bytes(os.urandom(300_000))
    assert kubectl("cp", str(tmp_path / "file"), f"{box}:/copy").returncode == 0
    assert kubectl("cp", f"{box}:/copy", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()


def test_logs_are_followed_and_attached_to(loaded, kubectl, box):
    name = box.rsplit("-00001", 1)[0]
    following = [kubectl.start("logs", "-f", box), kubectl.start("attach", box)]
    time.sleep(1)
    loaded.call(name, "/not-there")
    for process in following:
        try:
            said = b""
            while b"response:404" not in said:
                said = process.stdout.readline()
                assert said, "it ended"
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    assert kubectl("logs", box, "--tail=1").stdout.endswith(b"response:404\n")


def test_what_a_container_said_before_it_was_restarted_is_kept(loaded, deployed, kubectl):
    script = "echo life of $(/bin/busybox cat /proc/uptime); /bin/busybox sleep 1; exit 7"
    deployed("mortal", command=["/bin/sh", "-c", script])

    def previous():
        pods = kubectl("get", "pods", "-o", "name").stdout.decode().split()
        [pod] = [one for one in pods if "mortal" in one] or [None]
        return pod and kubectl("logs", "--previous", pod).stdout

    assert re.fullmatch(rb"life of [\d. ]+\n", eventually(previous, 20, "it was restarted"))


def test_ports_are_forwarded(kubectl, box):
    process = kubectl.start("port-forward", f"pod/{box}", ":8080")
    try:
        line = process.stdout.readline().decode()
        port = re.search(r"127\.0\.0\.1:(\d+) -> 8080", line)[1]
        said = subprocess.run(
            ["curl", "-s", f"http://127.0.0.1:{port}/"], capture_output=True, check=True
        )
        assert said.stdout == b"hello\n"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
