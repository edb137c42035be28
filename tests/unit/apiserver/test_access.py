"""Who is known by a token, and what roles let them do."""

from __future__ import annotations

import pytest

from hearth.api.errors import ApiError, BadRequest, Forbidden, Unauthorized
from hearth.api.kinds import (
    CLUSTER_ROLE,
    CONFIG_MAP,
    NAMESPACE,
    POD,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
    SERVICE_ACCOUNT,
    SUBJECT_ACCESS_REVIEW,
    TOKEN_REVIEW,
)
from tests.unit.apiserver.running import run


async def token(api, name="robot", **spec):
    answer = await api.client.create(
        SERVICE_ACCOUNT, {"spec": spec}, namespace="default", name=name, subresource="token"
    )
    return answer["status"]["token"]


async def robot(api, **spec):
    meta = {"name": "robot", "namespace": "default"}
    await api.client.create(SERVICE_ACCOUNT, {"metadata": meta})
    return api.client_as(await token(api, **spec))


async def allow(api, *rules, kind=ROLE):
    meta = {"name": "reader", "namespace": "default"} if kind is ROLE else {"name": "reader"}
    await api.client.create(kind, {"metadata": meta, "rules": list(rules)})
    subject = {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}
    binding = {"subjects": [subject], "roleRef": {"kind": kind.kind, "name": "reader"}}
    where = {"name": "readers", "namespace": "default"}
    await api.client.create(ROLE_BINDING, {"metadata": where, **binding})


READ = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}


@pytest.mark.parametrize("kind", [ROLE, CLUSTER_ROLE], ids=str)
def test_a_service_account_may_do_what_its_role_says_and_no_more(tmp_path, kind):
    async def story(api):
        client = await robot(api)
        with pytest.raises(Forbidden, match="system:serviceaccount:default:robot"):
            await client.list(CONFIG_MAP, "default")
        await allow(api, READ, kind=kind)
        assert (await client.list(CONFIG_MAP, "default")).items == []
        with pytest.raises(Forbidden):
            await client.list(CONFIG_MAP, "hearth-system")
        with pytest.raises(Forbidden):
            await client.list(SECRET, "default")
        with pytest.raises(Forbidden):
            meta = {"name": "x", "namespace": "default"}
            await client.create(CONFIG_MAP, {"metadata": meta})
        with pytest.raises(Forbidden):
            path = f"/apis/hearth.dev/v1alpha1/namespaces/default/packages/sha256:{'0' * 64}"
            await client.raw("GET", path)
        assert (await client.raw("GET", "/apis")).status == 200

    run(tmp_path, story)


def test_everyone_can_ask_who_they_are_and_what_they_may(tmp_path):
    async def story(api):
        client = await robot(api)
        await allow(api, READ)
        me = (await client.create(SELF_SUBJECT_REVIEW, {}))["status"]["userInfo"]
        assert me["username"] == "system:serviceaccount:default:robot"
        assert me["groups"] == [
            "system:authenticated", "system:serviceaccounts", "system:serviceaccounts:default",
        ]  # fmt: skip

        async def may(verb, resource):
            about = {"verb": verb, "resource": resource, "namespace": "default"}
            question = {"spec": {"resourceAttributes": about}}
            answer = await client.create(SELF_SUBJECT_ACCESS_REVIEW, question)
            return answer["status"]["allowed"]

        assert [await may("get", "configmaps"), await may("get", "secrets")] == [True, False]
        question = {"spec": {"namespace": "default"}}
        answer = (await client.create(SELF_SUBJECT_RULES_REVIEW, question))["status"]
        assert READ in answer["resourceRules"]
        with pytest.raises(BadRequest, match="no namespace"):
            await client.create(SELF_SUBJECT_RULES_REVIEW, {})
        with pytest.raises(Forbidden):
            await client.create(SUBJECT_ACCESS_REVIEW, {"spec": {"user": "anna"}})
        about = {"verb": "get", "resource": "configmaps", "namespace": "default"}
        question = {
            "spec": {"user": "system:serviceaccount:default:robot", "resourceAttributes": about}
        }
        answer = await api.client.create(SUBJECT_ACCESS_REVIEW, question)
        assert answer["status"]["allowed"]
        with pytest.raises(ApiError, match="at least one of user or group"):
            await api.client.create(SUBJECT_ACCESS_REVIEW, {"spec": {}})

    run(tmp_path, story)


