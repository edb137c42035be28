"""A ``hearth up`` of its own for one benchmark, and what benchmarks do with it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hearth.api.kinds import POD, POD_POOL, SERVICE
from hearth.api.meta import is_condition_true, status_of
from hearth.api.names import PODPOOL_LABEL, PYTHON_RUNTIME_IMAGE, SYSTEM_NAMESPACE
from hearth.client import Client
from hearth.client.http import HttpHandler
from hearth.client.kubeconfig import load_kubeconfig

HEARTH = str(Path(sys.executable).with_name("hearth"))
EXAMPLES = Path(__file__).parents[1] / "examples"


@dataclass(frozen=True)
class Platform:
    """A running platform."""

    process: subprocess.Popen[bytes]
    state: Path
    client: Client
    gateway_port: int
    kubeconfig: str
    ready_after_s: float  #: from the start of the command to ready.json


@contextlib.asynccontextmanager
async def platform(pool: int, *flags: str) -> AsyncIterator[Platform]:
    """Start ``hearth up`` on free ports in an empty state directory; end it afterwards."""
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as folder:
        state = Path(folder)
        command = [HEARTH, "up", "--state", folder, "--http-port", "0", "--api-port", "0"]
        command += ["--pool", str(pool), *flags]
        started = time.monotonic()
        with (state / "up.log").open("wb") as log:
            environ = {**os.environ, "XDG_STATE_HOME": f"{folder}/xdg"}  # not the user's
            process = subprocess.Popen(  # noqa: ASYNC220 - quick
                command, stdout=log, stderr=log, env=environ
            )
        try:
            ready = await _ready(process, state)
            took_s = time.monotonic() - started
            async with _client(ready["kubeconfig"]) as client:
                port = urlsplit(ready["gateway"]).port or 80
                found = Platform(process, state, client, port, ready["kubeconfig"], took_s)
                await pool_is_full(found, pool)
                yield found
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def another_client(on: Platform) -> contextlib.AbstractAsyncContextManager[Client]:
    """A client with connections of its own."""
    return _client(on.kubeconfig)


@contextlib.asynccontextmanager
async def _client(kubeconfig: str) -> AsyncIterator[Client]:
    async with HttpHandler.to(load_kubeconfig(Path(kubeconfig))) as handler:
        yield Client(handler, field_manager="bench", tenant_in_path=False)


async def _ready(process: subprocess.Popen[bytes], state: Path) -> dict[str, str]:
    deadline = time.monotonic() + 60
    while not (state / "ready.json").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"hearth up did not become ready:\n{(state / 'up.log').read_text()}")
        await asyncio.sleep(0.005)
    return dict(json.loads((state / "ready.json").read_text()))


async def pool_is_full(on: Platform, size: int, timeout_s: float = 120) -> None:
    """Wait until ``size`` warm pods are ready."""
    async with asyncio.timeout(timeout_s):
        while True:
            warm = await on.client.list(POD, SYSTEM_NAMESPACE, label_selector=PODPOOL_LABEL)
            if sum(is_condition_true(pod, "Ready") for pod in warm.items) >= size:
                return
            await asyncio.sleep(0.02)


async def scale_pool(on: Platform, size: int) -> None:
    """Set the pool's level and wait for it."""
    await on.client.patch(POD_POOL, SYSTEM_NAMESPACE, "python", {"spec": {"replicas": size}})
    await pool_is_full(on, size)


async def upload(on: Platform, example: str) -> dict[str, str]:
    """Put an example's directory into the code store; returns the annotations that name it."""
    files = sorted((EXAMPLES / example).glob("*.py"))
    return await upload_files(on, {file.name: file.read_text() for file in files})


async def upload_files(on: Platform, files: dict[str, str]) -> dict[str, str]:
    """Put source files into the code store; returns the annotations that name them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    digest = f"sha256:{hashlib.sha256(buffer.getvalue()).hexdigest()}"
    path = f"/apis/hearth.dev/v1alpha1/namespaces/default/packages/{digest}"
    await on.client.raw("PUT", path, body=buffer.getvalue())
    url = f"hearth:///namespaces/default/packages/{digest}"
    return {"hearth.dev/code": url, "hearth.dev/code-digest": digest}


def service(
    name: str, annotations: dict[str, str], image: str = PYTHON_RUNTIME_IMAGE
) -> dict[str, object]:
    """A Service of the image; of the python runtime if none is named."""
    return {
        "apiVersion": SERVICE.api_version,
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "template": {
                "metadata": {"annotations": annotations},
                "spec": {"containers": [{"image": image}]},
            }
        },
    }


AT_ZERO = {"autoscaling.knative.dev/initial-scale": "0", "autoscaling.knative.dev/window": "6s"}


async def deploy(on: Platform, wire: dict[str, object], timeout_s: float = 60) -> float:
    """Create the Service and wait until it is Ready; returns the seconds that took."""
    started = time.monotonic()
    created = await on.client.create(SERVICE, wire)
    name = created["metadata"]["name"]
    if is_condition_true(created, "Ready"):
        return time.monotonic() - started
    async with asyncio.timeout(timeout_s):
        async for event in on.client.watch(
            SERVICE,
            "default",
            resource_version=created["metadata"]["resourceVersion"],
            field_selector=f"metadata.name={name}",
        ):
            if is_condition_true(event.object, "Ready") and status_of(event.object).get(
                "observedGeneration"
            ) == event.object["metadata"].get("generation"):
                return time.monotonic() - started
    raise RuntimeError(f"service {name}: the watch ended before it was ready")


async def call(on: Platform, name: str, headers: str = "") -> tuple[int, float, bytes]:
    """One GET on a connection of its own: status, seconds to the first byte, the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", on.gateway_port)
    host = f"{name}.default.localhost:{on.gateway_port}"
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n".encode()
    started = time.perf_counter()
    writer.write(request)
    first = await reader.read(1)
    took_s = time.perf_counter() - started
    answer = first + await reader.read()
    writer.close()
    status = int(answer.split(b" ", 2)[1]) if answer else 0
    return status, took_s, answer


def spread_ms(values_s: Iterable[float]) -> dict[str, float]:
    """Median, quantiles and extremes in milliseconds."""
    values = sorted(v * 1e3 for v in values_s)
    at = lambda share: values[min(len(values) - 1, int(len(values) * share))]  # noqa: E731
    return {
        "n": len(values),
        "p50_ms": round(statistics.median(values), 2),
        "p90_ms": round(at(0.9), 2),
        "p99_ms": round(at(0.99), 2),
        "min_ms": round(values[0], 2),
        "max_ms": round(values[-1], 2),
    }


def descendants(pid: int) -> list[int]:
    """The process and all its children, theirs included."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(d for child in children for d in descendants(int(child)))]


def memory_mib(pid: int, field: str = "Pss") -> float:
    """Memory of a process in MiB: ``Pss`` counts shared pages once over all, ``Rss`` in each."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def title(pid: int) -> str:
    """The process's command line."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()


def require(program: str, package: str = "") -> str:
    """The path of a program that a benchmark needs.

    Raises:
        RuntimeError: it is not here; the message says how to get it.
    """
    if found := shutil.which(program):
        return found
    raise RuntimeError(f"needs {program}; on Debian: apt-get install {package or program}")
