"""The API is the same in process and over HTTPS: neither side can tell."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import ssl

import aiohttp
import pytest

from hearth.api.errors import AlreadyExists, Gone, NotFound, TooLarge, Unauthorized
from hearth.api.kinds import CONFIG_MAP, NAMESPACE, SECRET, SERVICE_ACCOUNT
from hearth.apiserver import open_apiserver
from hearth.apiserver.serve import ListenError, port_holder
from hearth.client import Client
from hearth.client.client import read_all
from hearth.client.http import HttpHandler
from hearth.client.kubeconfig import load_kubeconfig
from hearth.store import StoreUnavailable


@contextlib.asynccontextmanager
async def running(state, port=0):
    """A whole API server with its parts."""
    async with open_apiserver(state, "127.0.0.1", port) as api:
        parts = [asyncio.create_task(part.run()) for part in api.parts]
        try:
            yield api
        finally:
            for part in parts:
                part.cancel()


@pytest.fixture(params=["in-process", "https"])
def run(request, tmp_path):
    """Run a story as admin against a server of its own."""

    def run(story):
        async def whole():
            async with running(tmp_path / "state") as api, contextlib.AsyncExitStack() as stack:
                if request.param == "in-process":
                    client = Client(api.handler, token=api.tokens["admin"])
                else:
                    server = load_kubeconfig(api.kubeconfig)
                    client = Client(await stack.enter_async_context(HttpHandler.to(server)))
                async with asyncio.timeout(20):
                    return await story(client)

        return asyncio.run(whole())

    return run


def config_map(name="cm", **data):
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


def test_objects_are_written_and_read(run):
    async def story(client):
        made = await client.create(CONFIG_MAP, config_map(a="ü"))
        assert await client.get(CONFIG_MAP, "default", "cm") == made
        new = await client.patch(CONFIG_MAP, "default", "cm", {"data": {"a": "2"}})
        assert new in (await client.list(CONFIG_MAP, "default")).items
        await client.delete(CONFIG_MAP, "default", "cm")
        with pytest.raises(NotFound):
            await client.get(CONFIG_MAP, "default", "cm")

    run(story)


def test_errors_keep_their_kind_and_details(run):
    async def story(client):
        await client.create(CONFIG_MAP, config_map())
        with pytest.raises(AlreadyExists) as refused:
            await client.create(CONFIG_MAP, config_map())
        assert refused.value.details["name"] == "cm"

    run(story)


def test_a_watch_tells_changes_as_they_come(run):
    async def story(client):
        start = (await client.list(CONFIG_MAP)).resource_version
        seen = []

        async def watch():
            async for event in client.watch(CONFIG_MAP, resource_version=start):
                seen.append((event.type, event.object["metadata"]["name"]))
                if event.type == "DELETED":
                    return

        watching = asyncio.create_task(watch())
        await client.create(CONFIG_MAP, config_map())
        await client.delete(CONFIG_MAP, "default", "cm")
        await watching
        assert seen == [("ADDED", "cm"), ("DELETED", "cm")]

    run(story)


def test_a_version_of_another_store_is_gone(run):
    async def story(client):
        with pytest.raises(Gone):
            async for _ in client.watch(CONFIG_MAP, resource_version="99999"):
                pass

    run(story)


def test_packages_are_kept(run):
    async def story(client):
        body = os.urandom(5 * 2**20)  # more than an object may have
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        path = f"/apis/hearth.dev/v1alpha1/namespaces/default/packages/{digest}"
        assert (await client.raw("PUT", path, body=body)).status == 201
        assert (await client.raw("HEAD", path)).headers["content-length"] == str(len(body))
        assert await read_all(await client.raw("GET", path)) == body

    run(story)


def test_every_namespace_gets_its_service_account(run):
    async def story(client):
        await client.create(NAMESPACE, {"metadata": {"name": "shop"}})
        async for event in client.watch(SERVICE_ACCOUNT, "shop"):
            assert event.object["metadata"]["name"] == "default"
            return

    run(story)


# Only over HTTPS


def test_a_body_over_the_limit_is_refused(tmp_path):
    async def story():
        async with (
            running(tmp_path / "state") as api,
            HttpHandler.to(load_kubeconfig(api.kubeconfig)) as handler,
        ):
            with pytest.raises(TooLarge, match="at most 3145728"):
                await Client(handler).create(CONFIG_MAP, config_map(a="x" * 4 * 2**20))
            await Client(handler).create(CONFIG_MAP, config_map())

    asyncio.run(story())


def test_a_watch_ends_when_its_client_leaves(tmp_path):
    async def story():
        async with running(tmp_path / "state") as api:
            trust = ssl.create_default_context(cafile=str(tmp_path / "state/pki/ca.crt"))
            headers = {"authorization": f"Bearer {api.tokens['admin']}"}
            url = f"{api.url}/api/v1/configmaps?watch=true"
            watchers = api.handler._acts["watch"].__self__._objects.backend._watchers

            async def until(there):
                for _ in range(100_000):  # nothing tells when
                    if any("configmaps" in prefix for prefix in watchers._by_prefix) == there:
                        return
                    await asyncio.sleep(0)
                pytest.fail(f"the watch is there: {not there}")

            async with aiohttp.ClientSession(headers=headers) as session:
                response = await session.get(url, ssl=trust)
                await until(True)
                response.close()
            await until(False)

    asyncio.run(story())


def test_without_a_token_there_is_only_health(tmp_path):
    async def story():
        async with running(tmp_path / "state") as api:
            server = load_kubeconfig(api.kubeconfig)
            async with HttpHandler(server.url, ssl_context=server.ssl) as handler:
                stranger = Client(handler, tenant_in_path=False)
                assert (await stranger.raw("GET", "/readyz")).status == 200
                with pytest.raises(Unauthorized):
                    await stranger.list(SECRET)

    asyncio.run(story())


# The whole server


def test_everything_is_back_after_a_restart(tmp_path):
    async def first():
        async with running(tmp_path / "state") as api:
            client = Client(api.handler, token=api.tokens["admin"])
            await client.create(CONFIG_MAP, config_map(a="1"))
            secret = await client.get(SECRET, "hearth-system", "pool-key")
            return api.tokens, secret, (await client.list(CONFIG_MAP)).resource_version

    async def second():
        async with running(tmp_path / "state") as api:
            client = Client(api.handler, token=api.tokens["admin"])
            found = await client.get(CONFIG_MAP, "default", "cm")
            secret = await client.get(SECRET, "hearth-system", "pool-key")
            version = (await client.list(CONFIG_MAP)).resource_version
            return api.tokens, secret, version, found["data"]

    before = asyncio.run(first())
    *after, data = asyncio.run(second())
    assert (data, after[:2]) == ({"a": "1"}, list(before[:2]))
    assert int(after[2]) >= int(before[2])


def test_the_components_secrets_and_namespaces_are_there(tmp_path):
    async def story():
        async with running(tmp_path / "state") as api:
            client = Client(api.handler, token=api.tokens["hearth:controller"])
            names = {wire["metadata"]["name"] for wire in (await client.list(NAMESPACE)).items}
            assert {"default", "hearth-system", "knative-serving", "kube-system"} <= names
            secrets = {wire["metadata"]["name"]: wire["data"] for wire in
                       (await client.list(SECRET, "hearth-system")).items}  # fmt: skip
            assert {name: set(data) for name, data in secrets.items()} == {
                "internal": {"token"},
                "pool-key": {"key"},
                "internal-tls": {"tls.crt", "tls.key", "ca.crt"},
            }

    asyncio.run(story())


def test_the_state_is_its_owners_only(tmp_path):
    async def story():
        async with running(tmp_path / "state"):
            state = tmp_path / "state"
            names = {file.name for file in state.iterdir()}
            assert {"kubeconfig", "node.kubeconfig", "controller.kubeconfig"} <= names
            exposed = [f for f in (state, *state.rglob("*")) if f.stat().st_mode & 0o077]
            assert exposed == []

    asyncio.run(story())


def test_a_port_in_use_is_named_with_its_holder(tmp_path):
    async def story(port):
        with pytest.raises(ListenError, match=f"127.0.0.1:{port}.*by process {os.getpid()}"):
            async with running(tmp_path / "state", port):
                pass
        async with running(tmp_path / "state"):
            pass  # the state was let go

    with socket.create_server(("127.0.0.1", 0)) as taken:
        asyncio.run(story(taken.getsockname()[1]))
    assert port_holder(1) is None


def test_a_state_in_use_is_refused(tmp_path):
    async def story():
        async with running(tmp_path / "state") as api:
            with pytest.raises(StoreUnavailable, match=f"in use by process {os.getpid()}"):
                async with running(tmp_path / "state"):
                    pass
            await Client(api.handler, token=api.tokens["admin"]).list(CONFIG_MAP)

    asyncio.run(story())


def test_a_state_that_is_no_directory_is_refused(tmp_path):
    (tmp_path / "state").write_text("a file")

    async def story():
        async with running(tmp_path / "state"):
            pass

    with pytest.raises(StoreUnavailable, match="cannot be used"):
        asyncio.run(story())


@pytest.mark.parametrize("file", ["pki/ca.crt", "pki/ca.key", "tokens.csv", "hearth.db"])
def test_a_broken_file_in_the_state_is_refused_by_name(tmp_path, file):
    async def story():
        async with running(tmp_path / "state"):
            pass

    asyncio.run(story())
    (tmp_path / "state" / file).write_bytes(b"broken")
    with pytest.raises(StoreUnavailable, match=file):
        asyncio.run(story())
