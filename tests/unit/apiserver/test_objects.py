"""What clients may rely on when they create, read, change and delete objects."""

from __future__ import annotations

import msgspec
import pytest

from hearth.api.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    Unauthorized,
    UnsupportedMediaType,
)
from hearth.api.http import Request
from hearth.api.kinds import CONFIG_MAP, CORE_SERVICE, NAMESPACE, POD, POD_POOL, SECRET, SERVICE
from hearth.client import Client, PatchType
from tests.unit.apiserver.running import run


def config_map(name="cm", **data):
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


def pod(name="p", namespace="default", **meta):
    return {
        "metadata": {"name": name, "namespace": namespace, **meta},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }


def pool(replicas=3):
    template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {
        "metadata": {"name": "python", "namespace": "hearth-system"},
        "spec": {"replicas": replicas, "template": template},
    }


def service(**spec):
    template = {
        "metadata": {"annotations": {"hearth.dev/code": "data:text/x-python,app=1"}},
        "spec": {"containers": [{"image": "hearth.dev/runtimes/python"}]},
    }
    return {
        "metadata": {"name": "s", "namespace": "default"},
        "spec": {"template": template, **spec},
    }


def test_what_was_created_is_read_back_and_listed(tmp_path):
    async def story(api):
        made = await api.client.create(CONFIG_MAP, config_map(a="1"))
        assert made["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
        assert await api.client.get(CONFIG_MAP, "default", "cm") == made
        found = await api.client.list(CONFIG_MAP)
        assert (found.items, found.resource_version) == (
            [made],
            made["metadata"]["resourceVersion"],
        )

    run(tmp_path, story)


def test_an_unknown_field_is_kept_and_warned_of(tmp_path):
    async def story(api):
        body = msgspec.json.encode({**config_map(), "novel": 1})
        path = CONFIG_MAP.path("default")
        answer = await api.client.raw("POST", path, body=body)
        assert answer.headers["warning"] == '299 - "unknown field \\"novel\\""'
        assert (await api.client.get(CONFIG_MAP, "default", "cm"))["novel"] == 1
        with pytest.raises(BadRequest, match='strict decoding error: unknown field "novel"'):
            await api.client.raw("POST", path, query={"fieldValidation": "Strict"}, body=body)

    run(tmp_path, story)


def test_yaml_is_read_too(tmp_path):
    async def story(api):
        body = b"metadata: {name: y}\ndata: {a: b}"
        headers = {"content-type": "application/yaml"}
        await api.client.raw("POST", CONFIG_MAP.path("default"), body=body, headers=headers)
        assert (await api.client.get(CONFIG_MAP, "default", "y"))["data"] == {"a": "b"}

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("body", "media", "error"),
    [
        pytest.param(b"{", "application/json", BadRequest, id="broken-json"),
        pytest.param(b"a: [", "application/yaml", BadRequest, id="broken-yaml"),
        pytest.param(b"\xff\xfe", "application/yaml", BadRequest, id="not-text"),
        pytest.param(b"", "application/json", BadRequest, id="empty"),
        pytest.param(b"[]", "application/json", BadRequest, id="a-list"),
        pytest.param(b"a", "text/plain", UnsupportedMediaType, id="text"),
    ],
)
def test_a_body_that_is_no_object_is_refused(tmp_path, body, media, error):
    async def story(api):
        headers = {"content-type": media}
        with pytest.raises(error):
            await api.client.raw("POST", CONFIG_MAP.path("default"), body=body, headers=headers)

    run(tmp_path, story)


def test_a_generated_name_is_new_each_time(tmp_path):
    async def story(api):
        wire = {"metadata": {"generateName": "job-", "namespace": "default"}}
        names = {(await api.client.create(CONFIG_MAP, wire))["metadata"]["name"] for _ in range(9)}
        assert len(names) == 9
        assert all(name.startswith("job-") and len(name) == 9 for name in names)

    run(tmp_path, story)


def test_a_name_is_taken_once(tmp_path):
    async def story(api):
        await api.client.create(CONFIG_MAP, config_map())
        with pytest.raises(AlreadyExists, match='configmaps "cm" already exists'):
            await api.client.create(CONFIG_MAP, config_map())

    run(tmp_path, story)


