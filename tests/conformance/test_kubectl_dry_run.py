"""A dry run on the server answers for every kind, and stores nothing."""

from __future__ import annotations

import json

import pytest

BOUND = {"accessModes": ["ReadWriteOnce"]}
CONTAINERS = {"containers": [{"name": "c", "image": "example.com/i"}]}
KINDS = {
    "v1/Pod": {"spec": CONTAINERS},
    "v1/Service": {"spec": {"ports": [{"port": 80}]}},
    "v1/ConfigMap": {"data": {"a": "b"}},
    "v1/Secret": {"stringData": {"a": "b"}},
    "v1/ServiceAccount": {},
    "v1/Namespace": {},
    "v1/PersistentVolumeClaim": {"spec": {**BOUND, "resources": {"requests": {"storage": "1Gi"}}}},
    "v1/PersistentVolume": {
        "spec": {**BOUND, "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}
    },
    "v1/ResourceQuota": {"spec": {"hard": {"pods": "100"}}},
    "v1/LimitRange": {"spec": {"limits": []}},
    "v1/Endpoints": {},
    "storage.k8s.io/v1/StorageClass": {"provisioner": "example.com/none"},
    "rbac.authorization.k8s.io/v1/Role": {"rules": []},
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    },
    "coordination.k8s.io/v1/Lease": {"spec": {}},
    "serving.knative.dev/v1/Service": {"spec": {"template": {"spec": CONTAINERS}}},
    "hearth.dev/v1alpha1/PodPool": {"spec": {"template": {"spec": CONTAINERS}}},
}


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind) for kind in KINDS])
def test_a_dry_run(tools, kind):
    version, _, name = kind.rpartition("/")
    wire = {"apiVersion": version, "kind": name, "metadata": {"name": "dry"}, **KINDS[kind]}
    manifest, dry = json.dumps(wire), "--dry-run=server"
    group = version.partition("/")[0] if "/" in version else ""
    what = (f"{name.lower()}.{group}" if group else name.lower(), "dry")
    for verb in ("create", "apply"):
        assert "(server dry run)" in tools.kubectl(verb, dry, "-f", "-", stdin=manifest).out
        assert "NotFound" in tools.kubectl("get", *what, fails=True).err
    tools.kubectl("create", "-f", "-", stdin=manifest)
    patch = '{"metadata": {"labels": {"dry": "run"}}}'
    tools.kubectl("patch", *what, dry, "--type=merge", "-p", patch)
    tools.kubectl("label", *what, dry, "dry=run")
    assert "server dry run" in tools.kubectl("delete", *what, dry).out
    found = json.loads(tools.kubectl("get", *what, "-o", "json").out)
    assert "dry" not in (found["metadata"].get("labels") or {})
    tools.kubectl("delete", *what, "--wait=false")
