"""Asking registries of several ways for a tag's digest."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket

import pytest
from aiohttp import web

from hearth.api.images import Credential, Image
from hearth.controllers.revision.registry import RegistryAway, RegistryRefused, digest_of

BODY = b'{"schemaVersion": 2}'
DIGEST = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
READER = Credential("reader", "secret")
BASIC = f"Basic {base64.b64encode(b'reader:secret').decode()}"


class Fake:
    """A registry that lets in by ``scheme``: open, basic or bearer."""

    def __init__(self, scheme: str, *, says_digest: bool = True, status: int = 200) -> None:
        self.scheme, self.says_digest, self.status = scheme, says_digest, status
        self.asked: list[dict[str, str]] = []

    async def manifest(self, request: web.Request) -> web.Response:
        given = request.headers.get("authorization", "")
        here = f"http://{request.host}"
        challenge = {
            "basic": ("Basic realm=r", BASIC),
            "bearer": (f'Bearer realm="{here}/token",service="s"', "Bearer t0ken"),
            "open": ("", ""),
        }[self.scheme]
        if given != challenge[1]:
            errors = {"errors": [{"code": "UNAUTHORIZED", "message": "who are you"}]}
            headers = {"www-authenticate": challenge[0]}
            return web.json_response(errors, status=401, headers=headers)
        if self.status != 200:
            errors = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "no such tag"}]}
            return web.Response(status=self.status, text=json.dumps(errors))
        headers = {"docker-content-digest": DIGEST} if self.says_digest else {}
        return web.Response(body=BODY, headers=headers)

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.asked.append({**request.query, **{k: str(v) for k, v in form.items()}})
        known = request.headers.get("authorization") == BASIC or form.get("refresh_token") == "id"
        return web.json_response({"access_token" if form else "token": "t0ken" if known else "no"})


def ask(fake: Fake, *credentials: Credential, timeout_s: float = 5) -> str:
    async def story() -> str:
        app = web.Application()
        app.router.add_get("/v2/team/app/manifests/1", fake.manifest)
        app.router.add_route("*", "/token", fake.token)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            image = Image.parse(f"127.0.0.1:{runner.addresses[0][1]}/team/app:1")
            return await digest_of(image, credentials, timeout_s)
        finally:
            await runner.cleanup()

    return asyncio.run(story())


@pytest.mark.parametrize(
    ("scheme", "credentials"),
    [
        pytest.param("open", [], id="open"),
        pytest.param("basic", [READER], id="basic"),
        pytest.param("basic", [Credential("reader", "old"), READER], id="the-second-of-two"),
        pytest.param("bearer", [READER], id="bearer"),
        pytest.param("bearer", [Credential(identity_token="id")], id="identity-token"),
        pytest.param("bearer", [Credential(registry_token="t0ken")], id="registry-token"),
    ],
)
def test_the_digest_is_told_to_who_may_know_it(scheme, credentials):
    assert ask(Fake(scheme), *credentials) == DIGEST


def test_a_token_is_asked_for_what_is_pulled():
    fake = Fake("bearer")
    ask(fake, READER)
    assert fake.asked == [{"service": "s", "scope": "repository:team/app:pull"}]


def test_a_registry_that_names_no_digest_has_one_all_the_same():
    assert ask(Fake("open", says_digest=False)) == DIGEST


@pytest.mark.parametrize(
    ("fake", "credentials", "said"),
    [
        pytest.param(Fake("basic"), [], "UNAUTHORIZED: who are you", id="nobody"),
        pytest.param(Fake("bearer"), [Credential("a", "b")], "UNAUTHORIZED", id="a-stranger"),
        pytest.param(Fake("open", status=404), [], "MANIFEST_UNKNOWN: no such tag", id="unknown"),
    ],
)
def test_a_refusal_says_what_the_registry_says(fake, credentials, said):
    with pytest.raises(RegistryRefused, match=said):
        ask(fake, *credentials)


def test_a_registry_in_trouble_has_not_refused():
    with pytest.raises(RegistryAway):
        ask(Fake("open", status=503))


def test_a_registry_that_is_not_there_has_not_refused():
    async def story() -> None:
        await digest_of(Image.parse("127.0.0.1:1/team/app:1"), (), 5)

    with pytest.raises(RegistryAway, match=r"127\.0\.0\.1:1"):
        asyncio.run(story())


def test_a_registry_that_does_not_answer_is_waited_for_that_long():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        image = Image.parse(f"127.0.0.1:{deaf.getsockname()[1]}/team/app:1")
        with pytest.raises(RegistryAway, match=r"no answer within 0\.2 s"):
            asyncio.run(digest_of(image, (), 0.2))
