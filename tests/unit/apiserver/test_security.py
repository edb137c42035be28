"""What the labels of a namespace let be made in it."""

from __future__ import annotations

import msgspec
import pytest

from hearth.api.errors import Forbidden, Invalid
from hearth.api.http import Request
from hearth.api.kinds import (
    CONFIG_MAP,
    NAMESPACE,
    POD,
    POD_POOL,
    POOLED_REPLICA_SET,
    REVISION,
    SERVICE,
)
from tests.unit.apiserver.running import run

P = "pod-security.kubernetes.io/"
HARDENED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def labelled(name="safe", **modes):
    return {"metadata": {"name": name, "labels": {P + mode: of for mode, of in modes.items()}}}


def a_pod(name="p", namespace="safe", context=None, **spec):
    container = {"name": "c", "image": "i", **({"securityContext": context} if context else {})}
    meta = {"name": name, "namespace": namespace}
    return {"metadata": meta, "spec": {"containers": [container], **spec}}


def a_service(name="hello", namespace="safe", context=None, **spec):
    container = {"image": "i", **({"securityContext": context} if context else {})}
    template = {"spec": {"containers": [container], **spec}}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"template": template}}


def test_a_pod_that_is_more_than_its_namespace_allows_is_forbidden(tmp_path):
    async def story(api):
        await api.client.create(NAMESPACE, labelled(enforce="baseline"))
        said = (
            'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces '
            r"\(hostNetwork=true\)"
        )
        with pytest.raises(Forbidden, match=said):
            await api.client.create(POD, a_pod(hostNetwork=True))
        await api.client.create(POD, a_pod("fine"))
        await api.client.create(POD, a_pod(namespace="default", hostNetwork=True))

    run(tmp_path, story)


def test_a_service_whose_pods_would_be_forbidden_is_too(tmp_path):
    async def story(api):
        await api.client.create(NAMESPACE, labelled(enforce="restricted"))
        said = (
            'services.serving.knative.dev "hello" is forbidden: violates PodSecurity '
            r'"restricted:latest": allowPrivilegeEscalation != false \(container "user-container"'
        )
        with pytest.raises(Forbidden, match=said):
            await api.client.create(SERVICE, a_service())
        made = await api.client.create(SERVICE, a_service(context=HARDENED))
        made["metadata"]["labels"] = {"a": "b"}
        made = await api.client.update(SERVICE, made)
        made["spec"]["template"]["spec"]["hostNetwork"] = True
        with pytest.raises(Forbidden, match="host namespaces"):
            await api.client.update(SERVICE, made)

    run(tmp_path, story)


def test_secure_defaults_make_services_fit(tmp_path):
    async def story(api):
        await api.client.create(NAMESPACE, labelled(enforce="restricted"))
        await api.client.create(NAMESPACE, {"metadata": {"name": "knative-serving"}})
        meta = {"name": "config-features", "namespace": "knative-serving"}
        data = {"secure-pod-defaults": "enabled"}
        await api.client.create(CONFIG_MAP, {"metadata": meta, "data": data})
        await api.client.create(SERVICE, a_service())

    run(tmp_path, story)


def test_what_is_there_stays_when_a_namespace_becomes_stricter(tmp_path):
    async def story(api):
        await api.client.create(NAMESPACE, labelled())
        await api.client.create(POD, a_pod(hostNetwork=True))
        await api.client.create(SERVICE, a_service(hostNetwork=True))
        labels = {"metadata": {"labels": {P + "enforce": "baseline"}}}
        await api.client.patch(NAMESPACE, "", "safe", labels)
        annotated = {"metadata": {"annotations": {"a": "b"}}}
        await api.client.patch(POD, "safe", "p", annotated)
        await api.client.patch(SERVICE, "safe", "hello", annotated)

    run(tmp_path, story)


def test_what_controllers_make_of_a_template_was_looked_at_before(tmp_path):
    async def story(api):
        await api.client.create(NAMESPACE, labelled(enforce="baseline"))
        revision = {"metadata": {"name": "r", "namespace": "safe"},
                    "spec": {"containers": [{"image": "i"}], "hostNetwork": True}}  # fmt: skip
        with pytest.raises(Forbidden, match="host namespaces"):
            await api.client.create(REVISION, revision)
        await api.client_as("controller").create(REVISION, revision)
        with pytest.raises(Forbidden, match="host namespaces"):
            await api.client_as("controller").create(POD, a_pod(hostNetwork=True))

    run(tmp_path, story)


