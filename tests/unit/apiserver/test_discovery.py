"""What clients learn of the API before they use it."""

from __future__ import annotations

import msgspec
import pytest

from hearth.api.errors import NotFound
from hearth.api.kinds import ALL
from hearth.api.resources import RESOURCES
from tests.unit.apiserver.running import run

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


async def ask(api, path, **headers):
    answer = await api.client.raw("GET", path, headers=headers)
    return msgspec.json.decode(answer.body), answer.headers


def test_every_kind_is_found_by_both_ways(tmp_path):
    async def story(api):
        plain, together = set(), set()
        for path in (
            "/api/v1",
            *(f"/apis/{kind.api_version}" for kind in ALL if kind.group),
            "/apis/authentication.k8s.io/v1",
            "/apis/authorization.k8s.io/v1",
        ):
            found, _ = await ask(api, path)
            for entry in found["resources"]:
                plain.add((found["groupVersion"], entry["name"]))
        for path in ("/api", "/apis"):
            found, headers = await ask(api, path, accept=f"{AGGREGATED},application/json")
            assert headers["content-type"] == AGGREGATED
            for group in found["items"]:
                for version in group["versions"]:
                    name = "/".join(
                        filter(None, (group["metadata"].get("name"), version["version"]))
                    )
                    for entry in version["resources"]:
                        together.add((name, entry["resource"]))
                        for sub in entry.get("subresources", ()):
                            together.add((name, f"{entry['resource']}/{sub['subresource']}"))
        assert plain == together
        assert {(kind.api_version, kind.plural) for kind in ALL} <= plain
        assert ("hearth.dev/v1alpha1", "podpools/scale") in plain
        assert ("v1", "pods/adopt") in plain

    run(tmp_path, story)


def test_groups_are_listed_one_by_one_too(tmp_path):
    async def story(api):
        groups, _ = await ask(api, "/apis")
        for group in groups["groups"]:
            found, _ = await ask(api, f"/apis/{group['name']}")
            assert found["preferredVersion"] == group["preferredVersion"]
        assert (await ask(api, "/api"))[0]["versions"] == ["v1"]
        assert (await ask(api, "/version"))[0]["gitVersion"].startswith("v1.35")

    run(tmp_path, story)


def test_every_openapi_document_describes_its_kinds(tmp_path):
    async def story(api):
        index, _ = await ask(api, "/openapi/v3")
        kinds = set()
        for entry in index["paths"].values():
            path, _, query = entry["serverRelativeURL"].partition("?")
            assert query.startswith("hash=")
            document, headers = await ask(api, path)
            assert "immutable" in headers["cache-control"]
            for schema in document["components"]["schemas"].values():
                for gvk in schema.get("x-kubernetes-group-version-kind", ()):
                    kinds.add((gvk["group"], gvk["version"], gvk["kind"]))
        assert kinds == {(r.kind.group, r.kind.version, r.kind.kind) for r in RESOURCES}

    run(tmp_path, story)


def test_openapi_offers_the_patches_that_are_taken(tmp_path):
    async def story(api):
        document, _ = await ask(api, "/openapi/v3/apis/serving.knative.dev/v1")
        path = "/apis/serving.knative.dev/v1/namespaces/{namespace}/services/{name}"
        content = document["paths"][path]["patch"]["requestBody"]["content"]
        assert "application/merge-patch+json" in content
        assert "application/strategic-merge-patch+json" not in content

    run(tmp_path, story)


@pytest.mark.parametrize(
    "path",
    [
        "/apis/no.such", "/apis/no.such/v1", "/openapi/v2", "/api/v9",
        "/apis/eventing.knative.dev/v1/namespaces/default/brokers", "/api/v1/nosuch",
    ],
)  # fmt: skip
def test_what_is_not_served_is_not_found_and_no_status(tmp_path, path):
    async def story(api):
        with pytest.raises(NotFound, match=r"^404 page not found$"):  # clients look for that text
            await ask(api, path)

    run(tmp_path, story)
