"""Claim: any part killed under load costs no request but those that the killed part was answering.

Four processes, each started again 0.1 s after its death, and some 150 requests a second of seven
kinds. Each part is killed in turn. What was sent before a kill and failed was in the killed part's
hands; what was sent after it and failed was lost. ``HEARTH_FAULTS_S`` is for how many seconds parts
are killed, 100 unless told.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.load import APP, Kept, Load, Outcome, Send
from benchmarks.platform import AT_ZERO, deploy, service, upload_files
from benchmarks.processes import Processes, processes
from hearth.api.kinds import NODE, POD
from hearth.api.meta import is_condition_true, is_deleting, labels_of, name_of
from hearth.api.names import SERVICE_LABEL
from hearth.node.cri.archives import image_archive
from hearth.node.cri.containerd import missing

PARTS = ("envoy", "gateway", "controller", "apiserver", "node", "warm", "zygote")
WATCHED_S = 12.0  #: after each kill
SLEEPERS = 8  #: services at zero, woken in turn; each part has one for after its death
_DYING_S = 0.5
SOCKETS = 3
NEEDED = {"warm": (1, 2), "limited": (2, 6), "talks": (1, 1)}  #: pods for this load
_QUICK = {"autoscaling.knative.dev/window": "6s"}
_AT_MOST_10 = {"autoscaling.knative.dev/max-scale": "10"}
IMAGE = "dev.local/httpd:1"
_FILES = {"bin/busybox": Path("/bin/busybox").read_bytes(), "www/index.html": b"hello\n"}


def run() -> Iterator[dict[str, object]]:
    yield from asyncio.run(_measure(float(os.environ.get("HEARTH_FAULTS_S", "100"))))


async def _measure(duration_s: float) -> list[dict[str, object]]:
    results = []
    async with processes(pool=6) as on, world(on) as load:
        end, turn = time.monotonic() + duration_s, 0
        while time.monotonic() < end:
            part = PARTS[turn % len(PARTS)]
            results.append(await kill(on, load, part, WATCHED_S))
            print(results[-1], flush=True)
            turn += 1
        begun_s = time.monotonic()
        pods = await converges(on)
        took_s = round(time.monotonic() - begun_s, 1)
        failed = [o for o in load.outcomes if o.said]
        total = {"requests": len(load.outcomes), "failed": len(failed), "kills": turn}
    return [*results, {**total, "pods": pods, "converged_s": took_s}]


@contextlib.asynccontextmanager
async def world(on: Processes) -> AsyncIterator[Load]:
    """The services, and the load on them."""
    load = Load(on.port)
    asleep = [f"sleeper-{number}" for number in range(SLEEPERS)]
    asleep += [f"after-{part}" for part in PARTS]
    for name, work_s, scaling, limit in (
        ("warm", 0.01, _QUICK, 0),
        ("limited", 0.2, _QUICK | _AT_MOST_10, 1),
        ("talks", 0.0, _QUICK, 0),
        *((name, 0.0, AT_ZERO, 0) for name in asleep),
    ):
        app = APP.format(name=name, work_s=work_s, limit=limit)
        code = await upload_files(on, {"app.py": app})
        wire: dict[str, Any] = service(name, code | scaling)
        wire["spec"]["template"]["spec"]["containerConcurrency"] = limit
        await deploy(on, wire)
    kinds: dict[str, tuple[float, Send]] = {
        "get": (60, lambda: load.request("warm")),
        "post": (30, lambda: load.request("warm", 10_000)),
        "limited": (10, lambda: load.request("limited")),
        "sleeper": (0.3, _in_turn(load)),
    }
    if await _image(on):
        kinds["image"] = 15, lambda: load.request("image", wanted="hello\n")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(load.steady(k, rate, send)) for k, (rate, send) in kinds.items()]
        tasks += [group.create_task(_kept(load, "warm")) for _ in range(2)]
        tasks += [group.create_task(load.socket("talks", 0.2)) for _ in range(SOCKETS)]
        await asyncio.sleep(3)
        load.outcomes.clear()
        try:
            yield load
        finally:
            for task in tasks:
                task.cancel()


def _in_turn(load: Load) -> Send:
    numbers = itertools.count()
    return lambda: load.request(f"sleeper-{next(numbers) % SLEEPERS}")


async def _kept(load: Load, name: str) -> None:
    """One request after the other on one connection, 15 a second."""
    with contextlib.closing(Kept(load.port)) as connection:
        while True:
            await load.one("kept", lambda: load.request(name, connection=connection))
            await asyncio.sleep(1 / 15)


async def _image(on: Processes) -> bool:
    """A service of a container image, where containers can be run."""
    if missing():
        return False
    serve = ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]
    archive = image_archive(IMAGE, _FILES, serve)
    for node in (await on.client.list(NODE)).items:
        path = f"/api/v1/nodes/{name_of(node)}/proxy/images"
        await on.client.raw("POST", path, body=archive)
    wire: dict[str, Any] = service("image", {})
    wire["spec"]["template"]["spec"]["containers"] = [{"image": IMAGE}]
    await deploy(on, wire)
    return True


async def kill(on: Processes, load: Load, part: str, watched_s: float) -> dict[str, object]:
    """Kill a part, wake a service right after, and say what became of the requests since."""
    before = len(load.outcomes)
    at_s = time.monotonic()
    on.kill(part)
    cold = await load.one("cold", lambda: load.request(f"after-{part}"))
    await asyncio.sleep(max(0.0, at_s + watched_s - time.monotonic()))
    since = load.outcomes[before:]
    failed = [o for o in since if o.said]
    lost = [o for o in failed if not _was_in_hand(o, at_s)]
    warm = [o for o in since if o.kind in ("get", "post", "kept") and o.begun_s > at_s]
    answered = [o.begun_s + o.took_s - at_s for o in warm if not o.said]
    return {
        "killed": part,
        "requests": len(since),
        "in_its_hands": _by_kind(o for o in failed if _was_in_hand(o, at_s)),
        "lost": _by_kind(lost),
        "wrong": sum("wrong" in o.said for o in failed),
        "said": dict(Counter(o.said for o in failed)),
        "first_warm_answer_s": round(min(answered, default=-1), 3),
        "median_warm_s": round(statistics.median(o.took_s for o in warm) if warm else -1, 3),
        "slowest_warm_s": round(max((o.took_s for o in warm), default=-1), 3),
        "slowest_s": {
            kind: round(max(o.took_s for o in since if o.kind == kind), 2)
            for kind in sorted({o.kind for o in since})
        },
        "cold_start_s": round(cold.took_s, 3),
        "cold_start": cold.said or "answered",
    }


def _was_in_hand(outcome: Outcome, at_s: float) -> bool:
    """Whether a request that failed was being answered by what was killed.

    A process that is killed takes requests for some more milliseconds: an app's, of which the
    gateway says that the instance had them, and Envoy's on connections that it has already.
    """
    had = outcome.said.startswith("502 the instance ended") or outcome.kind == "kept"
    return outcome.begun_s <= at_s or (had and outcome.begun_s < at_s + _DYING_S)


def _by_kind(outcomes: Iterable[Outcome]) -> dict[str, int]:
    return dict(Counter(outcome.kind for outcome in outcomes))


async def converges(on: Processes) -> dict[str, int]:
    """Wait until each service under load has the pods that it needs, and return how many."""
    async with asyncio.timeout(90):
        while True:
            pods = (await on.client.list(POD, "default")).items
            ready = Counter(
                labels_of(pod).get(SERVICE_LABEL, "")
                for pod in pods
                if is_condition_true(pod, "Ready") and not is_deleting(pod)
            )
            wanted = {name: ready[name] for name in NEEDED}
            if all(low <= ready[name] <= high for name, (low, high) in NEEDED.items()):
                return wanted
            await asyncio.sleep(0.5)
