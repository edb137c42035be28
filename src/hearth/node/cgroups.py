"""Limits per pod by cgroups, version 1 or 2. Needs root (or a delegated tree)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hearth.api.quantities import parse_cpu, parse_quantity
from hearth.loader.zygote import empty_cgroups

_ROOT = Path("/sys/fs/cgroup")
_CONTROLLERS_V1 = ("memory", "cpu", "pids")
_PERIOD_US = 100_000
_SHARES_MIN, _SHARES_MAX = 2, 262_144  #: the kernel's
_PREFIX = "hearth-"


class CgroupsUnavailable(Exception):
    """This machine or user cannot have them; the message says why."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a pod may use at most; None is no limit."""

    memory_bytes: int | None
    cpus: float | None
    pids: int
    cpus_requested: float | None = None  #: its weight where pods compete for the CPU

    @classmethod
    def of(cls, resources: Mapping[str, object], pids: int) -> Limits:
        """From a container's ``resources``."""
        limits, requests = _mapping(resources, "limits"), _mapping(resources, "requests")
        memory, cpu = limits.get("memory"), limits.get("cpu")
        requested = requests.get("cpu", cpu)  # Kubernetes' default for what is not said
        return cls(
            int(parse_quantity(str(memory))) if memory is not None else None,
            float(parse_cpu(str(cpu))) if cpu is not None else None,
            pids,
            float(parse_cpu(str(requested))) if requested is not None else None,
        )

    @property
    def cpu_shares(self) -> int:
        """The weight as cgroups of version 1 have it (kubelet's MilliCPUToShares)."""
        return min(max(int((self.cpus_requested or 0) * 1024), _SHARES_MIN), _SHARES_MAX)

    @property
    def cpu_weight(self) -> int:
        """The weight as version 2 has it (KEP-2254's conversion)."""
        return 1 + (self.cpu_shares - _SHARES_MIN) * 9999 // (_SHARES_MAX - _SHARES_MIN)


class Cgroups:
    """The groups of one node agent's pods, below a parent of its own."""

    def __init__(self, node: str, pid: int) -> None:
        """Make the parent groups, and remove those of agents of this node that are no more.

        Args:
            node: the node's name.
            pid: the agent's.

        Raises:
            CgroupsUnavailable: says what is missing.
        """
        self._parent = parent = f"{_PREFIX}{node}-{pid}"
        self._unified = (_ROOT / "cgroup.controllers").exists()
        if self._unified:
            self._parents = {"": _ROOT / parent}
        else:
            controllers = [*_CONTROLLERS_V1, *(c for c in ("cpuacct",) if (_ROOT / c).is_dir())]
            self._parents = {name: _ROOT / name / parent for name in controllers}
        try:
            for path in self._parents.values():
                _remove_abandoned(path.parent, f"{_PREFIX}{node}-")
                path.mkdir(exist_ok=True)
            if self._unified:
                _enable(_ROOT)
                _enable(_ROOT / parent)
        except OSError as error:
            raise CgroupsUnavailable(f"cgroups cannot be made: {error}") from error

    @property
    def parents(self) -> list[str]:
        """The groups that hold the pods' groups."""
        return [str(path) for path in self._parents.values()]

    def make(self, group: str, limits: Limits) -> list[str]:
        """Make the groups of one run of a pod and set its limits; returns their paths."""
        paths = []
        for controller, parent in self._parents.items():
            path = parent / group
            path.mkdir(exist_ok=True)
            paths.append(str(path))
            self._set(controller, path, limits)
        return paths

    def name_of(self, group: str) -> str:
        """The group as a container runtime names it: its path below each controller."""
        return f"/{self._parent}/{group}"

    def remove(self, group: str) -> None:
        """Remove the groups of a pod, and what is left in them."""
        for path in self._parents.values():
            _remove_tree(path / group)

    def was_oom_killed(self, group: str) -> bool:
        """Whether the kernel killed something in the groups for want of memory."""
        if self._unified:
            return _count(self._parents[""] / group / "memory.events", "oom_kill") > 0
        return _count(self._parents["memory"] / group / "memory.oom_control", "oom_kill") > 0

    def close(self) -> None:
        """Remove the groups, and what is left in them."""
        for path in self._parents.values():
            _remove_tree(path)

    def _set(self, controller: str, path: Path, limits: Limits) -> None:
        values: dict[str, str | None]
        if self._unified:
            quota = f"{int(limits.cpus * _PERIOD_US)} {_PERIOD_US}" if limits.cpus else None
            values = {
                "memory.max": _text(limits.memory_bytes),
                "memory.oom.group": "1",
                "cpu.max": quota,
                "cpu.weight": str(limits.cpu_weight),
                "pids.max": str(limits.pids),
            }
        else:
            by_controller: dict[str, dict[str, str | None]] = {
                "memory": {"memory.limit_in_bytes": _text(limits.memory_bytes)},
                "cpu": {
                    "cpu.cfs_quota_us": _text(limits.cpus and int(limits.cpus * _PERIOD_US)),
                    "cpu.shares": str(limits.cpu_shares),
                },
                "pids": {"pids.max": str(limits.pids)},
                "cpuacct": {},  # only tells
            }
            values = by_controller[controller]
        for name, value in values.items():
            if value is not None:
                with contextlib.suppress(FileNotFoundError):
                    (path / name).write_text(value)


def _mapping(resources: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = resources.get(name)
    return found if isinstance(found, Mapping) else {}


def _text(value: float | None) -> str | None:
    return None if value is None else str(int(value))


def _enable(path: Path) -> None:
    (path / "cgroup.subtree_control").write_text("+memory +cpu +pids")


def _count(path: Path, name: str) -> int:
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0


def _remove_abandoned(folder: Path, prefix: str) -> None:
    """Remove the groups of agents that are no more, with every process in them."""
    for path in folder.glob(f"{prefix}*"):
        pid = path.name.removeprefix(prefix)
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            _remove_tree(path)


def _remove_tree(path: Path) -> None:
    if path.is_dir():
        below = sorted((str(group) for group in path.rglob("*") if group.is_dir()), reverse=True)
        empty_cgroups([*below, str(path)], lambda: None)


def open_cgroups(wish: str, node: str, pid: int) -> Cgroups | None:
    """The groups as asked: ``on``, ``off``, or ``auto`` (if root).

    Raises:
        CgroupsUnavailable: ``on`` was asked for.
    """
    if wish == "off" or (wish == "auto" and os.geteuid() != 0):
        return None
    try:
        return Cgroups(node, pid)
    except CgroupsUnavailable:
        if wish == "on":
            raise
        return None
