"""The command line's own connection behaves as the components' does, on a real API server."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib

import pytest

from hearth.api.errors import NotFound, ServiceUnavailable, Unauthorized
from hearth.api.kinds import CONFIG_MAP, NAMESPACE
from hearth.apiserver.open import open_apiserver
from hearth.cli.https import HttpsHandler
from hearth.client import Client
from hearth.client.client import read_all
from hearth.client.http import HttpHandler
from hearth.client.kubeconfig import load_kubeconfig


@contextlib.asynccontextmanager
async def standard_library(server):
    yield HttpsHandler(server)


@contextlib.asynccontextmanager
async def with_aiohttp(server):
    async with HttpHandler.to(server) as handler:
        yield handler


@pytest.fixture(params=[standard_library, with_aiohttp])
def told(request, tmp_path):
    """Run a story with a client of a server."""

    def run(story):
        async def whole():
            async with open_apiserver(tmp_path / "state", "127.0.0.1", 0) as running:
                server = load_kubeconfig(running.kubeconfig)
                async with request.param(server) as handler:
                    return await story(Client(handler, tenant_in_path=False))

        return asyncio.run(whole())

    return run


def test_objects_are_listed_and_errors_have_their_kind(told):
    async def story(client):
        with pytest.raises(NotFound, match="nothing"):
            await client.get(NAMESPACE, "", "nothing")
        return {item["metadata"]["name"] for item in (await client.list(NAMESPACE)).items}

    assert "default" in told(story)


def test_a_watch_is_handed_on_as_it_comes_and_can_be_left(told):
    async def story(client):
        wire = {"metadata": {"name": "a", "namespace": "default"}, "data": {"k": "x" * 100_000}}
        async with contextlib.aclosing(client.watch(CONFIG_MAP, "default")) as events:
            made = asyncio.ensure_future(client.create(CONFIG_MAP, wire))
            async for event in events:
                if event.object["metadata"]["name"] == "a":
                    await made
                    return len(event.object["data"]["k"])

    assert told(story) == 100_000


def test_a_body_may_come_in_pieces(told):
    content = bytes(range(256)) * 8192
    path = "/apis/hearth.dev/v1alpha1/namespaces/default/packages/"
    path += f"sha256:{hashlib.sha256(content).hexdigest()}"

    async def pieces():
        for at in range(0, len(content), 300_000):
            yield content[at : at + 300_000]

    async def story(client):
        await client.raw("PUT", path, body=pieces())
        return await read_all(await client.raw("GET", path))

    assert told(story) == content


def test_why_it_was_refused_is_told_though_it_comes_in_pieces(told):
    async def endless():
        for _ in range(2000):
            yield bytes(2**20)

    async def story(client):
        await client.raw("POST", "/api/v1/nodes/nobody/proxy/images", body=endless())

    with pytest.raises((NotFound, ServiceUnavailable), match="nobody"):
        told(story)


def test_packages_go_there_and_back(told):
    content = bytes(range(256)) * 4096
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    path = f"/apis/hearth.dev/v1alpha1/namespaces/default/packages/{digest}"

    async def story(client):
        with pytest.raises(NotFound):
            await client.raw("HEAD", path)
        await client.raw("PUT", path, body=content)
        assert (await client.raw("HEAD", path)).status == 200
        return await read_all(await client.raw("GET", path))

    assert told(story) == content


def test_a_selector_is_encoded(told):
    async def story(client):
        labels = {"a.b/c": "d"}
        meta = {"name": "x", "namespace": "default", "labels": labels}
        await client.create(CONFIG_MAP, {"metadata": meta})
        found = await client.list(CONFIG_MAP, "default", label_selector="a.b/c in (d, e),!z")
        return len(found.items)

    assert told(story) == 1


@pytest.mark.parametrize("handler", [standard_library, with_aiohttp])
def test_a_server_that_is_gone_is_a_connection_error(handler, tmp_path):
    async def story():
        async with open_apiserver(tmp_path / "state", "127.0.0.1", 0) as running:
            server = load_kubeconfig(running.kubeconfig)
        async with handler(server) as sends:
            with pytest.raises(ConnectionError, match=server.url):
                await Client(sends, tenant_in_path=False).list(NAMESPACE)

    asyncio.run(story())


@pytest.mark.parametrize("handler", [standard_library, with_aiohttp])
def test_a_wrong_token_is_unauthorized(handler, tmp_path):
    async def story():
        async with open_apiserver(tmp_path / "state", "127.0.0.1", 0) as running:
            text = running.kubeconfig.read_text()
            wrong = tmp_path / "wrong"
            wrong.write_text(text.replace(running.tokens["admin"], "wrong"))
            async with handler(load_kubeconfig(wrong)) as sends:
                with pytest.raises(Unauthorized):
                    await Client(sends, tenant_in_path=False).list(NAMESPACE)

    asyncio.run(story())
