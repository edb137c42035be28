"""Checks of the restricted level: what hardening asks for has to be said.

Source: k8s.io/pod-security-admission policy/check_*.go.
"""

from __future__ import annotations

from hearth.api.meta import Wire
from hearth.api.podsecurity.baseline import SECCOMP
from hearth.api.podsecurity.baseline import seccomp as baseline_seccomp
from hearth.api.podsecurity.checked import Checked, Finding, name_of, named, plural, quoted

_VOLUMES = frozenset({
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim",
    "projected", "secret",
})  # fmt: skip


def privilege_escalation(pod: Checked) -> Finding:
    """No process gets more rights than its parent."""
    if pod.is_windows:
        return None
    bad = pod.bad(lambda context: context.get("allowPrivilegeEscalation") is not False)
    said = f"{named(bad)} must set securityContext.allowPrivilegeEscalation=false"
    return ("allowPrivilegeEscalation != false", said) if bad else None


def capabilities(pod: Checked) -> Finding:
    """No capability but, if asked for, to bind low ports."""

    def keeps(context: Wire) -> bool:
        return "ALL" not in ((context.get("capabilities") or {}).get("drop") or ())

    def adds(context: Wire) -> set[str]:
        added = (context.get("capabilities") or {}).get("add") or ()
        return set(added) - {"NET_BIND_SERVICE"}

    if pod.is_windows:
        return None
    keeping, adding = pod.bad(keeps), pod.bad(adds)
    said = []
    if keeping:
        said.append(f'{named(keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        added = {c for one in pod.containers for c in adds(one.get("securityContext") or {})}
        what = f"must not include {quoted(sorted(added))} in securityContext.capabilities.add"
        said.append(f"{named(adding)} {what}")
    return ("unrestricted capabilities", "; ".join(said)) if said else None


def volumes(pod: Checked) -> Finding:
    """No volume that is the node's or a file server's."""
    sources = [(v, v.keys() - {"name"}) for v in pod.spec.get("volumes") or ()]
    bad = [v for v, kinds in sources if kinds and not kinds & _VOLUMES]  # without one: an emptyDir
    if not bad:
        return None
    kinds = sorted({min(v.keys() - {"name"}) for v in bad})
    names = [name_of(volume) for volume in bad]
    uses, what = "uses" if len(bad) == 1 else "use", plural("restricted volume type", kinds)
    return "restricted volume types", f"{named(names, 'volume')} {uses} {what} {quoted(kinds)}"


def non_root(pod: Checked) -> Finding:
    """No process as root: said for the pod or for each container."""
    if pod.has_own_users:
        return None
    setters = pod.setters(lambda context: context.get("runAsNonRoot") is False)
    if setters:
        said = f"{' and '.join(setters)} must not set securityContext.runAsNonRoot=false"
        return "runAsNonRoot != true", said
    if pod.context.get("runAsNonRoot"):
        return None
    bad = pod.bad(lambda context: context.get("runAsNonRoot") is None)
    said = f"pod or {named(bad)} must set securityContext.runAsNonRoot=true"
    return ("runAsNonRoot != true", said) if bad else None


def user(pod: Checked) -> Finding:
    """Not the user root."""
    if pod.has_own_users:
        return None
    setters = pod.setters(lambda context: context.get("runAsUser") == 0)
    return ("runAsUser=0", f"{' and '.join(setters)} must not set runAsUser=0") if setters else None


def seccomp(pod: Checked) -> Finding:
    """A seccomp profile, said for the pod or for each container."""
    if pod.is_windows:
        return None
    if (found := baseline_seccomp(pod)) is not None:
        return found
    if (pod.context.get("seccompProfile") or {}).get("type") in SECCOMP:
        return None
    bad = pod.bad(lambda context: context.get("seccompProfile") is None)
    wanted = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return ("seccompProfile", f"pod or {named(bad)} {wanted}") if bad else None
