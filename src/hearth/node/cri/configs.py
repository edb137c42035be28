"""From a pod's spec to what CRI is told: pure.

Source: kubelet's kuberuntime (kuberuntime_sandbox.go, kuberuntime_container_linux.go) and
pkg/securitycontext.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hearth.api.meta import Wire, annotations_of, labels_of, name_of, namespace_of, spec_of, uid_of
from hearth.api.quantities import parse_cpu, parse_quantity
from hearth.node.core.dns import Resolving
from hearth.node.core.etc import hostname
from hearth.node.cri import api_pb2 as pb
from hearth.node.environment import expand
from hearth.node.volumes import Mount

_PERIOD_US = 100_000
_SHARES_PER_CPU = 1024
_SHARES_MIN = 2
#: What a container does not see of /proc and /sys, or may not change (docker's and kubelet's).
_MASKED = [
    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys",
    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
    "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
]  # fmt: skip
_READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def sandbox_config(
    pod: Wire, log_folder: str, cgroup: str, attempt: int, resolver: Resolving | None
) -> Any:
    """The ``PodSandboxConfig`` of a pod.

    Args:
        pod: as stored.
        log_folder: below which its containers' logs are written.
        cgroup: the pod's own, below each controller; empty for the runtime's default.
        attempt: how many sandboxes it had before.
        resolver: None for the machine's own ``resolv.conf``.
    """
    spec = spec_of(pod)
    context = spec.get("securityContext") or {}
    security = pb.LinuxSandboxSecurityContext(
        namespace_options=_namespaces(spec),
        seccomp=_seccomp(context.get("seccompProfile")),
        supplemental_groups=_groups(context),
    )
    config = pb.PodSandboxConfig(
        metadata=pb.PodSandboxMetadata(
            name=name_of(pod), uid=uid_of(pod), namespace=namespace_of(pod), attempt=attempt
        ),
        hostname="" if spec.get("hostNetwork") else hostname(pod),
        log_directory=log_folder,
        labels={**labels_of(pod), "io.kubernetes.pod.uid": uid_of(pod)},
        annotations=annotations_of(pod),
        linux=pb.LinuxPodSandboxConfig(cgroup_parent=cgroup, security_context=security),
    )
    for entry in context.get("sysctls") or ():
        config.linux.sysctls[entry["name"]] = str(entry.get("value", ""))
    if resolver is not None:
        config.dns_config.servers.extend(resolver.servers)
        config.dns_config.searches.extend(resolver.searches)
        config.dns_config.options.extend(resolver.options)
    return config


def container_config(
    pod: Wire,
    container: Wire,
    image: str,
    environment: Mapping[str, str],
    mounts: Sequence[Mount],
    attempt: int,
) -> Any:
    """The ``ContainerConfig`` of one run of a container.

    Args:
        pod: as stored.
        container: of its spec.
        image: the runtime's reference to it.
        environment: resolved.
        mounts: of this machine's paths.
        attempt: how many runs there were before.
    """
    return pb.ContainerConfig(
        metadata=pb.ContainerMetadata(name=str(container["name"]), attempt=attempt),
        image=pb.ImageSpec(image=image),
        command=[expand(str(word), environment) for word in container.get("command") or ()],
        args=[expand(str(word), environment) for word in container.get("args") or ()],
        working_dir=container.get("workingDir") or "",
        envs=[pb.KeyValue(key=name, value=value) for name, value in environment.items()],
        mounts=[_mount(mount, container) for mount in mounts],
        labels={"io.kubernetes.container.name": str(container["name"])},
        log_path=f"{container['name']}/{attempt}.log",
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        tty=bool(container.get("tty")),
        linux=pb.LinuxContainerConfig(
            resources=resources(container), security_context=_security(pod, container)
        ),
    )


def resources(container: Wire) -> Any:
    """The ``LinuxContainerResources`` of requests and limits."""
    found = container.get("resources") or {}
    requests, limits = found.get("requests") or {}, found.get("limits") or {}
    cpu = requests.get("cpu", limits.get("cpu"))
    shares = int(float(parse_cpu(str(cpu))) * _SHARES_PER_CPU) if cpu is not None else 0
    wanted = pb.LinuxContainerResources(cpu_shares=max(_SHARES_MIN, shares))
    if limits.get("cpu") is not None:
        wanted.cpu_period = _PERIOD_US
        wanted.cpu_quota = max(1000, int(float(parse_cpu(str(limits["cpu"]))) * _PERIOD_US))
    if limits.get("memory") is not None:
        wanted.memory_limit_in_bytes = int(parse_quantity(str(limits["memory"])))
    wanted.oom_score_adj = 1000 if not (requests or limits) else 500
    return wanted


def _mount(mount: Mount, container: Wire) -> Any:
    propagation = pb.PROPAGATION_PRIVATE
    for wanted in container.get("volumeMounts") or ():
        if f"/{str(wanted.get('mountPath')).strip('/')}" == mount.target:
            propagation = {
                "HostToContainer": pb.PROPAGATION_HOST_TO_CONTAINER,
                "Bidirectional": pb.PROPAGATION_BIDIRECTIONAL,
            }.get(wanted.get("mountPropagation") or "", pb.PROPAGATION_PRIVATE)
    return pb.Mount(
        container_path=mount.target,
        host_path=str(mount.source),
        readonly=mount.read_only,
        propagation=propagation,
    )


def _namespaces(spec: Wire) -> Any:
    shared = spec.get("shareProcessNamespace")
    pid = pb.POD if shared else pb.CONTAINER
    return pb.NamespaceOption(
        network=pb.NODE if spec.get("hostNetwork") else pb.POD,
        pid=pb.NODE if spec.get("hostPID") else pid,
        ipc=pb.NODE if spec.get("hostIPC") else pb.POD,
    )


def _groups(context: Wire) -> list[int]:
    groups = [int(group) for group in context.get("supplementalGroups") or ()]
    return [*groups, int(context["fsGroup"])] if context.get("fsGroup") is not None else groups


def _seccomp(profile: Wire | None) -> Any:
    match (profile or {}).get("type"):
        case "RuntimeDefault":
            kind = pb.SecurityProfile.RuntimeDefault
        case "Localhost":
            where = str((profile or {}).get("localhostProfile"))
            kind = pb.SecurityProfile.Localhost
            return pb.SecurityProfile(profile_type=kind, localhost_ref=where)
        case _:
            kind = pb.SecurityProfile.Unconfined
    return pb.SecurityProfile(profile_type=kind)


def _security(pod: Wire, container: Wire) -> Any:
    spec = spec_of(pod)
    of_pod = spec.get("securityContext") or {}
    own = container.get("securityContext") or {}
    merged = {**of_pod, **own}
    privileged = bool(own.get("privileged"))
    unmasked = privileged or own.get("procMount") == "Unmasked"
    context = pb.LinuxContainerSecurityContext(
        privileged=privileged,
        namespace_options=_namespaces(spec),
        readonly_rootfs=bool(own.get("readOnlyRootFilesystem")),
        no_new_privs=own.get("allowPrivilegeEscalation") is False,
        supplemental_groups=_groups(of_pod),
        seccomp=_seccomp(merged.get("seccompProfile")),
        masked_paths=[] if unmasked else _MASKED,
        readonly_paths=[] if unmasked else _READ_ONLY,
    )
    if merged.get("runAsUser") is not None:
        context.run_as_user.value = int(merged["runAsUser"])
    if merged.get("runAsGroup") is not None:
        context.run_as_group.value = int(merged["runAsGroup"])
        if merged.get("runAsUser") is None:
            context.run_as_user.value = 0
    for name in ("add", "drop"):
        found = (own.get("capabilities") or {}).get(name) or ()
        getattr(context.capabilities, f"{name}_capabilities").extend(found)
    return context