def test_nothing_is_created_in_a_namespace_that_is_not_there_or_going(tmp_path):
    async def story(api):
        wire = {"metadata": {"name": "cm", "namespace": "shop"}}
        with pytest.raises(NotFound, match='namespaces "shop" not found'):
            await api.client.create(CONFIG_MAP, wire)
        await api.client.create(NAMESPACE, {"metadata": {"name": "shop"}})
        await api.client.delete(NAMESPACE, "", "shop")
        with pytest.raises(Forbidden, match="is being terminated"):
            await api.client.create(CONFIG_MAP, wire)

    run(tmp_path, story)


def test_an_update_based_on_an_old_version_is_a_conflict(tmp_path):
    async def story(api):
        old = await api.client.create(CONFIG_MAP, config_map(a="1"))
        await api.client.update(CONFIG_MAP, {**old, "data": {"a": "2"}})
        with pytest.raises(Conflict, match="the object has been modified"):
            await api.client.update(CONFIG_MAP, {**old, "data": {"a": "3"}})
        del old["metadata"]["resourceVersion"]
        new = await api.client.update(CONFIG_MAP, {**old, "data": {"a": "4"}})
        assert new["data"] == {"a": "4"}

    run(tmp_path, story)


def test_an_update_that_changes_nothing_makes_no_new_version(tmp_path):
    async def story(api):
        old = await api.client.create(CONFIG_MAP, config_map(a="1"))
        assert await api.client.update(CONFIG_MAP, old) == old
        assert await api.client.patch(CONFIG_MAP, "default", "cm", {"data": {"a": "1"}}) == old

    run(tmp_path, story)


@pytest.mark.parametrize("field", ["name", "namespace"])
def test_no_change_renames_or_moves(tmp_path, field):
    async def story(api):
        await api.client.create(CONFIG_MAP, config_map())
        with pytest.raises(BadRequest, match=f"metadata.{field}"):
            await api.client.patch(CONFIG_MAP, "default", "cm", {"metadata": {field: "other"}})
        with pytest.raises(BadRequest):
            await api.client.patch(CONFIG_MAP, "default", "cm", {"metadata": None})
        wire = config_map("other")
        with pytest.raises(BadRequest, match="does not match the name on the URL"):
            path = CONFIG_MAP.path("default", "cm")
            await api.client.raw("PUT", path, body=msgspec.json.encode(wire))

    run(tmp_path, story)


def test_another_uid_is_another_object(tmp_path):
    async def story(api):
        await api.client.create(CONFIG_MAP, config_map())
        with pytest.raises(Conflict, match="UID in precondition: other"):
            await api.client.patch(CONFIG_MAP, "default", "cm", {"metadata": {"uid": "other"}})
        with pytest.raises(Conflict, match="uid in precondition: other"):
            await api.client.delete(CONFIG_MAP, "default", "cm", uid="other")
        await api.client.get(CONFIG_MAP, "default", "cm")

    run(tmp_path, story)


def test_a_patch_insists_on_a_version_only_if_it_names_one(tmp_path):
    async def story(api):
        old = await api.client.create(CONFIG_MAP, config_map(a="1"))
        version = old["metadata"]["resourceVersion"]
        await api.client.patch(CONFIG_MAP, "default", "cm", {"data": {"b": "1"}})
        await api.client.patch(CONFIG_MAP, "default", "cm", {"data": {"c": "1"}})
        with pytest.raises(Conflict):
            patch = {"metadata": {"resourceVersion": version}, "data": {"d": "1"}}
            await api.client.patch(CONFIG_MAP, "default", "cm", patch)
        found = await api.client.get(CONFIG_MAP, "default", "cm")
        assert found["data"] == {"a": "1", "b": "1", "c": "1"}

    run(tmp_path, story)


