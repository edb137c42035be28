"""Kinds that are not stored: what is shown for what is."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from hearth.api.errors import MethodNotAllowed, NotFound
from hearth.api.http import Request
from hearth.api.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    ENDPOINTS,
    INGRESS,
    NAMESPACE,
    POD,
    POD_AUTOSCALER,
    POOLED_REPLICA_SET,
    REVISION,
    ROUTE,
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


async def with_set(api, *addresses, room=None):
    """A set of ``app-00001``, and where its pods are; ``room`` for a burst, as told."""
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
    told = {"hearth.dev/spare-burst-capacity": room} if room else {}
    meta = {"name": "app-00001", "namespace": "default", "annotations": told}
    await api.client.create(POOLED_REPLICA_SET, {"metadata": meta, "spec": spec})
    patch = {"status": {"replicas": 2, "readyReplicas": 1, "addresses": list(addresses)}}
    name = "default", "app-00001"
    await api.client.patch(POOLED_REPLICA_SET, *name, patch, subresource="status")


async def held_at(api, ip, port):
    """Requests are held there."""
    await api.client.create(NAMESPACE, {"metadata": {"name": "knative-serving"}})
    subset = {"addresses": [{"ip": ip}], "ports": [{"port": port}]}
    meta = {"name": "activator-service", "namespace": "knative-serving"}
    await api.client.create(ENDPOINTS, {"metadata": meta, "subsets": [subset]})


async def where(api, service, namespace="default"):
    """Addresses and ports of a service's slices."""
    label = f"kubernetes.io/service-name={service}"
    found = await api.client.list(ENDPOINT_SLICE, namespace, label_selector=label)
    addresses = [a for one in found.items for e in one["endpoints"] for a in e["addresses"]]
    return addresses, [port["port"] for one in found.items for port in one["ports"]]


PODS = "10.0.0.1:8080", "10.0.0.2:8080"


@pytest.mark.parametrize(
    ("addresses", "room", "mode", "want"),
    [
        pytest.param((), None, "Proxy", (["10.9.9.9"], [80]), id="at-zero"),
        pytest.param((), "true", "Proxy", (["10.9.9.9"], [80]), id="at-zero-again"),
        pytest.param(PODS, None, "Proxy", (["10.9.9.9"], [80]), id="not-told"),
        pytest.param(PODS, "false", "Proxy", (["10.9.9.9"], [80]), id="no-room"),
        pytest.param(PODS, "true", "Serve", (["10.0.0.1", "10.0.0.2"], [8080]), id="room"),
        pytest.param(("127.0.0.1:1", "127.0.0.1:2"), "true", "Serve",
                     (["127.0.0.1", "127.0.0.1"], []), id="ports-of-their-own"),
    ],
)  # fmt: skip
def test_requests_go_to_pods_with_room_for_a_burst_and_are_held_else(
    tmp_path, addresses, room, mode, want
):
    async def story(api):
        await held_at(api, "10.9.9.9", 80)
        await with_set(api, *addresses, room=room)
        sks = await api.client.get(SERVERLESS_SERVICE, "default", "app-00001")
        private = sks["status"]["privateServiceName"]
        assert (sks["spec"]["mode"], private) == (mode, "app-00001-private")
        assert await where(api, "app-00001") == want
        assert await where(api, "activator-service", "knative-serving") == (["10.9.9.9"], [80])

    run(tmp_path, story)


def test_nothing_holds_requests_before_there_is_a_gateway(tmp_path):
    async def story(api):
        await with_set(api)
        assert await where(api, "app-00001") == ([], [])

    run(tmp_path, story)


