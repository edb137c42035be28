"""Checks of the baseline level: no known way out of the pod.

Source: k8s.io/pod-security-admission policy/check_*.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hearth.api.meta import Wire
from hearth.api.podsecurity.checked import Checked, Finding, name_of, named, plural, quoted

CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
    "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
SECCOMP = ("Localhost", "RuntimeDefault")
#: Sysctls that touch the pod alone, by the minor version from which on they may be set.
_SYSCTLS = {
    "kernel.shm_rmid_forced": 0, "net.ipv4.ip_local_port_range": 0, "net.ipv4.tcp_syncookies": 0,
    "net.ipv4.ping_group_range": 0, "net.ipv4.ip_unprivileged_port_start": 0,
    "net.ipv4.ip_local_reserved_ports": 27, "net.ipv4.tcp_keepalive_time": 29,
    "net.ipv4.tcp_fin_timeout": 29, "net.ipv4.tcp_keepalive_intvl": 29,
    "net.ipv4.tcp_keepalive_probes": 29, "net.ipv4.tcp_rmem": 32, "net.ipv4.tcp_wmem": 32,
}  # fmt: skip
_SELINUX = {"": 0, "container_t": 0, "container_init_t": 0, "container_kvm_t": 0,
            "container_engine_t": 31}  # fmt: skip
_APPARMOR = ("RuntimeDefault", "Localhost")
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def app_armor(pod: Checked) -> Finding:
    """No AppArmor profile but the runtime's and the node's own."""

    def is_bad(context: Wire) -> bool:
        return _profile(context, "appArmorProfile") not in (None, *_APPARMOR)

    setters = pod.setters(is_bad)
    contexts = [pod.context, *(c.get("securityContext") or {} for c in pod.containers)]
    values = sorted({_profile(one, "appArmorProfile") or "" for one in contexts if is_bad(one)})
    annotations = sorted(
        f'{name}="{value}"'
        for name, value in pod.annotations.items()
        if name.startswith(_APPARMOR_ANNOTATION)
        and not (value in ("", "runtime/default") or value.startswith("localhost/"))
    )
    if annotations:
        setters.append(plural("annotation", annotations))
    if not setters:
        return None
    said = f"{' and '.join(setters)} must not set AppArmor profile type to "
    found = [*values, *annotations]
    return plural("forbidden AppArmor profile", found), said + quoted(found)


def _profile(context: Wire, field: str) -> str | None:
    profile = context.get(field)
    return str(profile.get("type") or "") if isinstance(profile, dict) else None


def capabilities(pod: Checked) -> Finding:
    """No capability that containers do not have anyway."""

    def beyond(context: Wire) -> set[str]:
        return set((context.get("capabilities") or {}).get("add") or ()) - CAPABILITIES

    if not (bad := pod.bad(beyond)):
        return None
    added = {c for one in pod.containers for c in beyond(one.get("securityContext") or {})}
    said = f"{named(bad)} must not include {quoted(sorted(added))} in securityContext.capabilities"
    return "non-default capabilities", f"{said}.add"


def host_namespaces(pod: Checked) -> Finding:
    """No namespace of the node's."""
    names = ("hostNetwork", "hostPID", "hostIPC")
    found = [f"{name}=true" for name in names if pod.spec.get(name)]
    return ("host namespaces", ", ".join(found)) if found else None


def host_paths(pod: Checked) -> Finding:
    """No directory of the node's."""
    volumes = pod.spec.get("volumes") or ()
    found = [name_of(volume) for volume in volumes if volume.get("hostPath") is not None]
    return ("hostPath volumes", named(found, "volume")) if found else None


def host_ports(pod: Checked) -> Finding:
    """No port of the node's."""
    used = [
        (name_of(container), str(port["hostPort"]))
        for container in pod.containers
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]
    if not used:
        return None
    bad, ports = list(dict.fromkeys(name for name, _ in used)), sorted({port for _, port in used})
    uses = "uses" if len(bad) == 1 else "use"
    return "hostPort", f"{named(bad)} {uses} {plural('hostPort', ports)} {', '.join(ports)}"


