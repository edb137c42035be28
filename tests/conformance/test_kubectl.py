"""kubectl and kn work with our API server as they do with Kubernetes' and Knative's, unwarned."""

from __future__ import annotations

import json

import pytest
import yaml

APP = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "metadata": {"name": "hello", "namespace": "test"},
    "spec": {
        "template": {
            "metadata": {"annotations": {"hearth.dev/code": "data:text/x-python,app=1"}},
            "spec": {
                "containers": [
                    {
                        "image": "hearth.dev/runtimes/python",
                        "env": [{"name": "A", "value": "1"}],
                    }
                ]
            },
        }
    },
}
POOL = {
    "apiVersion": "hearth.dev/v1alpha1",
    "kind": "PodPool",
    "metadata": {"name": "python", "namespace": "test"},
    "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}},
}


def app(**container):
    wire = json.loads(json.dumps(APP))
    wire["spec"]["template"]["spec"]["containers"][0].update(container)
    return yaml.safe_dump(wire)


def with_env(value):
    return app(env=[{"name": "A", "value": value}])


def get(tools, *what):
    return json.loads(tools.kubectl("get", "-n", "test", *what, "-o", "json").out)


def env(tools):
    spec = get(tools, "ksvc", "hello")["spec"]["template"]["spec"]
    return [one["value"] for one in spec["containers"][0]["env"]]


def test_version_and_resources(tools):
    version = json.loads(tools.kubectl("version", "-o", "json").out)
    assert version["serverVersion"]["gitVersion"].startswith("v1.35")
    listed = tools.kubectl("api-resources", "-o", "name").out.split()
    wanted = {
        "services.serving.knative.dev",
        "podpools.hearth.dev",
        "pods",
        "leases.coordination.k8s.io",
    }
    assert wanted <= set(listed)
    assert tools.kubectl("get", "--raw", "/readyz").out == "ok"


def test_apply_changes_what_the_manifest_says_and_nothing_else(tools, namespace):
    tools.kubectl("apply", "-f", "-", stdin=app())
    tools.kubectl("label", "-n", namespace, "ksvc", "hello", "kept=yes")
    before = get(tools, "ksvc", "hello")
    tools.kubectl("apply", "-f", "-", stdin=app())
    assert get(tools, "ksvc", "hello")["metadata"]["generation"] == 1
    assert tools.kubectl("diff", "-f", "-", stdin=with_env("2"), fails=True).code == 1
    tools.kubectl("apply", "-f", "-", stdin=with_env("2"))
    after = get(tools, "ksvc", "hello")
    assert (env(tools), after["metadata"]["generation"]) == (["2"], 2)
    assert after["metadata"]["labels"] == {"kept": "yes"}
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_server_side_apply_finds_conflicts(tools, namespace):
    tools.kubectl("apply", "--server-side", "-f", "-", stdin=app())
    tools.kubectl("apply", "--server-side", "-f", "-", stdin=with_env("2"))
    assert env(tools) == ["2"]
    mine = ("apply", "--server-side", "--field-manager=mine", "-f", "-")
    refused = tools.kubectl(*mine, stdin=with_env("3"), fails=True)
    assert 'conflict with "kubectl"' in refused.err
    tools.kubectl(*mine, "--force-conflicts", stdin=with_env("3"))
    assert env(tools) == ["3"]


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("merge", {"spec": {"template": {"spec": {"timeoutSeconds": 7}}}}),
        ("json", [{"op": "replace", "path": "/spec/template/spec/timeoutSeconds", "value": 7}]),
    ],
)
def test_patches(tools, namespace, kind, patch):
    tools.kubectl("create", "-f", "-", stdin=app())
    tools.kubectl(
        "patch", "-n", namespace, "ksvc", "hello", f"--type={kind}", "-p", json.dumps(patch)
    )
    assert get(tools, "ksvc", "hello")["spec"]["template"]["spec"]["timeoutSeconds"] == 7


def test_edit(tools, namespace, monkeypatch):
    tools.kubectl("create", "-f", "-", stdin=app())
    monkeypatch.setenv("KUBE_EDITOR", "sed -i 's/timeoutSeconds: 300/timeoutSeconds: 9/'")
    tools.kubectl("edit", "-n", namespace, "ksvc", "hello")
    assert get(tools, "ksvc", "hello")["spec"]["template"]["spec"]["timeoutSeconds"] == 9


def test_strategic_patches_of_pods_merge_lists_by_name(tools, namespace):
    tools.kubectl("run", "-n", namespace, "p", "--image=one", "--env=A=1")
    patch = {"spec": {"containers": [{"name": "p", "image": "two"}]}}
    tools.kubectl("patch", "-n", namespace, "pod", "p", "-p", json.dumps(patch))
    tools.kubectl("annotate", "-n", namespace, "pod", "p", "a=b")
    [container] = get(tools, "pod", "p")["spec"]["containers"]
    assert (container["image"], container["env"]) == ("two", [{"name": "A", "value": "1"}])


def test_what_is_created_by_flags(tools, namespace):
    tools.kubectl("create", "-n", namespace, "configmap", "c", "--from-literal=a=b")
    tools.kubectl("create", "-n", namespace, "secret", "generic", "s", "--from-literal=a=b")
    tools.kubectl("create", "-n", namespace, "serviceaccount", "robot")
    assert get(tools, "configmap", "c")["data"] == {"a": "b"}
    assert get(tools, "secret", "s")["data"] == {"a": "Yg=="}
    names = [one["metadata"]["name"] for one in get(tools, "serviceaccounts")["items"]]
    assert names == ["default", "robot"]


