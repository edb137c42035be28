"""How the processes of a platform in parts reach its API server, and know each other."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec

from hearth.api.errors import NotFound
from hearth.api.kinds import POD, Kind
from hearth.api.names import OWN_POD_LABEL
from hearth.client import Client
from hearth.client.client import read_all
from hearth.client.http import HttpHandler
from hearth.client.incluster import in_cluster
from hearth.client.kubeconfig import load_kubeconfig
from hearth.runtime.internal import internal_secret
from hearth.up.settings import Settings

_OURS = "+hearth"  #: in the version that our own API server says
_ACQUAINTED_AFTER_S = 60.0  #: a cluster's controller makes the Secrets when it starts


class WrongSubstrateError(Exception):
    """The API server is not of the kind that the settings say."""


@contextlib.asynccontextmanager
async def connected(
    settings: Settings, kubeconfig: Path | None, manager: str
) -> AsyncIterator[Client]:
    """A client of the server that the kubeconfig names; None: of the cluster that we are a pod of.

    Raises:
        WrongSubstrateError: it is not what the settings say.
        KubeconfigError: it names none.
        ConnectionError: it does not answer.
    """
    server = load_kubeconfig(kubeconfig) if kubeconfig else in_cluster(os.environ)
    async with HttpHandler.to(server) as handler:
        client = Client(handler, field_manager=manager, tenant_in_path=False)
        await _check(client, settings, server.url)
        yield client


async def _check(client: Client, settings: Settings, url: str) -> None:
    answer = await client.raw("GET", "/version")
    version = str(msgspec.json.decode(await read_all(answer)).get("gitVersion"))
    if version.endswith(_OURS) != (settings.substrate == "hearth"):
        said = f"API server {url}: is {version}, and the setting substrate is {settings.substrate}"
        raise WrongSubstrateError(said)


def narrowed(settings: Settings) -> Mapping[Kind, str]:
    """Which objects of a kind are ours, where others have some, too."""
    return {POD: OWN_POD_LABEL} if settings.substrate == "kubernetes" else {}


async def acquainted(client: Client) -> tuple[str, str]:
    """The token that gateways show to autoscalers, and the PEM of those' authority.

    Raises:
        NotFound: no controller has made them.
    """
    deadline = asyncio.get_running_loop().time() + _ACQUAINTED_AFTER_S
    while True:
        try:
            token = (await internal_secret(client, "internal"))["token"].decode()
            return token, (await internal_secret(client, "internal-tls"))["ca.crt"].decode()
        except NotFound:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.5)