def host_probes(pod: Checked) -> Finding:
    """No probe or hook that goes to another host (from 1.34 on)."""
    asked = {name_of(container): set(_hosts(container)) for container in pod.containers}
    bad = sorted(name for name, hosts in asked.items() if hosts)
    if pod.minor < 34 or not bad:
        return None
    hosts = sorted({host for found in asked.values() for host in found})
    uses, what = "uses" if len(bad) == 1 else "use", plural("probe or lifecycle host", hosts)
    return "probe or lifecycle host", f"{named(bad)} {uses} {what} {quoted(hosts)}"


def _hosts(container: Wire) -> Iterator[str]:
    hooks = (container.get("lifecycle") or {}).values()
    for asked in (*(container.get(kind) for kind in _PROBES), *hooks):
        for handler in ("httpGet", "tcpSocket"):
            action: Any = (asked or {}).get(handler)
            if isinstance(action, dict) and action.get("host"):
                yield str(action["host"])


def privileged(pod: Checked) -> Finding:
    """No container that may do what the node may."""
    bad = pod.bad(lambda context: context.get("privileged"))
    said = f"{named(bad)} must not set securityContext.privileged=true"
    return ("privileged", said) if bad else None


def proc_mount(pod: Checked) -> Finding:
    """No unmasked /proc, unless the pod's users are its own (from 1.35 on)."""
    return None if pod.has_own_users else proc_mount_of_any(pod)


def proc_mount_of_any(pod: Checked) -> Finding:
    """No unmasked /proc."""

    def is_bad(context: Wire) -> bool:
        return context.get("procMount") not in (None, "Default")

    if not (bad := pod.bad(is_bad)):
        return None
    contexts = [container.get("securityContext") or {} for container in pod.containers]
    kinds = sorted({str(context["procMount"]) for context in contexts if is_bad(context)})
    return "procMount", f"{named(bad)} must not set securityContext.procMount to {quoted(kinds)}"


def selinux(pod: Checked) -> Finding:
    """No SELinux user or role, and no type but containers'."""

    def is_bad(context: Wire) -> bool:
        options = context.get("seLinuxOptions") or {}
        kind = str(options.get("type") or "")
        known = _SELINUX.get(kind, pod.minor + 1) <= pod.minor
        return bool(options.get("user") or options.get("role") or not known)

    if not (setters := pod.setters(is_bad)):
        return None
    contexts = [pod.context, *(c.get("securityContext") or {} for c in pod.containers)]
    options = [context.get("seLinuxOptions") or {} for context in contexts]
    kinds = {str(one.get("type") or "") for one in options}
    unknown = sorted(kind for kind in kinds if _SELINUX.get(kind, pod.minor + 1) > pod.minor)
    said = [f"{plural('type', unknown)} {quoted(unknown)}"] if unknown else []
    said += ["user may not be set"] if any(one.get("user") for one in options) else []
    said += ["role may not be set"] if any(one.get("role") for one in options) else []
    who = " and ".join(setters)
    detail = f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(said)}"
    return "seLinuxOptions", detail


def seccomp(pod: Checked) -> Finding:
    """No seccomp profile that lets through what the runtime's would not."""

    def is_bad(context: Wire) -> bool:
        return _profile(context, "seccompProfile") not in (None, *SECCOMP)

    if not (setters := pod.setters(is_bad)):
        return None
    contexts = [pod.context, *(c.get("securityContext") or {} for c in pod.containers)]
    kinds = sorted({_profile(one, "seccompProfile") or "" for one in contexts if is_bad(one)})
    said = f"{' and '.join(setters)} must not set securityContext.seccompProfile.type to "
    return "seccompProfile", said + quoted(kinds)


def sysctls(pod: Checked) -> Finding:
    """No sysctl that others on the node would feel."""
    wanted = [str(one.get("name")) for one in pod.context.get("sysctls") or ()]
    found = [name for name in wanted if _SYSCTLS.get(name, pod.minor + 1) > pod.minor]
    return ("forbidden sysctls", ", ".join(found)) if found else None


def windows_host_process(pod: Checked) -> Finding:
    """No process of the node's on Windows."""
    setters = pod.setters(lambda context: (context.get("windowsOptions") or {}).get("hostProcess"))
    said = f"{' and '.join(setters)} must not set securityContext.windowsOptions.hostProcess=true"
    return ("hostProcess", said) if setters else None
