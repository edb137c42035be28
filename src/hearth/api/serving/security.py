"""What security contexts may say, in Knative's words, and what they had better say.

Source: knative.dev/serving pkg/apis/serving/k8s_validation.go and fieldmask.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from hearth.api.config.features import FeaturesConfig
from hearth.api.meta import Wire
from hearth.api.serving.faults import Faults, members, not_allowed, out_of_bounds

_MAX_INT32 = 2**31 - 1
_OF_PODS = frozenset({
    "runAsUser", "runAsGroup", "runAsNonRoot", "fsGroup", "supplementalGroups", "seccompProfile",
})  # fmt: skip
#: What Knative has no flag for, and is free here until ``podspec-securitycontext`` is written.
_OF_PODS_HERE = frozenset({"fsGroupChangePolicy", "sysctls"})
_OF_CONTAINERS = frozenset({
    "capabilities", "readOnlyRootFilesystem", "runAsUser", "runAsGroup", "runAsNonRoot",
    "allowPrivilegeEscalation", "seccompProfile",
})  # fmt: skip
_LOW_PORTS = ["NET_BIND_SERVICE"]


def pod_context_faults(context: Wire, path: str, features: FeaturesConfig) -> Faults:
    """A pod's security context."""
    flag = "podspec-securitycontext"
    allowed = _OF_PODS if features.is_written(flag) else _OF_PODS | _OF_PODS_HERE
    if features.is_disabled(flag):
        profile = context.get("seccompProfile") or {}
        opted_out = profile.get("type") in ("RuntimeDefault", "Unconfined")
        allowed = frozenset({"seccompProfile"} if features.is_secure and opted_out else ())
    yield from not_allowed(context, allowed, path)
    yield from _ids(context, path)


def container_context_faults(context: Wire, path: str, features: FeaturesConfig) -> Faults:
    """A container's security context; ``privileged`` may be false."""
    yield from not_allowed(context, _OF_CONTAINERS, path)
    capabilities = context.get("capabilities") or {}
    adds = features.is_enabled("containerspec-addcapabilities") or (
        features.is_secure and capabilities.get("add") == _LOW_PORTS
    )
    yield from not_allowed(
        capabilities, {"drop", "add"} if adds else {"drop"}, f"{path}.capabilities"
    )
    yield from _ids(context, path)


def _ids(context: Wire, path: str) -> Faults:
    found = [(field, context.get(field)) for field in ("runAsUser", "runAsGroup", "fsGroup")]
    groups = context.get("supplementalGroups") or ()
    found += [(f"supplementalGroups[{number}]", group) for number, group in enumerate(groups)]
    for field, value in found:
        if value is not None and not 0 <= value <= _MAX_INT32:
            yield out_of_bounds(f"{path}.{field}", value, 0, _MAX_INT32)


# Warnings


def insecure_defaults(spec: Wire, path: str, features: FeaturesConfig) -> list[str]:
    """Warnings about what is left to Kubernetes' defaults and is not secure.

    Args:
        spec: a revision's.
        path: of the spec.
        features: with secure defaults of its own there is nothing to warn of.
    """
    if features.is_secure:
        return []
    of_pod = spec.get("securityContext") or {}
    unset, misspelt = [], []
    for field in ("containers", "initContainers"):
        for number, container in enumerate(members(spec, field)):
            own = container.get("securityContext") or {}
            at = f"{path}.{field}[{number}].securityContext"
            unset += [f"{at}.{name}" for name in _unset(own, of_pod)]
            if ((own.get("capabilities") or {}).get("drop") or [""])[0] == "all":
                misspelt.append(f"{at}.capabilities.drop")
    said = []
    if unset:
        paths = ", ".join(sorted(unset))
        said.append(
            "Kubernetes default value is insecure, Knative may default this to secure in a future "
            f"release: {paths}"
        )
    if misspelt:
        paths = ", ".join(sorted(misspelt))
        said.append(f"invalid value: all: {paths}: must be spelled as 'ALL'")
    return said


def _unset(own: Wire, of_pod: Wire) -> Iterator[str]:
    if own.get("runAsNonRoot") is None and of_pod.get("runAsNonRoot") is None:
        yield "runAsNonRoot"
    if own.get("allowPrivilegeEscalation") is None:
        yield "allowPrivilegeEscalation"
    profiles = [context.get("seccompProfile") for context in (own, of_pod)]
    if profiles == [None, None]:
        yield "seccompProfile"
    elif not any((profile or {}).get("type") for profile in profiles):
        yield "seccompProfile.type"
    if own.get("capabilities") is None:
        yield "capabilities"
    elif own["capabilities"].get("drop") is None:
        yield "capabilities.drop"
