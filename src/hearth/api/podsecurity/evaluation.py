"""Whether a level allows a pod.

Source: k8s.io/pod-security-admission policy/registry.go: baseline's checks first, each level's in
the order of their names; restricted has stricter ones in place of some of baseline's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from hearth.api.meta import Wire, annotations_of, name_of, spec_of
from hearth.api.podsecurity import baseline, restricted
from hearth.api.podsecurity.checked import Checked, Finding
from hearth.api.podsecurity.levels import PRIVILEGED, RESTRICTED, Level

_BASELINE: tuple[Callable[[Checked], Finding], ...] = (
    baseline.app_armor, baseline.capabilities, baseline.host_namespaces, baseline.host_paths,
    baseline.host_ports, baseline.host_probes, baseline.privileged, baseline.proc_mount,
    baseline.selinux, baseline.seccomp, baseline.sysctls, baseline.windows_host_process,
)  # fmt: skip
_REPLACED = frozenset({
    baseline.capabilities, baseline.host_paths, baseline.proc_mount, baseline.seccomp,
})  # fmt: skip
_RESTRICTED = (
    *(check for check in _BASELINE if check not in _REPLACED),
    restricted.privilege_escalation, restricted.capabilities, baseline.proc_mount_of_any,
    restricted.volumes, restricted.non_root, restricted.user, restricted.seccomp,
)  # fmt: skip


def findings(level: Level, spec: Wire, annotations: Mapping[str, str]) -> list[tuple[str, str]]:
    """What in a pod is more than the level allows, each in brief and in detail.

    Args:
        level: with the version of its rules.
        spec: of a pod, or of a template of pods.
        annotations: the pod's.
    """
    if level.name == PRIVILEGED:
        return []
    checks = _RESTRICTED if level.name == RESTRICTED else _BASELINE
    pod = Checked(spec, annotations, level.minor)
    return [found for check in checks if (found := check(pod)) is not None]


def violations(level: Level, spec: Wire, annotations: Mapping[str, str]) -> str:
    """The findings in Kubernetes' words; empty when there are none."""
    found = findings(level, spec, annotations)
    return ", ".join(f"{reason} ({detail})" for reason, detail in found)


def existing_violations(level: Level, pods: Iterable[Wire]) -> list[str]:
    """Why pods that are there could not be made any more, in Kubernetes' words: pods by reason."""
    of_reason: dict[str, list[str]] = {}
    for pod in pods:
        if found := findings(level, spec_of(pod), annotations_of(pod)):
            reason = ", ".join(brief for brief, _ in found)
            of_reason.setdefault(reason, []).append(name_of(pod))
    return sorted(f"{_first(names)}: {reason}" for reason, names in of_reason.items())


def _first(names: list[str]) -> str:
    others = len(names) - 1
    if not others:
        return names[0]
    return f"{min(names)} (and {others} other {'pod' if others == 1 else 'pods'})"
