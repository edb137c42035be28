"""``pods/log`` hands on what the pod's node says, and names what stands in the way."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl

import pytest
from aiohttp import web

from hearth.api.errors import BadRequest, NotFound, ServiceUnavailable
from hearth.api.kinds import NODE, POD, SECRET
from hearth.apiserver import open_apiserver
from hearth.client import Client
from hearth.client.client import read_all


async def secret(client, name):
    data = (await client.get(SECRET, "hearth-system", name))["data"]
    return {key: base64.b64decode(value) for key, value in data.items()}


@contextlib.asynccontextmanager
async def node(client, folder, answer):
    """A node agent's log server; returns its port."""
    tls = await secret(client, "internal-tls")
    (folder / "node.crt").write_bytes(tls["tls.crt"])
    (folder / "node.key").write_bytes(tls["tls.key"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "node.crt", folder / "node.key")
    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    sock = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, sock, ssl_context=context).start()
    try:
        yield sock.getsockname()[1]
    finally:
        await runner.cleanup()


async def make_pod(client, port, *containers):
    endpoint = {"kubeletEndpoint": {"Port": port}}
    addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
    status = {"addresses": addresses, "daemonEndpoints": endpoint}
    await client.create(NODE, {"metadata": {"name": "n1"}, "status": status})
    spec = {"containers": [{"name": name, "image": "i"} for name in containers]}
    meta = {"name": "p", "namespace": "default"}
    await client.create(POD, {"metadata": meta, "spec": spec})


async def bind(client):
    binding = {"target": {"name": "n1"}}
    await client.create(POD, binding, namespace="default", name="p", subresource="binding")


def run(tmp_path, story):
    async def whole():
        async with open_apiserver(tmp_path / "state", "127.0.0.1", 0) as api:
            await story(Client(api.handler, token=api.tokens["admin"]))

    asyncio.run(whole())


def log(client, **query):
    return client.raw("GET", POD.path("default", "p", "log"), query=query)


def test_what_the_node_says_is_handed_on(tmp_path):
    async def story(client):
        asked = []

        async def answer(request):
            asked.append((request.path_qs, request.headers["authorization"]))
            return web.Response(text="line one\n")

        async with node(client, tmp_path, answer) as port:
            await make_pod(client, port, "c")
            await bind(client)
            response = await log(client, tailLines="5", follow="true", colour="red")
            assert await read_all(response) == b"line one\n"
        token = (await secret(client, "internal"))["token"].decode()
        path = "/containerLogs/default/p/c?follow=true&tailLines=5"
        assert asked == [(path, f"Bearer {token}")]

    run(tmp_path, story)


def test_what_the_node_refuses_is_refused(tmp_path):
    async def story(client):
        async def answer(request):
            return web.Response(status=404, text="no such container yet\n")

        async with node(client, tmp_path, answer) as port:
            await make_pod(client, port, "c")
            await bind(client)
            with pytest.raises(NotFound, match="no such container yet"):
                await log(client)

    run(tmp_path, story)


def test_a_container_must_be_named_when_there_are_several(tmp_path):
    async def story(client):
        await make_pod(client, 1, "a", "b")
        with pytest.raises(BadRequest, match="container name must be specified"):
            await log(client)
        with pytest.raises(BadRequest, match="container c is not valid"):
            await log(client, container="c")
        with pytest.raises(BadRequest, match="does not have a host assigned"):
            await log(client, container="a")

    run(tmp_path, story)


def test_a_node_that_is_away_is_named(tmp_path):
    async def story(client):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        await make_pod(client, port, "c")
        await bind(client)
        with pytest.raises(ServiceUnavailable, match="node n1 does not answer"):
            await log(client)
        await client.delete(NODE, "", "n1")
        with pytest.raises(NotFound, match='nodes "n1" not found'):
            await log(client)
        with pytest.raises(NotFound, match='pods "q" not found'):
            await client.raw("GET", POD.path("default", "q", "log"))

    run(tmp_path, story)
