"""Upstream's own clients, and an API server for them to speak to."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from hearth.apiserver import open_apiserver

INSECURE = "Kubernetes default value is insecure"  #: how a warning of Knative's begins


def program(name: str) -> str:
    """The path of kubectl or kn: from ``$HEARTH_KUBERNETES_PROGRAMS``, else from ``$PATH``."""
    folder = os.environ.get("HEARTH_KUBERNETES_PROGRAMS")
    found = shutil.which(name, path=folder) if folder else shutil.which(name)
    if found is None:
        where = folder or "PATH"
        pytest.skip(f"{name} is not in {where}; set HEARTH_KUBERNETES_PROGRAMS to its folder")
    return found


@dataclass
class Done:
    """What a command said."""

    code: int
    out: str
    err: str


@dataclass
class Tools:
    """kubectl and kn, as an admin of one server."""

    home: Path
    kubeconfig: Path

    def kubectl(
        self, *arguments: str, stdin: str = "", fails: bool = False, warns: bool = False
    ) -> Done:
        """Run it; what it says on stderr is no warning, unless it ``warns``."""
        return self._run("kubectl", arguments, stdin, fails, warns)

    def kn(self, *arguments: str, fails: bool = False) -> Done:
        return self._run("kn", arguments, "", fails, warns=False)

    def _run(self, name, arguments, stdin, fails, warns) -> Done:
        environ = {
            "HOME": str(self.home), "KUBECONFIG": str(self.kubeconfig), "PATH": os.environ["PATH"],
            **({"KUBE_EDITOR": os.environ["KUBE_EDITOR"]} if "KUBE_EDITOR" in os.environ else {}),
        }  # fmt: skip
        ran = subprocess.run(
            [program(name), *arguments], input=stdin, env=environ, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        done = Done(ran.returncode, ran.stdout, ran.stderr)
        assert (done.code != 0) == fails, f"{name} {' '.join(arguments)}: {done}"
        if (
            not fails and not warns
        ):  # nearly all manifests here leave Kubernetes' defaults, as most users' do
            said = [line for line in done.err.splitlines() if INSECURE not in line]
            assert not [line for line in said if "arning" in line or "rror" in line], done.err
        return done


@pytest.fixture(scope="session")
def tools(tmp_path_factory):
    """kubectl and kn with a server in a thread of its own."""
    program("kubectl")
    folder = tmp_path_factory.mktemp("conformance")
    started, stop = threading.Event(), threading.Event()
    loop = asyncio.new_event_loop()

    async def serve():
        async with open_apiserver(folder / "state", "127.0.0.1", 0) as api:
            parts = [asyncio.ensure_future(part.run()) for part in api.parts]
            started.set()
            await asyncio.to_thread(stop.wait)
            for part in parts:
                part.cancel()
            await asyncio.wait(parts)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="api server")
    thread.start()
    assert started.wait(20)
    yield Tools(folder, folder / "state" / "kubeconfig")
    stop.set()
    thread.join(20)
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.fixture
def namespace(tools):
    """A namespace of the test's own, empty again after it."""
    tools.kubectl("create", "namespace", "test")
    yield "test"
    tools.kubectl("delete", "namespace", "test", "--timeout=30s")