def test_a_token_is_reviewed_for_its_audience(tmp_path):
    async def story(api):
        await robot(api)
        made = await token(api, audiences=["bank"])

        async def review(**spec):
            return (await api.client.create(TOKEN_REVIEW, {"spec": spec}))["status"]

        good = await review(token=made, audiences=["bank"])
        assert good["authenticated"]
        assert good["user"]["username"] == "system:serviceaccount:default:robot"
        assert not (await review(token=made, audiences=["shop"]))["authenticated"]
        assert not (await review(token=made))["authenticated"]
        assert not (await review(token=f"{made}x"))["authenticated"]
        with pytest.raises(Unauthorized):
            await api.client_as(made).list(CONFIG_MAP, "default")

    run(tmp_path, story)


def test_a_token_ends_with_what_it_is_bound_to(tmp_path):
    async def story(api):
        meta = {"name": "p", "namespace": "default"}
        spec = {"containers": [{"name": "c", "image": "i"}]}
        pod = await api.client.create(POD, {"metadata": meta, "spec": spec})
        bound = {"kind": "Pod", "name": "p", "uid": pod["metadata"]["uid"]}
        client = await robot(api, boundObjectRef=bound)
        me = (await client.create(SELF_SUBJECT_REVIEW, {}))["status"]["userInfo"]
        assert me["extra"]["authentication.kubernetes.io/pod-name"] == ["p"]
        await api.client.delete(POD, "default", "p", grace_period_s=0)
        with pytest.raises(Unauthorized):
            await client.create(SELF_SUBJECT_REVIEW, {})
        client = api.client_as(await token(api))
        await api.client.delete(SERVICE_ACCOUNT, "default", "robot")
        with pytest.raises(Unauthorized):
            await client.create(SELF_SUBJECT_REVIEW, {})

    run(tmp_path, story)


def test_a_token_lives_ten_minutes_at_least(tmp_path):
    async def story(api):
        await robot(api)
        with pytest.raises(ApiError, match="less than 10 minutes"):
            await token(api, expirationSeconds=1)

    run(tmp_path, story)


def test_a_new_namespace_has_a_default_account(tmp_path):
    async def story(api):
        await api.client.create(NAMESPACE, {"metadata": {"name": "team"}})
        await api.client.get(SERVICE_ACCOUNT, "team", "default")

    run(tmp_path, story)


def test_nobody_gives_away_what_they_do_not_have(tmp_path):
    async def story(api):
        client = await robot(api)
        writer = {"apiGroups": ["rbac.authorization.k8s.io"], "verbs": ["create", "patch"],
                  "resources": ["roles", "rolebindings"]}  # fmt: skip
        await allow(api, READ, writer)
        meta = {"name": "own", "namespace": "default"}
        await client.create(ROLE, {"metadata": meta, "rules": [READ]})
        more = {**READ, "resources": ["secrets"]}
        with pytest.raises(Forbidden, match="permissions not currently held"):
            await client.patch(ROLE, "default", "own", {"rules": [READ, more]})
        everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
        await api.client.create(CLUSTER_ROLE, {"metadata": {"name": "all"}, "rules": [everything]})
        ref = {"roleRef": {"kind": "ClusterRole", "name": "all"}}
        with pytest.raises(Forbidden, match="permissions not currently held"):
            await client.create(ROLE_BINDING, {"metadata": meta, **ref})
        await client.create(
            ROLE_BINDING, {"metadata": meta, "roleRef": {"kind": "Role", "name": "own"}}
        )
        found = await api.client.get(ROLE, "default", "own")
        assert found["rules"] == [READ]

    run(tmp_path, story)
