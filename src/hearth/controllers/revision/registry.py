"""Asks registries which digest a tag has.

Source: github.com/opencontainers/distribution-spec ("Pulling manifests"); distribution.github.io's
token authentication; knative.dev/serving pkg/reconciler/revision/resolve.go.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import ssl
from collections.abc import Sequence
from typing import Any

import aiohttp

from hearth.api.images import DOCKER_HUB, Credential, Image

_ACCEPTED = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_HUB = "registry-1.docker.io"
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
#: What go-containerregistry, which Knative asks with, may speak to without TLS.
_PLAIN = re.compile(
    r"(localhost|127\.|\[::1\]|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|.*\.local(host)?(:|$))"
)
_LOOPBACK = re.compile(r"(localhost|127\.|\[::1\])")
_MANIFEST_MAX_BYTES = 4 * 2**20


class RegistryRefused(Exception):
    """The registry does not have the image, or not for these credentials; the message is its."""


class RegistryAway(Exception):
    """The registry did not answer as one; the message says how."""


async def digest_of(image: Image, credentials: Sequence[Credential], timeout_s: float) -> str:
    """The digest that the image's tag has now, ``sha256:…``.

    Args:
        image: with a tag.
        credentials: tried in this order, or none at all if there are none.
        timeout_s: for all of it.

    Raises:
        RegistryRefused: it cannot be had with any of the credentials.
        RegistryAway: the registry cannot tell just now.
    """
    try:
        async with (
            asyncio.timeout(timeout_s),
            aiohttp.ClientSession(trust_env=True, headers={"Accept": _ACCEPTED}) as session,
        ):
            return await _first(session, image, credentials or [Credential()])
    except TimeoutError as error:
        raise RegistryAway(f"{image.registry}: no answer within {timeout_s:g} s") from error


async def _first(
    session: aiohttp.ClientSession, image: Image, credentials: Sequence[Credential]
) -> str:
    refused: RegistryRefused | None = None
    for credential in credentials:
        try:
            return await _by_any_scheme(session, image, credential)
        except RegistryRefused as error:
            refused = error
    assert refused is not None
    raise refused


async def _by_any_scheme(
    session: aiohttp.ClientSession, image: Image, credential: Credential
) -> str:
    away: RegistryAway | None = None
    for scheme in _schemes(image.registry):
        host = _HUB if image.registry == DOCKER_HUB else image.registry
        url = f"{scheme}://{host}/v2/{image.repository}/manifests/{image.tag}"
        try:
            return await _ask(session, url, image, credential)
        except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as error:
            away = RegistryAway(f"{url}: {error or type(error).__name__}")
    assert away is not None
    raise away


def _schemes(registry: str) -> tuple[str, ...]:
    if _LOOPBACK.match(registry):
        return ("http", "https")
    return ("https", "http") if _PLAIN.match(registry) else ("https",)


async def _ask(
    session: aiohttp.ClientSession, url: str, image: Image, credential: Credential
) -> str:
    headers: dict[str, str] = {}
    async with session.head(url, allow_redirects=True) as first:
        status, found = first.status, first.headers
    if status == 401:
        headers = await _authorization(
            session, found.get("www-authenticate", ""), image, credential
        )
        async with session.head(url, headers=headers, allow_redirects=True) as second:
            status, found = second.status, second.headers
    if status == 200 and (digest := found.get("docker-content-digest")):
        return digest
    async with session.get(url, headers=headers) as whole:
        body = await whole.content.read(_MANIFEST_MAX_BYTES)
        if whole.status == 200:
            return f"sha256:{hashlib.sha256(body).hexdigest()}"
        said = f"GET {url}: {_why(body) or f'unexpected status code {whole.status}'}"
        if whole.status in (400, 401, 403, 404):
            raise RegistryRefused(said)
        raise RegistryAway(said)


def _why(body: bytes) -> str:
    """A registry's errors as go-containerregistry writes them."""
    try:
        errors = json.loads(body)["errors"]
        return "; ".join(f"{each['code']}: {each.get('message', '')}" for each in errors)
    except (ValueError, KeyError, TypeError):
        return ""


async def _authorization(
    session: aiohttp.ClientSession, challenge: str, image: Image, credential: Credential
) -> dict[str, str]:
    kind, _, rest = challenge.partition(" ")
    if credential.registry_token:
        return {"Authorization": f"Bearer {credential.registry_token}"}
    if kind.lower() != "bearer":
        return _basic(credential)
    asked = dict(_CHALLENGE.findall(rest))
    realm = asked.get("realm", "")
    query = {
        "service": asked.get("service", ""),
        "scope": asked.get("scope") or f"repository:{image.repository}:pull",
    }
    if credential.identity_token:
        more = {"grant_type": "refresh_token", "refresh_token": credential.identity_token}
        form = {**query, **more, "client_id": "hearth"}
        async with session.post(realm, data=form) as answer:
            return await _token(answer, realm)
    async with session.get(realm, params=query, headers=_basic(credential)) as answer:
        return await _token(answer, realm)


async def _token(answer: aiohttp.ClientResponse, realm: str) -> dict[str, str]:
    if answer.status in (400, 401, 403):
        raise RegistryRefused(f"GET {realm}: unexpected status code {answer.status}")
    said: Any = await answer.json(content_type=None)
    token = said.get("token") or said.get("access_token")
    return {"Authorization": f"Bearer {token}"}


def _basic(credential: Credential) -> dict[str, str]:
    if not credential.username:
        return {}
    known = base64.b64encode(f"{credential.username}:{credential.password}".encode())
    return {"Authorization": f"Basic {known.decode()}"}
