"""Quotas and ranges hold for whoever creates, and however many do so at once."""

from __future__ import annotations

import asyncio

import pytest

from hearth.api.errors import Forbidden
from hearth.api.kinds import CONFIG_MAP, CORE_SERVICE, LIMIT_RANGE, NAMESPACE, POD, RESOURCE_QUOTA
from hearth.apiserver.admission import QuotaStatuses
from tests.unit.apiserver.running import run


def meta(name, namespace="default"):
    return {"metadata": {"name": name, "namespace": namespace}}


def a_pod(name, namespace="default"):
    return {**meta(name, namespace), "spec": {"containers": [{"name": "c", "image": "i"}]}}


async def limit(api, **hard):
    await api.client.create(RESOURCE_QUOTA, {**meta("q"), "spec": {"hard": hard}})


def test_of_many_pods_at_once_only_as_many_as_the_quota_allows_are_made(tmp_path):
    async def story(api):
        await limit(api, pods="2")
        tries = (api.client.create(POD, a_pod(f"p{n}")) for n in range(5))
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        refused = [str(one) for one in outcomes if isinstance(one, Forbidden)]
        assert len(refused) == 3
        said = "is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"
        assert all(said in one for one in refused)
        await api.client.create(NAMESPACE, {"metadata": {"name": "other"}})
        await api.client.create(POD, a_pod("p", "other"))

    run(tmp_path, story)


def test_a_dry_run_is_held_against_the_quota_too(tmp_path):
    async def story(api):
        await limit(api, pods="0")
        with pytest.raises(Forbidden):
            await api.client.create(POD, a_pod("p"), dry_run=True)

    run(tmp_path, story)


def test_a_warm_pod_is_adopted_only_within_the_quota(tmp_path):
    async def story(api):
        await limit(api, pods="0")
        owner = {"apiVersion": "hearth.dev/v1alpha1", "kind": "PodPool", "name": "python",
                 "uid": "x", "controller": True}  # fmt: skip
        warm = a_pod("warm", "hearth-system")
        warm["metadata"]["ownerReferences"] = [owner]
        await api.client.create(POD, warm)
        with pytest.raises(Forbidden, match="exceeded quota"):
            await api.client.create(
                POD, {"metadata": {"namespace": "default"}}, namespace="hearth-system",
                name="warm", subresource="adopt",
            )  # fmt: skip
        await api.client.get(POD, "hearth-system", "warm")

    run(tmp_path, story)


def test_quotas_count_any_object(tmp_path):
    async def story(api):
        await limit(api, **{"count/configmaps": "1"})
        await api.client.create(CONFIG_MAP, meta("a"))
        with pytest.raises(Forbidden, match="count/configmaps=1"):
            await api.client.create(CONFIG_MAP, meta("b"))

    run(tmp_path, story)


def test_a_range_fills_in_and_forbids(tmp_path):
    async def story(api):
        each = {"type": "Container", "default": {"cpu": "1"}, "max": {"cpu": "2"}}
        await api.client.create(LIMIT_RANGE, {**meta("l"), "spec": {"limits": [each]}})
        made = await api.client.create(POD, a_pod("p"))
        assert made["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1"}
        greedy = a_pod("q")
        greedy["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "3"}}
        with pytest.raises(Forbidden, match="maximum cpu usage per Container is 2, but limit is 3"):
            await api.client.create(POD, greedy)

    run(tmp_path, story)


def test_a_quota_tells_what_is_used(tmp_path):
    async def story(api):
        await limit(api, pods="2", **{"limits.cpu": "1"})
        pod = a_pod("p")
        pod["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "100m"}}
        await api.client.create(POD, pod)
        keeping = asyncio.ensure_future(QuotaStatuses(api.objects, api.clock, every_s=0).run())
        for _ in range(50):
            await asyncio.sleep(0)
        keeping.cancel()
        quota = await api.client.get(RESOURCE_QUOTA, "default", "q")
        assert quota["status"]["used"] == {"pods": "1", "limits.cpu": "100m"}

    run(tmp_path, story)


def test_a_service_is_headless_unless_it_names_an_address(tmp_path):
    async def story(api):
        spec = {"selector": {"a": "b"}, "ports": [{"port": 80}]}
        made = await api.client.create(CORE_SERVICE, {**meta("s"), "spec": spec})
        assert made["spec"]["clusterIP"] == "None"
        assert made["spec"]["ports"] == [{"protocol": "TCP", "targetPort": 80, "port": 80}]

    run(tmp_path, story)