def test_a_patch_of_a_wrong_type_or_kind_is_refused(tmp_path):
    async def story(api):
        await api.client.create(CONFIG_MAP, config_map(a="1"))
        with pytest.raises(Invalid, match=r"data\.a"):
            await api.client.patch(CONFIG_MAP, "default", "cm", {"data": {"a": 1}})
        with pytest.raises(BadRequest, match="kind"):
            await api.client.patch(CONFIG_MAP, "default", "cm", {"kind": "Secret"})
        with pytest.raises(Invalid, match=r"data\.a"):
            patch = [{"op": "replace", "path": "/data/a", "value": 1}]
            await api.client.patch(CONFIG_MAP, "default", "cm", patch, patch_type=PatchType.JSON)

    run(tmp_path, story)


def test_an_apply_creates_then_owns_then_drops(tmp_path):
    async def story(api):
        one = await api.client.apply(CONFIG_MAP, config_map(a="1", b="1"))
        two = await api.client.apply(CONFIG_MAP, config_map(a="2"))
        assert (one["data"], two["data"]) == ({"a": "1", "b": "1"}, {"a": "2"})
        other = Client(api.server, token="admin", field_manager="other")
        with pytest.raises(Conflict, match=r'conflict with "test"'):
            await other.apply(CONFIG_MAP, config_map(a="3"), force=False)
        assert (await other.apply(CONFIG_MAP, config_map(a="3")))["data"] == {"a": "3"}
        again = await other.apply(CONFIG_MAP, config_map(a="3"))
        assert (await api.client.get(CONFIG_MAP, "default", "cm")) == again

    run(tmp_path, story)


def test_an_apply_of_a_status_leaves_what_the_same_manager_applied_before(tmp_path):
    async def story(api):
        meta = {"name": "lb", "namespace": "default"}
        spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
        status = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
        for _ in range(2):
            await api.client.apply(CORE_SERVICE, {"metadata": meta, "spec": spec})
            stray = {"metadata": meta, "spec": {"type": "ClusterIP"}, "status": status}
            await api.client.apply(CORE_SERVICE, stray, subresource="status")
        found = await api.client.get(CORE_SERVICE, "default", "lb")
        assert (found["spec"]["type"], found["status"]) == ("LoadBalancer", status)
        owned = {
            e.get("subresource", ""): e["fieldsV1"] for e in found["metadata"]["managedFields"]
        }
        assert {part: set(fields) for part, fields in owned.items()} == {
            "": {"f:spec"}, "status": {"f:status"}
        }  # fmt: skip

    run(tmp_path, story)


def test_an_apply_needs_a_manager(tmp_path):
    async def story(api):
        path = CONFIG_MAP.path("default", "cm")
        headers = {"content-type": PatchType.APPLY}
        with pytest.raises(BadRequest, match="fieldManager is required"):
            await api.client.raw("PATCH", path, body=b"{}", headers=headers)

    run(tmp_path, story)


def test_a_dry_run_answers_and_stores_nothing(tmp_path):
    async def story(api):
        dry = {"dryRun": "All"}
        path, body = CONFIG_MAP.path("default"), msgspec.json.encode(config_map(a="1"))
        answer = await api.client.raw("POST", path, query=dry, body=body)
        assert answer.status == 201
        assert "resourceVersion" not in msgspec.json.decode(answer.body)["metadata"]
        with pytest.raises(NotFound):
            await api.client.get(CONFIG_MAP, "default", "cm")
        made = await api.client.create(CONFIG_MAP, config_map(a="1"))
        with pytest.raises(AlreadyExists):
            await api.client.raw("POST", path, query=dry, body=body)
        one = CONFIG_MAP.path("default", "cm")
        headers = {"content-type": PatchType.MERGE}
        patch = b'{"data":{"a":"2"}}'
        answer = await api.client.raw("PATCH", one, query=dry, body=patch, headers=headers)
        assert msgspec.json.decode(answer.body)["data"] == {"a": "2"}
        await api.client.raw("DELETE", one, query=dry)
        assert await api.client.get(CONFIG_MAP, "default", "cm") == made

    run(tmp_path, story)


def test_secrets_take_plain_text(tmp_path):
    async def story(api):
        wire = {"metadata": {"name": "s", "namespace": "default"}, "stringData": {"a": "b"}}
        made = await api.client.create(SECRET, wire)
        assert (made["data"], "stringData" in made) == ({"a": "Yg=="}, False)

    run(tmp_path, story)


