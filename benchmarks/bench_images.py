"""Claims: container images, no pool: 0 → first answer ≤ 700 ms; apply → Ready ≤ 1.2 s.

The image is present, initial scale 1. 50 services woken at once: median ≤ 12.3 s, last ≤ 16.2 s.

The image is busybox's web server (Debian's busybox-static). Needs root, containerd and runc.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks.platform import AT_ZERO, Platform, call, deploy, platform, spread_ms
from hearth.api.kinds import NODE
from hearth.api.meta import name_of
from hearth.node.cri.archives import image_archive
from hearth.node.cri.containerd import missing

IMAGE = "dev.local/httpd:1"
RUNS = 20
AT_ONCE = 50
_FILES = {"bin/busybox": Path("/bin/busybox").read_bytes(), "www/index.html": b"hello\n"}


def run() -> Iterator[dict[str, object]]:
    if lack := missing():
        raise RuntimeError(f"container images cannot be measured: {lack}")
    yield from asyncio.run(_measure())


async def _measure() -> list[dict[str, object]]:
    async with platform(0) as on:
        await _load(on)
        await deploy(on, _service("warm-up", {}))
        applied = [await deploy(on, _service(f"apply-{n}", {})) for n in range(RUNS)]
        woken = []
        for number in range(RUNS):
            await deploy(on, _service(f"cold-{number}", AT_ZERO))
            woken.append(await _called(on, f"cold-{number}"))
        for number in range(AT_ONCE):
            await deploy(on, _service(f"burst-{number}", AT_ZERO))
        burst = await asyncio.gather(*(_called(on, f"burst-{n}") for n in range(AT_ONCE)))
        return [
            {"case": "apply to Ready", **spread_ms(applied)},
            {"case": "0 to first answer", **spread_ms(woken)},
            {"case": f"{AT_ONCE} at once, median", "s": round(statistics.median(burst), 2)},
            {"case": f"{AT_ONCE} at once, last", "s": round(max(burst), 2)},
        ]


async def _load(on: Platform) -> None:
    serve = ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]
    archive = image_archive(IMAGE, _FILES, serve)
    for node in (await on.client.list(NODE)).items:
        path = f"/api/v1/nodes/{name_of(node)}/proxy/images"
        await on.client.raw("POST", path, body=archive)


async def _called(on: Platform, name: str) -> float:
    status, took_s, answer = await call(on, name)
    if status != 200:
        raise RuntimeError(f"{name}: answered {status}: {answer!r}")
    return took_s


def _service(name: str, annotations: dict[str, str]) -> dict[str, object]:
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "template": {
                "metadata": {"annotations": annotations},
                "spec": {"containers": [{"image": IMAGE}]},
            }
        },
    }
