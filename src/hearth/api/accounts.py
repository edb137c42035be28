"""How a pod gets to know the token of its service account.

Kubernetes gives every pod one. Here a pod gets one if it asks: by naming an account other than
``default``, or by ``automountServiceAccountToken: true``. For most apps a token is of no use, and a
warm pod without volumes is claimed faster.

Source: k8s.io/kubernetes plugin/pkg/admission/serviceaccount.
"""

from __future__ import annotations

from hearth.api.meta import Wire

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
ROOT_CA = "kube-root-ca.crt"  #: the ConfigMap of every namespace that says whom to trust
_VOLUME = "kube-api-access"
_LIFETIME_S = 3607  #: Kubernetes' number, by which such volumes are known


def with_account(spec: Wire) -> Wire:
    """The pod spec with the volume of its account's token, if it is to have one."""
    wanted = spec.get("automountServiceAccountToken")
    named = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    if wanted is False or (wanted is None and named == "default"):
        return spec
    if any(volume.get("name") == _VOLUME for volume in spec.get("volumes") or ()):
        return spec
    mount = {"name": _VOLUME, "mountPath": TOKEN_PATH, "readOnly": True}
    containers = [
        container if _has_token(container) else {
            **container, "volumeMounts": [*(container.get("volumeMounts") or ()), mount]
        }
        for container in spec.get("containers") or ()
    ]  # fmt: skip
    volumes = [*(spec.get("volumes") or ()), _volume()]
    return {**spec, "containers": containers, "volumes": volumes}


def _has_token(container: Wire) -> bool:
    mounts = container.get("volumeMounts") or ()
    return any(mount.get("mountPath") == TOKEN_PATH for mount in mounts)


def _volume() -> Wire:
    authority = {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    namespace = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": _LIFETIME_S, "path": "token"}},
        {"configMap": authority},
        {"downwardAPI": {"items": [namespace]}},
    ]
    return {"name": _VOLUME, "projected": {"defaultMode": 0o644, "sources": sources}}
