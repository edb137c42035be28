"""Runs the probes of one container: startup first, then readiness and liveness beside each other.

Neutral of the runtime: whoever runs the container says how to ask it (``Where``) and is told what
came of it (``Heard``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from hearth.api.meta import Wire
from hearth.node.core.probing import AGGRESSIVE_S, Verdict, grace_s, period_s
from hearth.runtime.probes import Where, probe_once

__all__ = ["Heard", "Where", "run_probes"]


class Heard(Protocol):
    """Is told what probes find."""

    def ready(self, is_ready: bool) -> None:
        """The container may be sent requests, or may not."""

    def unhealthy(self, kind: str, why: str) -> None:
        """One probe failed; ``kind`` is Startup, Readiness or Liveness (for an event)."""

    def condemn(self, kind: str, why: str, grace_s: float) -> None:
        """The container must be ended, and may take ``grace_s`` for it."""


async def run_probes(
    container: Wire, pod_spec: Wire, port: int, where: Callable[[], Where], heard: Heard
) -> None:
    """Probe until cancelled, or until the container is condemned.

    Args:
        container: its three probes. One without a handler is never asked: the container is ready
            as soon as it has started.
        pod_spec: for the grace period.
        port: that the container's spec names.
        where: how to reach it now.
        heard: is told.
    """
    startup = container.get("startupProbe")
    if startup and not await _start(startup, pod_spec, port, where, heard):
        return
    async with asyncio.TaskGroup() as group:
        readiness, liveness = container.get("readinessProbe"), container.get("livenessProbe")
        if readiness:
            group.create_task(_readiness(readiness, port, where, heard))
        else:
            heard.ready(True)
        if liveness:
            group.create_task(_liveness(liveness, pod_spec, port, where, heard))


async def _start(
    probe: Wire, pod_spec: Wire, port: int, where: Callable[[], Where], heard: Heard
) -> bool:
    """Whether it has started before its time was over."""
    verdict = Verdict.of(probe)
    await asyncio.sleep(float(probe.get("initialDelaySeconds") or 0))
    while True:
        fault = await probe_once(probe, where(), port)
        verdict.note(not fault)
        if verdict.good:
            return True
        heard.unhealthy("Startup", fault)
        if verdict.good is False:
            heard.condemn("Startup", fault, grace_s(probe, pod_spec))
            return False
        await asyncio.sleep(period_s(probe))


async def _readiness(probe: Wire, port: int, where: Callable[[], Where], heard: Heard) -> None:
    """Ask often until the first success, then every period."""
    verdict = Verdict.of(probe)
    await asyncio.sleep(float(probe.get("initialDelaySeconds") or 0))
    while True:
        fault = await probe_once(probe, where(), port)
        was = verdict.good
        if verdict.note(not fault):
            heard.ready(bool(verdict.good))
        if fault and was:
            heard.unhealthy("Readiness", fault)
        await asyncio.sleep(period_s(probe) if verdict.good else min(AGGRESSIVE_S, period_s(probe)))


async def _liveness(
    probe: Wire, pod_spec: Wire, port: int, where: Callable[[], Where], heard: Heard
) -> None:
    verdict = Verdict.of(probe)
    await asyncio.sleep(float(probe.get("initialDelaySeconds") or 0))
    while True:
        await asyncio.sleep(period_s(probe))
        fault = await probe_once(probe, where(), port)
        verdict.note(not fault)
        if fault:
            heard.unhealthy("Liveness", fault)
        if verdict.good is False:
            heard.condemn("Liveness", fault, grace_s(probe, pod_spec))
            return
