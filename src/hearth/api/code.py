"""What a pod template says about code, as the loader wants to hear it."""

from __future__ import annotations

from collections.abc import Mapping

from hearth.api.meta import Wire
from hearth.api.names import (
    CODE_ANNOTATION,
    CODE_DIGEST_ANNOTATION,
    LAYER_ANNOTATION,
    LAYER_DIGEST_ANNOTATION,
    RUNTIME_IMAGE_PREFIX,
)
from hearth.api.pods import container_port, user_container
from hearth.loader.protocol import Identity, Package, Specialisation


def is_runtime(image: str) -> bool:
    """Whether the image is one of ours, that runs a package of code."""
    return image.startswith(RUNTIME_IMAGE_PREFIX)


def specialisation_of(
    pod_spec: Wire,
    annotations: Mapping[str, str],
    env: Mapping[str, str],
    revision: str,
    claimed: Wire | None = None,
) -> Specialisation:
    """What a loader must become for a pod of this spec.

    Args:
        pod_spec: of the pod, or of the template that a warm pod is claimed for.
        annotations: of the same; they name the code.
        env: the container's environment, resolved.
        revision: ``namespace/name``, for titles and messages.
        claimed: metadata and spec of what a warm pod becomes; None for an ordinary pod.
    """
    container = user_container(pod_spec)
    layer = annotations.get(LAYER_ANNOTATION)
    return Specialisation(
        revision=revision,
        code=Package(
            annotations.get(CODE_ANNOTATION, ""), annotations.get(CODE_DIGEST_ANNOTATION, "")
        ),
        layer=Package(layer, annotations.get(LAYER_DIGEST_ANNOTATION, "")) if layer else None,
        command=tuple(container.get("command") or ()),
        args=tuple(container.get("args") or ()),
        env=dict(env),
        port=container_port(pod_spec),
        working_dir=container.get("workingDir") or "",
        probe=container.get("readinessProbe"),
        identity=identity_of(pod_spec, container),
        mounts=bool(container.get("volumeMounts")),
        pod=claimed,
    )


def identity_of(pod_spec: Wire, container: Wire) -> Identity:
    """Whom a container runs as: its own ``securityContext`` before the pod's."""
    of_pod = pod_spec.get("securityContext") or {}
    merged = {**of_pod, **(container.get("securityContext") or {})}
    groups = [*(of_pod.get("supplementalGroups") or ())]
    if of_pod.get("fsGroup") is not None:
        groups.append(of_pod["fsGroup"])
    dropped = (merged.get("capabilities") or {}).get("drop") or ()
    return Identity(
        user=merged.get("runAsUser"),
        group=merged.get("runAsGroup"),
        groups=tuple(int(group) for group in groups),
        no_new_privileges=merged.get("allowPrivilegeEscalation") is False,
        drops_rights="ALL" in dropped,
        not_root=bool(merged.get("runAsNonRoot")),
    )