def test_scale(tools, namespace):
    tools.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(POOL))
    tools.kubectl("scale", "-n", namespace, "podpool", "python", "--replicas=60")
    assert get(tools, "podpool", "python")["spec"]["replicas"] == 60
    mismatch = ("scale", "-n", namespace, "podpool/python", "--replicas=1", "--current-replicas=3")
    assert "Expected replicas" in tools.kubectl(*mismatch, fails=True).err


def test_tables(tools, namespace):
    tools.kubectl("create", "-f", "-", stdin=app())
    header, row = tools.kubectl("get", "-n", namespace, "ksvc,revision,pods").out.splitlines()
    assert header.split() == [
        "NAME",
        "URL",
        "LATESTCREATED",
        "LATESTREADY",
        "READY",
        "REASON",
    ]
    assert row.split()[0] == "service.serving.knative.dev/hello"
    wide = tools.kubectl("get", "nodes,ns", "-o", "wide").out
    assert namespace in wide
    assert "hello" in tools.kubectl("get", "all", "-A").out
    assert "hello" in tools.kubectl("describe", "-n", namespace, "ksvc", "hello").out


def test_selectors(tools, namespace):
    tools.kubectl("run", "-n", namespace, "p", "--image=i", "--labels=tier=web")
    tools.kubectl("run", "-n", namespace, "q", "--image=i", "--labels=tier=db")

    def names(*flags):
        return tools.kubectl("get", "-n", namespace, "pods", "-o", "name", *flags).out.split()

    assert names("-l", "tier in (web)") == ["pod/p"]
    assert names("--field-selector=metadata.name=q") == ["pod/q"]
    assert names("--chunk-size=1") == ["pod/p", "pod/q"]
    flags = ("get", "-n", namespace, "pods", "--field-selector=colour=red")
    assert "field label not supported" in tools.kubectl(*flags, fails=True).err


def test_wait_and_watch(tools, namespace):
    tools.kubectl("run", "-n", namespace, "p", "--image=i")
    path = f"/api/v1/namespaces/{namespace}/pods/p/status"
    ready = {"type": "Ready", "status": "True"}
    status = {"metadata": {"name": "p"}, "status": {"phase": "Running", "conditions": [ready]}}
    tools.kubectl("replace", "--raw", path, "-f", "-", stdin=json.dumps(status))
    tools.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/p", "--timeout=10s")
    watch = ("get", "-n", namespace, "pods", "-w", "--output-watch-events", "--request-timeout=1s")
    assert "ADDED" in tools.kubectl(*watch).out
    tools.kubectl("delete", "-n", namespace, "pod", "p", "--wait=false")
    tools.kubectl("wait", "-n", namespace, "--for=delete", "pod/p", "--timeout=10s")


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_delete(tools, namespace, cascade):
    tools.kubectl("create", "-f", "-", stdin=app())
    uid = get(tools, "ksvc", "hello")["metadata"]["uid"]
    owner = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "hello", "uid": uid}
    owned = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "owned", "namespace": namespace, "ownerReferences": [owner]}}  # fmt: skip
    tools.kubectl("create", "-f", "-", stdin=yaml.safe_dump(owned))
    tools.kubectl("delete", "-n", namespace, "ksvc", "hello", f"--cascade={cascade}")
    if cascade == "orphan":
        assert "ownerReferences" not in get(tools, "configmap", "owned")["metadata"]
    else:
        tools.kubectl("wait", "-n", namespace, "--for=delete", "cm/owned", "--timeout=10s")


def test_dry_run_stores_nothing(tools, namespace):
    for how in ("server", "client"):
        tools.kubectl("apply", f"--dry-run={how}", "-f", "-", stdin=app())
    assert get(tools, "ksvc")["items"] == []


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        pytest.param(app(colour="red"), 'unknown field "spec.template.spec.containers[0].colour"',
                     id="unknown-field"),
        pytest.param(app(image=5), "spec.template.spec.containers[0].image", id="wrong-type"),
        pytest.param(app(ports=[{"containerPort": 1}, {"containerPort": 2}]), "ports", id="ports"),
        pytest.param(app().replace("name: hello", "name: Bad_Name"), "metadata.name", id="name"),
    ],
)  # fmt: skip
def test_a_bad_manifest_is_refused_with_the_path(tools, namespace, manifest, said):
    assert said in tools.kubectl("apply", "-f", "-", stdin=manifest, fails=True).err


def test_explain(tools):
    assert "containerConcurrency" in tools.kubectl("explain", "ksvc.spec.template.spec").out
    assert "replicas" in tools.kubectl("explain", "podpool.spec").out
    assert "readinessProbe" in tools.kubectl("explain", "pod.spec.containers", "--recursive").out


def test_kn_lists_describes_creates_updates_and_deletes(tools, namespace):
    code = "--annotation-revision=hearth.dev/code=data:text/x-python,app=1"
    image = "--image=hearth.dev/runtimes/python"
    tools.kn("service", "create", "knapp", "-n", namespace, image, code, "--no-wait")
    tools.kn("service", "update", "knapp", "-n", namespace, "--env=A=1", "--no-wait")
    assert "knapp" in tools.kn("service", "list", "-n", namespace).out
    assert "knapp" in tools.kn("service", "describe", "knapp", "-n", namespace).out
    tools.kn("revision", "list", "-n", namespace)
    tools.kn("route", "list", "-n", namespace)
    tools.kn("service", "delete", "knapp", "-n", namespace, "--wait")
    assert get(tools, "ksvc")["items"] == []