def test_objects_are_selected_by_labels_and_fields(tmp_path):
    async def story(api):
        for name, tier in (("a", "web"), ("b", "db"), ("c", "web")):
            await api.client.create(POD, pod(name, labels={"tier": tier}))
        by_label = await api.client.list(POD, "default", label_selector="tier=web")
        assert [p["metadata"]["name"] for p in by_label.items] == ["a", "c"]
        by_field = await api.client.list(POD, field_selector="metadata.name=b,spec.nodeName=")
        assert [p["metadata"]["name"] for p in by_field.items] == ["b"]
        with pytest.raises(BadRequest, match=r"field label not supported: spec\.colour"):
            await api.client.list(POD, field_selector="spec.colour=red")
        with pytest.raises(BadRequest, match="unable to parse requirement"):
            await api.client.list(POD, label_selector="tier in web")

    run(tmp_path, story)


def test_a_scale_is_read_and_set_without_fear_of_status_writes(tmp_path):
    async def story(api):
        await api.client.create(POD_POOL, pool(3))
        name = ("hearth-system", "python")
        scale = await api.client.get(POD_POOL, *name, "scale")
        assert (scale["kind"], scale["spec"]) == ("Scale", {"replicas": 3})
        status = {"status": {"replicas": 3}}
        await api.client.patch(POD_POOL, *name, status, subresource="status")
        patch = {"spec": {"replicas": 60}}
        after = await api.client.patch(POD_POOL, *name, patch, subresource="scale")
        assert (after["spec"], after["status"]["replicas"]) == ({"replicas": 60}, 3)
        with pytest.raises(Conflict):  # a PUT says what it is based on
            await api.client.update(POD_POOL, scale, "scale")
        with pytest.raises(BadRequest, match="expected an integer >= 0"):
            patch = {"spec": {"replicas": -1}}
            await api.client.patch(POD_POOL, *name, patch, subresource="scale")

    run(tmp_path, story)


def test_a_bad_app_is_refused_with_the_path_of_each_fault(tmp_path):
    async def story(api):
        wire = service()
        wire["metadata"]["name"] = "Bad_Name"
        wire["spec"]["template"]["spec"]["containers"] = []
        with pytest.raises(Invalid) as refused:
            await api.client.create(SERVICE, wire)
        fields = {cause["field"] for cause in refused.value.status()["details"]["causes"]}
        assert {"metadata.name", "spec.template.spec.containers"} <= fields

    run(tmp_path, story)


def test_deleting_a_collection_takes_what_is_selected(tmp_path):
    async def story(api):
        for name, tier in (("a", "web"), ("b", "db"), ("c", "web")):
            await api.client.create(POD, pod(name, labels={"tier": tier}))
        query = {"labelSelector": "tier=web"}
        answer = await api.client.raw("DELETE", POD.path("default"), query=query)
        assert len(msgspec.json.decode(answer.body)["items"]) == 2
        left = await api.client.list(POD)
        assert [p["metadata"]["name"] for p in left.items] == ["b"]

    run(tmp_path, story)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"gracePeriodSeconds": -1}, id="negative-grace"),
        pytest.param({"gracePeriodSeconds": "soon"}, id="grace-in-words"),
        pytest.param({"propagationPolicy": "Sideways"}, id="policy"),
        pytest.param({"preconditions": []}, id="preconditions"),
    ],
)
def test_delete_options_are_checked(tmp_path, options):
    async def story(api):
        await api.client.create(POD, pod())
        with pytest.raises(BadRequest):
            body = msgspec.json.encode(options)
            await api.client.raw("DELETE", POD.path("default", "p"), body=body)

    run(tmp_path, story)


