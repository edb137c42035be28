"""What a pod uses of the machine: processor time and memory, from its cgroups or its processes.

Memory is the working set as a kubelet counts it: what is used without the file cache that the
kernel could drop at once. Without cgroups it is the resident memory of the pod's processes, in
which shared pages count once each.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

WINDOW_S_MIN = 1.0  #: over less, processor time says little
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used up to one moment."""

    cpu_s: float  #: processor seconds since it began
    memory_bytes: int  #: working set now


@dataclass(frozen=True, slots=True)
class Rate:
    """What is used now."""

    cpus: float  #: processor seconds per second
    memory_bytes: int
    window_s: float  #: over which ``cpus`` was measured


def usage_of(cgroups: list[str], pid: int) -> Usage | None:
    """What a pod has used; None when it is gone.

    Args:
        cgroups: the paths of its groups, of version 1 or 2; may be empty.
        pid: its first process.
    """
    found: dict[str, float] = {}
    for path in map(Path, cgroups):
        with contextlib.suppress(OSError, ValueError):
            found |= _read(path)
    if "cpu_s" in found and "memory" in found:
        return Usage(found["cpu_s"], int(found["memory"]))
    cpu_s = memory = 0.0
    tree = _tree(pid)
    for each in tree:
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            cpu_s += sum(int(ticks) for ticks in fields[11:15]) / _TICKS_PER_S
            memory += int(fields[21]) * _PAGE_BYTES
    return Usage(found.get("cpu_s", cpu_s), int(found.get("memory", memory))) if tree else None


def _read(group: Path) -> dict[str, float]:
    """What one group tells: ``cpu_s``, ``memory`` (in bytes), both or neither."""
    if (usage := group / "cpuacct.usage").exists():
        return {"cpu_s": int(usage.read_text()) / 1e9}
    if (usage := group / "memory.usage_in_bytes").exists():
        cached = _line(group / "memory.stat", "total_inactive_file")
        return {"memory": max(0, int(usage.read_text()) - cached)}
    if (usage := group / "memory.current").exists():
        cached = _line(group / "memory.stat", "inactive_file")
        cpu_s = _line(group / "cpu.stat", "usage_usec") / 1e6
        return {"memory": max(0, int(usage.read_text()) - cached), "cpu_s": cpu_s}
    return {}


def _line(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def _tree(pid: int) -> list[int]:
    """The process and its descendants, as far as they are there."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in _tree(int(child)))]


class Rates:
    """Makes rates of usages: it remembers one earlier sample of each pod that was asked for."""

    def __init__(self) -> None:
        self._earlier: dict[str, tuple[float, Usage]] = {}

    async def of(self, sample: Mapping[str, tuple[list[str], int]]) -> dict[str, Rate]:
        """The rates since they were asked for last, or over a second where that was just now.

        Args:
            sample: by pod its cgroups and first process, see :func:`usage_of`.
        """
        begun = time.monotonic()
        first = {uid: usage_of(*where) for uid, where in sample.items()}
        fresh = [
            uid
            for uid in sample
            if uid not in self._earlier or begun - self._earlier[uid][0] < WINDOW_S_MIN
        ]
        now, last = begun, first
        if fresh:
            for uid in fresh:
                if (usage := first[uid]) is not None and uid not in self._earlier:
                    self._earlier[uid] = (begun, usage)
            await asyncio.sleep(WINDOW_S_MIN)
            now, last = time.monotonic(), {uid: usage_of(*where) for uid, where in sample.items()}
        rates = {}
        for uid, usage in last.items():
            earlier = self._earlier.get(uid)
            if usage is None or earlier is None:
                continue
            window_s = now - earlier[0]
            cpus = max(0.0, usage.cpu_s - earlier[1].cpu_s) / window_s
            rates[uid] = Rate(cpus, usage.memory_bytes, window_s)
        self._earlier = {uid: (now, usage) for uid, usage in last.items() if usage is not None}
        return rates
