"""Kinds that are not stored: what is shown for what is."""

from __future__ import annotations

import asyncio

import pytest

from hearth.api.errors import MethodNotAllowed, NotFound
from hearth.api.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    POD,
    POD_AUTOSCALER,
    POOLED_REPLICA_SET,
    REVISION,
    SERVERLESS_SERVICE,
)
from tests.unit.apiserver.running import run

REVISION_LABELS = {"serving.knative.dev/configuration": "app"}
TEMPLATE = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {"containers": [{"name": "user-container", "image": "x"}]},
}


def revision(name="app-00001", state="active"):
    meta = {
        "name": name,
        "namespace": "default",
        "labels": {**REVISION_LABELS, "serving.knative.dev/routingState": state},
        "annotations": {"autoscaling.knative.dev/min-scale": "1"},
    }
    return {"metadata": meta, "spec": {"containers": [{"image": "x"}]}}


def status(*, active="True", reason="", desired=1, actual=1, available="True", healthy="True"):
    def one(kind, value, **more):
        return {"type": kind, "status": value, "lastTransitionTime": "2026-01-01T00:00:00Z", **more}

    conditions = [
        one("Active", active, severity="Info", **({"reason": reason} if reason else {})),
        one("ContainerHealthy", healthy),
        one("ResourcesAvailable", available),
    ]
    scales = {"desiredReplicas": desired, "actualReplicas": actual}
    return {"status": {"conditions": conditions, **scales}}


async def with_status(api, **options):
    await api.client.create(REVISION, revision())
    patch = status(**options)
    return await api.client.patch(REVISION, "default", "app-00001", patch, subresource="status")


def conditions_of(wire):
    return {one["type"]: one["status"] for one in wire["status"]["conditions"]}


@pytest.mark.parametrize(
    ("options", "want"),
    [
        pytest.param({}, ("True", "True", "True", "Reachable"), id="active"),
        pytest.param({"active": "False", "reason": "NoTraffic", "desired": 0, "actual": 0},
                     ("False", "True", "False", "Reachable"), id="at-zero"),
        pytest.param({"active": "Unknown", "actual": 0, "available": "Unknown"},
                     ("Unknown", "Unknown", "Unknown", "Reachable"), id="coming-up"),
        pytest.param({"active": "Unknown", "actual": 0, "available": "False", "healthy": "False"},
                     ("Unknown", "Unknown", "Unknown", "Unreachable"), id="failing"),
    ],
)  # fmt: skip
def test_a_pod_autoscaler_says_how_its_revision_is_scaled(tmp_path, options, want):
    async def story(api):
        await with_status(api, **options)
        found = await api.client.get(POD_AUTOSCALER, "default", "app-00001")
        said = conditions_of(found)
        state = tuple(said[kind] for kind in ("Active", "ScaleTargetInitialized", "Ready"))
        assert (*state, found["spec"]["reachability"]) == want
        scales = options.get("desired", 1), options.get("actual", 1)
        assert (found["status"]["desiredScale"], found["status"]["actualScale"]) == scales
        assert found["metadata"]["annotations"] == {"autoscaling.knative.dev/min-scale": "1"}
        assert found["metadata"]["ownerReferences"][0]["kind"] == "Revision"

    run(tmp_path, story)


def test_a_revision_without_a_route_is_unreachable(tmp_path):
    async def story(api):
        await api.client.create(REVISION, revision(state="reserve"))
        found = await api.client.list(POD_AUTOSCALER, "default")
        assert [pa["spec"]["reachability"] for pa in found.items] == ["Unreachable"]

    run(tmp_path, story)


def test_a_serverless_service_proxies_at_zero(tmp_path):
    async def story(api):
        await with_status(api, desired=0, actual=0, active="False")
        sks = await api.client.get(SERVERLESS_SERVICE, "default", "app-00001")
        assert (sks["spec"]["mode"], sks["status"]["privateServiceName"]) == (
            "Proxy",
            "app-00001-private",
        )

    run(tmp_path, story)


def test_a_deployment_has_knatives_name_and_the_sets_numbers(tmp_path):
    async def story(api):
        spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
        meta = {"name": "app-00001", "namespace": "default"}
        await api.client.create(POOLED_REPLICA_SET, {"metadata": meta, "spec": spec})
        patch = {"status": {"replicas": 2, "readyReplicas": 1, "observedGeneration": 1}}
        await api.client.patch(
            POOLED_REPLICA_SET, "default", "app-00001", patch, subresource="status"
        )
        found = await api.client.get(DEPLOYMENT, "default", "app-00001-deployment")
        assert found["spec"]["replicas"] == 2
        assert found["status"]["readyReplicas"] == 1
        assert found["status"]["unavailableReplicas"] == 1
        with pytest.raises(NotFound, match=r'deployments\.apps "app-00001" not found'):
            await api.client.get(DEPLOYMENT, "default", "app-00001")

    run(tmp_path, story)


def test_a_pod_with_an_address_is_an_endpoint_of_its_revision(tmp_path):
    async def story(api):
        for name, labels in (("p-1", {"serving.knative.dev/revision": "app-00001"}), ("p-2", {})):
            meta = {"name": name, "namespace": "default", "labels": labels}
            await api.client.create(POD, {"metadata": meta, "spec": TEMPLATE["spec"]})
            ready = [{"type": "Ready", "status": "True"}]
            patch = {"status": {"phase": "Running", "podIP": "10.1.2.3", "conditions": ready}}
            await api.client.patch(POD, "default", name, patch, subresource="status")
        found = await api.client.list(
            ENDPOINT_SLICE,
            "default",
            label_selector="kubernetes.io/service-name=app-00001-private",
        )
        [one] = found.items
        assert one["endpoints"][0]["addresses"] == ["10.1.2.3"]
        assert one["endpoints"][0]["conditions"]["ready"] is True

    run(tmp_path, story)


def test_a_watch_tells_what_changes_in_what_is_shown_and_nothing_else(tmp_path):
    async def story(api):
        made = await with_status(api, desired=0, actual=0)
        version = made["metadata"]["resourceVersion"]

        async def told():
            found = []
            async for event in api.client.watch(POD_AUTOSCALER, resource_version=version):
                found.append((event.type, event.object["status"].get("desiredScale")))
                if event.type == "DELETED":
                    return found
            return found

        watching = asyncio.create_task(told())
        await asyncio.sleep(0)
        log_url = {"status": {"logUrl": "http://nobody.shows/this"}}
        name = ("default", "app-00001")
        await api.client.patch(REVISION, *name, log_url, subresource="status")
        scaled = {"status": {"desiredReplicas": 3}}
        await api.client.patch(REVISION, *name, scaled, subresource="status")
        await api.client.delete(REVISION, *name)
        assert await watching == [("MODIFIED", 3), ("DELETED", 3)]

    run(tmp_path, story)


def test_what_is_shown_cannot_be_written(tmp_path):
    async def story(api):
        await with_status(api)
        with pytest.raises(MethodNotAllowed, match=r"revisions\.serving\.knative\.dev"):
            await api.client.delete(POD_AUTOSCALER, "default", "app-00001")

    run(tmp_path, story)