async def warned(api, namespace, wire, kind="pods", group="api/v1"):
    path = f"/clusters/root/{group}/namespaces/{namespace}/{kind}"
    headers = {"authorization": "Bearer admin", "content-type": "application/json"}
    answer = await api.server(Request("POST", path, {}, headers, msgspec.json.encode(wire)))
    assert answer.status == 201, answer.body
    return answer.headers.get("warning", "")


def test_what_is_only_warned_of_is_made(tmp_path):
    async def story(api):
        await api.client.create(NAMESPACE, labelled(warn="restricted", enforce="baseline"))
        said = await warned(api, "safe", a_pod())
        assert 'would violate PodSecurity \\"restricted:latest\\": allowPrivilege' in said
        assert await warned(api, "safe", a_pod("q", context=HARDENED)) == ""
        serving = "apis/serving.knative.dev/v1"
        said = await warned(api, "safe", a_service(), "services", serving)
        assert 'would violate PodSecurity \\"restricted:latest\\"' in said
        assert 'container \\"user-container\\" must set' in said
        said = await warned(api, "default", a_service(namespace="default"), "services", serving)
        assert "PodSecurity" not in said

    run(tmp_path, story)


def test_what_is_only_audited_is_a_line_of_the_log(tmp_path, caplog):
    async def story(api):
        await api.client.create(NAMESPACE, labelled(audit="baseline"))
        with caplog.at_level("INFO"):
            await api.client.create(POD, a_pod("fine"))
            await api.client.create(POD, a_pod(hostPID=True))

    run(tmp_path, story)
    [line] = [one for one in caplog.records if one.msg == "would violate pod security"]
    assert line.f == {
        "kind": "pods", "object": "safe/p", "level": "baseline:latest",
        "because": "host namespaces (hostPID=true)",
    }  # fmt: skip


def test_a_level_that_is_not_known_is_refused(tmp_path):
    async def story(api):
        with pytest.raises(Invalid, match="must be one of privileged, baseline, restricted"):
            await api.client.create(NAMESPACE, labelled(enforce="strict"))

    run(tmp_path, story)


async def adopted(api, context, warm=None):
    """Have a set in namespace ``safe`` adopt a warm pod."""
    pool = {"metadata": {"name": "pool", "namespace": "hearth-system"},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [
                {"name": "c", "image": "i"}]}}}}  # fmt: skip
    pool = await api.client.create(POD_POOL, pool)
    owner = {"apiVersion": "hearth.dev/v1alpha1", "kind": "PodPool", "name": "pool",
             "uid": pool["metadata"]["uid"], "controller": True}  # fmt: skip
    pod = a_pod(namespace="hearth-system", context=warm)
    pod["metadata"]["ownerReferences"] = [owner]
    await api.client.create(POD, pod)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": a_pod(context=context)["spec"]}
    owned = {"metadata": {"name": "set", "namespace": "safe"},
             "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}},
                      "template": template}}  # fmt: skip
    owned = await api.client_as("controller").create(POOLED_REPLICA_SET, owned)
    owner = {**owner, "kind": "PooledReplicaSet", "name": "set", "uid": owned["metadata"]["uid"]}
    body = {"metadata": {"namespace": "safe", "labels": {"a": "b"}, "ownerReferences": [owner]}}
    await api.client_as("controller").create(
        POD, body, namespace="hearth-system", name="p", subresource="adopt"
    )


def test_a_warm_pod_is_adopted_as_what_its_set_makes_of_it(tmp_path):
    async def story(api):
        await api.client.create(NAMESPACE, labelled(enforce="restricted"))
        await adopted(api, HARDENED)
        assert (await api.client.get(POD, "safe", "p"))["metadata"]["namespace"] == "safe"

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("context", "warm", "said"),
    [
        pytest.param(None, None, "allowPrivilegeEscalation != false", id="not-hardened"),
        pytest.param(HARDENED, {"privileged": True}, "privileged", id="a-privileged-pool"),
    ],
)
def test_a_warm_pod_that_is_more_than_the_namespace_allows_is_not_adopted(
    tmp_path, context, warm, said
):
    async def story(api):
        await api.client.create(NAMESPACE, labelled(enforce="restricted"))
        with pytest.raises(Forbidden, match=f'violates PodSecurity "restricted:latest": .*{said}'):
            await adopted(api, context, warm)

    run(tmp_path, story)
