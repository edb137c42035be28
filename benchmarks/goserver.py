"""A trivial Go server as a container image: what Knative's figures were measured with."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from benchmarks.platform import Platform, require, service
from hearth.api.kinds import NODE
from hearth.api.meta import name_of
from hearth.node.cri.archives import image_archive
from hearth.node.cri.containerd import missing

IMAGE = "dev.local/go-server:1"
_SOURCE = """package main

import (
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok\\n")) })
	http.ListenAndServe(":"+os.Getenv("PORT"), nil)
}
"""


async def load_go_server(on: Platform) -> None:
    """Build the server and put its image into every node.

    Raises:
        RuntimeError: this machine cannot run containers, or has no Go.
    """
    if lack := missing():
        raise RuntimeError(f"container images cannot be measured: {lack}")
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as folder:
        source, program = Path(folder) / "main.go", Path(folder) / "server"
        source.write_text(_SOURCE)
        command = [require("go", "golang-go"), "build", "-o", str(program), str(source)]
        environ = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off"}
        subprocess.run(command, check=True, env=environ)  # noqa: ASYNC221 - nothing else is under way
        archive = image_archive(IMAGE, {"server": program.read_bytes()}, ["/server"], User="65532")
    for node in (await on.client.list(NODE)).items:
        path = f"/api/v1/nodes/{name_of(node)}/proxy/images"
        await on.client.raw("POST", path, body=archive)


def image_service(name: str, annotations: dict[str, str]) -> dict[str, object]:
    """A Service of the image."""
    return service(name, annotations, IMAGE)