def test_slices_of_several_kinds_are_listed_in_pages_and_watched_together(tmp_path):
    async def story(api):
        await held_at(api, "10.9.9.9", 80)
        before = (await api.client.list(ENDPOINT_SLICE)).resource_version
        await with_set(api)
        meta = {"name": "p-1", "namespace": "default",
                "labels": {"serving.knative.dev/revision": "app-00001"}}  # fmt: skip
        await api.client.create(POD, {"metadata": meta, "spec": TEMPLATE["spec"]})
        address = {"status": {"podIP": "10.1.2.3"}}
        await api.client.patch(POD, "default", "p-1", address, subresource="status")
        names = [await page(api, limit) for limit in (1, 2, 100)]
        assert names == [["activator-service", "p-1", "app-00001"]] * 3

        async def told():
            async for event in api.client.watch(ENDPOINT_SLICE, "default", resource_version=before):
                yield event.type, event.object["metadata"]["name"]

        seen = [one async for one in _first(told(), 2)]
        assert seen == [("ADDED", "app-00001"), ("ADDED", "p-1")]

    run(tmp_path, story)


async def page(api, limit):
    """The names of all slices, read ``limit`` at a time."""
    names, token = [], ""
    while True:
        query = {"limit": str(limit), "continue": token}
        path = "/apis/discovery.k8s.io/v1/endpointslices"
        headers = {"authorization": "Bearer admin"}
        answered = await api.server(Request("GET", path, query, headers, b""))
        answer = msgspec.json.decode(answered.body)
        names += [one["metadata"]["name"] for one in answer["items"]]
        token = answer["metadata"].get("continue", "")
        if not token:
            return names


async def _first(events, count):
    async for event in events:
        yield event
        count -= 1
        if not count:
            return


def test_an_ingress_says_what_the_gateway_does_for_a_route(tmp_path):
    async def story(api):
        made = await api.client.create(
            ROUTE,
            {"metadata": {"name": "app", "namespace": "default"},
             "spec": {"traffic": [{"revisionName": "app-00001", "percent": 100}]}},
        )  # fmt: skip
        with pytest.raises(NotFound):
            await api.client.get(INGRESS, "default", "app")
        traffic = [
            {"revisionName": "app-00001", "percent": 90},
            {"revisionName": "app-00002", "percent": 10, "tag": "new",
             "url": "http://new-app.default.example.com:8080"},
        ]  # fmt: skip
        ready = [{"type": "IngressReady", "status": "True"}]
        url = "https://app.default.example.com:8443"
        status = {"url": url, "traffic": traffic, "conditions": ready}
        await api.client.patch(ROUTE, "default", "app", {"status": status}, subresource="status")
        found = await api.client.get(INGRESS, "default", "app")
        shares = {
            rule["hosts"][0]: [
                (split["serviceName"], split["percent"])
                for split in rule["http"]["paths"][0]["splits"]
            ]
            for rule in found["spec"]["rules"]
        }
        both = [("app-00001", 90), ("app-00002", 10)]
        assert shares == {
            "app.default": both,
            "app.default.example.com": both,
            "new-app.default": [("app-00002", 100)],
            "new-app.default.example.com": [("app-00002", 100)],
        }
        [tls] = found["spec"]["tls"]
        assert tls["hosts"] == ["app.default.example.com"]
        assert tls["secretName"] == f"route-{made['metadata']['uid']}"
        assert conditions_of(found)["Ready"] == "True"

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


def test_a_long_name_is_cut_as_knatives_and_found(tmp_path):
    async def story(api):
        long = "a" * 57 + "-00001"
        for name in (long, "app-00001"):
            spec = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
            meta = {"name": name, "namespace": "default"}
            await api.client.create(POOLED_REPLICA_SET, {"metadata": meta, "spec": spec})
        [cut, _] = (await api.client.list(DEPLOYMENT, "default")).items
        name = cut["metadata"]["name"]
        assert (len(name), name.endswith("-deployment")) == (63, True)
        assert (await api.client.get(DEPLOYMENT, "default", name)) == cut
        for other in (f"{long}-deployment", f"b{name[1:]}"):
            with pytest.raises(NotFound):
                await api.client.get(DEPLOYMENT, "default", other)

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