def test_a_pod_on_a_node_goes_when_its_node_says_so(tmp_path):
    async def story(api):
        await api.client.create(POD, pod())
        binding = {"target": {"name": "n1"}}
        await api.client.create(POD, binding, namespace="default", name="p", subresource="binding")
        going = await api.client.delete(POD, "default", "p")
        assert going["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:30Z"
        bound = await api.client.get(POD, "default", "p")
        assert bound["spec"]["nodeName"] == "n1"
        assert bound["status"]["conditions"][0]["type"] == "PodScheduled"
        await api.client.delete(POD, "default", "p", grace_period_s=0)
        with pytest.raises(NotFound):
            await api.client.get(POD, "default", "p")

    run(tmp_path, story)


def test_a_pod_is_bound_once(tmp_path):
    async def story(api):
        await api.client.create(POD, pod())

        async def bind(node):
            binding = {"target": {"name": node}}
            await api.client.create(
                POD, binding, namespace="default", name="p", subresource="binding"
            )

        await bind("n1")
        with pytest.raises(Conflict, match="is already on node n1"):
            await bind("n2")
        with pytest.raises(BadRequest, match=r"target\.name is empty"):
            await bind("")

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        pytest.param("GET", "/api/v1/widgets", NotFound, id="no-such-resource"),
        pytest.param("POST", "/api/v1/widgets", NotFound, id="no-such-resource-to-create"),
        pytest.param("GET", "/api/v1/namespaces/default/pods/p/colour", NotFound, id="subresource"),
        pytest.param("GET", "/apis/hearth.dev/v1alpha1/namespaces/default/podpools/p/log", NotFound,
                     id="another-kinds-subresource"),
        pytest.param("POST", "/api/v1/namespaces/default/pods/p", NotFound, id="post-object"),
        pytest.param("PUT", "/api/v1/namespaces/default/pods", MethodNotAllowed, id="put-list"),
        pytest.param("OPTIONS", "/api/v1/pods", MethodNotAllowed, id="options"),
        pytest.param("DELETE", "/api/v1/namespaces/default/pods/p/status", NotFound, id="a-status"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_a_status(tmp_path, method, path, error):
    async def story(api):
        with pytest.raises(error):
            await api.client.raw(method, path, body=b"{}" if method != "GET" else b"")

    run(tmp_path, story)


def test_another_tenant_does_not_exist_and_all_tenants_are_only_read(tmp_path):
    async def story(api):
        await api.client.create(POD, pod())
        with pytest.raises(NotFound, match='tenants "acme" not found'):
            await api.client_as("admin", tenant="acme").list(POD)
        everyone = api.client_as("admin", tenant="*")
        [found] = (await everyone.list(POD)).items
        assert found["metadata"]["annotations"]["hearth.dev/tenant"] == "root"
        with pytest.raises(MethodNotAllowed):
            await everyone.create(POD, pod("other"))
        bare = api.client_as("admin", tenant_in_path=False)
        assert len((await bare.list(POD)).items) == 1

    run(tmp_path, story)


@pytest.mark.parametrize("token", ["wrong", "", "nicht-ascii-é"])
def test_who_is_not_known_sees_nothing_but_health_and_version(tmp_path, token):
    async def story(api):
        client = api.client_as(token, tenant_in_path=False)
        with pytest.raises(Unauthorized):
            await client.list(POD)
        with pytest.raises(Unauthorized):
            await client.raw("GET", "/apis")

    run(tmp_path, story)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/livez/ping", "/version", "/openapi/v3"])
def test_anyone_may_ask_for(tmp_path, path):
    async def story(api):
        assert (await api.server(Request("GET", path))).status == 200
        assert (await api.server(Request("POST", path))).status == 401

    run(tmp_path, story)


def test_who_is_known_but_no_master_may_nothing_yet(tmp_path):
    async def story(api):
        with pytest.raises(Forbidden, match='User "nobody" cannot list resource "pods"'):
            await api.client_as("nobody").list(POD, "default")

    run(tmp_path, story)


def test_our_own_mistake_is_an_internal_error_and_not_the_end(tmp_path, caplog):
    async def story(api):
        request = Request("GET", "/api/v1/pods", headers={"authorization": "Bearer admin"})
        broken = type(api.server)(None, api.server._authenticator, None, None, None, api.clock)
        answer = await broken(request)
        assert answer.status == 500
        with pytest.raises(ApiError):
            raise ApiError("")

    run(tmp_path, story)
