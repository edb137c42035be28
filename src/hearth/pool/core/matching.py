"""Whether a pool's warm pods can become the pods of a template: pure.

A warm pod runs already, so what Kubernetes fixes when a pod is made must be what the template
asks for. What a loader applies at specialisation (code, environment, command, port) may differ.
"""

from __future__ import annotations

from hearth.api.meta import Wire, annotations_of, spec_of
from hearth.api.names import RUNTIME_ANNOTATION
from hearth.api.pods import user_container

#: Pod fields that cannot be given to a pod that runs already. Volumes, users and probes are the
#: node's to give and to run, also after the claim.
_FIXED = (
    "initContainers", "hostNetwork", "hostPID", "hostIPC", "hostAliases",
    "tolerations", "topologySpreadConstraints", "imagePullSecrets",
    "shareProcessNamespace", "dnsConfig", "runtimeClassName", "priorityClassName",
)  # fmt: skip
_CONTAINER_FIXED = ("lifecycle",)
#: What a kubelet gives when it starts a pod, and not later. What is not asked for may be there.
_POD_AT_START = ("volumes", "serviceAccountName", "securityContext")
_CONTAINER_AT_START = ("volumeMounts", "livenessProbe", "startupProbe", "securityContext")
#: What becomes of a security context in a process that runs already; the rest needs a new pod.
_GIVEN_LATER = frozenset(
    {
        "runAsUser", "runAsGroup", "runAsNonRoot", "fsGroup", "supplementalGroups",
        "allowPrivilegeEscalation", "seccompProfile", "fsGroupChangePolicy",
    }
)  # fmt: skip


def mismatch(warm: Wire, wanted: Wire, *, kubelets: bool = False) -> str:
    """Why warm pods of one pod spec cannot serve another; empty when they can.

    ``kubelets`` run the pods: what our node agent gives after a claim, theirs do not.
    """
    theirs, own = user_container(wanted), user_container(warm)
    if own.get("image") != theirs.get("image"):
        return f"image is {theirs.get('image')}, the pool's is {own.get('image')}"
    if len(wanted.get("containers") or ()) != 1:
        return "it has several containers"
    for name in _FIXED:
        if (wanted.get(name) or None) != (warm.get(name) or None):
            return f"{name} differs from the pool's"
    if _required(wanted) != _required(warm):
        return "affinity differs from the pool's"
    for name in _CONTAINER_FIXED:
        if (theirs.get(name) or None) != (own.get(name) or None):
            return f"the container's {name} differs from the pool's"
    if kubelets and (why := _not_later(warm, wanted)):
        return why
    for holder in (wanted, theirs):
        context = holder.get("securityContext") or {}
        dropped = (context.get("capabilities") or {}).keys() <= {"drop"}
        if context.keys() - _GIVEN_LATER - ({"capabilities"} if dropped else set()):
            return "its securityContext is more than a process can take on"
    probe = theirs.get("readinessProbe") or {}
    for handler in ("exec", "grpc"):
        if handler in probe:
            return f"its readiness probe is {handler}"
    if (theirs.get("resources") or None) not in (None, own.get("resources")):
        return "resources differ from the pool's"
    selector = wanted.get("nodeSelector") or {}
    if not selector.items() <= (warm.get("nodeSelector") or {}).items():
        return "nodeSelector differs from the pool's"
    return ""


def _not_later(warm: Wire, wanted: Wire) -> str:
    theirs, own = user_container(wanted), user_container(warm)
    for holder, having, names in (
        (wanted, warm, _POD_AT_START), (theirs, own, _CONTAINER_AT_START),
    ):  # fmt: skip
        for name in names:
            if holder.get(name) and holder[name] != having.get(name):
                return f"{name} differs from the pool's"
    return ""


def _required(spec: Wire) -> Wire:
    """What the pod's place must be; what it had better be, a pod that runs need not meet."""
    found = {}
    for kind, rules in (spec.get("affinity") or {}).items():
        if required := (rules or {}).get("requiredDuringSchedulingIgnoredDuringExecution"):
            found[kind] = required
    return found


def matching_pools(
    pools: list[Wire], template: Wire, *, kubelets: bool = False
) -> tuple[list[str], str]:
    """The names of the pools that fit a pod template, and why the others do not."""
    fitting, reasons = [], []
    for pool in pools:
        warm = _known_as(pool, spec_of(spec_of(pool).get("template") or {}))
        name = str((pool.get("metadata") or {}).get("name"))
        if why := mismatch(warm, spec_of(template), kubelets=kubelets):
            reasons.append(f"{name}: {why}")
        else:
            fitting.append(name)
    return fitting, "; ".join(reasons) or "there is no pool"


def _known_as(pool: Wire, warm: Wire) -> Wire:
    """The pool's pod spec, its image named as apps name it: where it is, is the cluster's."""
    runtime = annotations_of(pool).get(RUNTIME_ANNOTATION)
    if not runtime:
        return warm
    serving = user_container(warm).get("name")
    containers = [
        {**one, "image": runtime} if one.get("name") == serving else one
        for one in warm.get("containers") or ()
    ]
    return {**warm, "containers": containers}
