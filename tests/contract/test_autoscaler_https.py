"""A gateway in another process meets the autoscaler that one in the same process would."""

from __future__ import annotations

import asyncio
import socket

import pytest

from hearth.api.activation import (
    ActivateRequest,
    Activation,
    ActivationError,
    ActivationFailure,
    RevisionStat,
    StatReport,
)
from hearth.apiserver import open_apiserver
from hearth.autoscaler import serve_autoscaler
from hearth.client import Client
from hearth.gateway.autoscaler_client import AutoscalerClient
from hearth.runtime.internal import internal_secret, internal_server_context

GOT = Activation("default/p", "10.0.0.1:8080", {"claimed": 0.001}, "pool")
BROKEN = ActivationFailure(503, "CodeInvalid", "app.py: line 1: no good")


class Scripted:
    """Answers by the revision's name; notes what it was told."""

    def __init__(self):
        self.reported = []
        self.left = asyncio.Event()

    async def activate(self, request):
        if request.revision == "broken":
            raise ActivationError(BROKEN)
        if request.revision == "slow":
            try:
                await asyncio.sleep(3600)
            finally:
                self.left.set()
        return GOT

    async def report(self, report):
        self.reported.append(report)


def run(tmp_path, story):
    async def whole():
        async with open_apiserver(tmp_path / "state", "127.0.0.1", 0) as api:
            client = Client(api.handler, token=api.tokens["admin"])
            token = (await internal_secret(client, "internal"))["token"].decode()
            authority = (await internal_secret(client, "internal-tls"))["ca.crt"].decode()
            context = await internal_server_context(client)
            scripted, sock = Scripted(), socket.create_server(("127.0.0.1", 0))
            url = f"https://127.0.0.1:{sock.getsockname()[1]}"
            server = asyncio.create_task(serve_autoscaler(scripted, sock, context, token))
            remote = AutoscalerClient(url, token, authority)
            stranger = AutoscalerClient(url, "wröng", authority)
            try:
                await story(scripted, remote, stranger)
            finally:
                await remote.close()
                await stranger.close()
                server.cancel()
                await asyncio.wait([server])

    asyncio.run(whole())


def test_an_activation_and_its_phases_come_through(tmp_path):
    async def story(scripted, remote, stranger):
        assert await remote.activate(ActivateRequest("default", "app")) == GOT

    run(tmp_path, story)


def test_a_failure_comes_through_with_its_words(tmp_path):
    async def story(scripted, remote, stranger):
        with pytest.raises(ActivationError) as raised:
            await remote.activate(ActivateRequest("default", "broken"))
        assert raised.value.failure == BROKEN

    run(tmp_path, story)


@pytest.mark.filterwarnings("ignore:Sending a large body")
def test_figures_of_very_many_revisions_come_through(tmp_path):
    async def story(scripted, remote, stranger):
        stats = [RevisionStat("default", f"app-{number}", held=1.0) for number in range(20_000)]
        await remote.report(StatReport("g", 0.1, stats))
        assert scripted.reported == [StatReport("g", 0.1, stats)]

    run(tmp_path, story)


def test_a_stranger_is_not_heard(tmp_path):
    async def story(scripted, remote, stranger):
        with pytest.raises(ConnectionError, match="401"):
            await stranger.activate(ActivateRequest("default", "app"))
        await stranger.report(StatReport("g", 0.1, []))
        assert scripted.reported == []

    run(tmp_path, story)


def test_a_gateway_that_goes_away_lets_go_of_its_wait(tmp_path):
    async def story(scripted, remote, stranger):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await remote.activate(ActivateRequest("default", "slow"))
        async with asyncio.timeout(5):
            await scripted.left.wait()

    run(tmp_path, story)
