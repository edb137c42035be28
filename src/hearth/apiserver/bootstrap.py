"""What is there from the start: namespaces, and the secrets by which parts know each other."""

from __future__ import annotations

import asyncio
import base64
import secrets

from hearth.api.access import bootstrap_roles
from hearth.api.accounts import ROOT_CA
from hearth.api.config.initial import initial_config_maps
from hearth.api.errors import AlreadyExists
from hearth.api.kinds import (
    CLUSTER_ROLE,
    CONFIG_MAP,
    NAMESPACE,
    SECRET,
    SERVICE_ACCOUNT,
    STORAGE_CLASS,
    Kind,
)
from hearth.api.meta import Wire
from hearth.api.names import KNATIVE_NAMESPACE, SYSTEM_NAMESPACE
from hearth.api.storage import local_class
from hearth.apiserver.pki import Pki
from hearth.client import Client

NAMESPACES = ("default", "kube-system", "kube-public", SYSTEM_NAMESPACE, KNATIVE_NAMESPACE)


async def bootstrap(client: Client, pki: Pki) -> None:
    """Create what is absent; the certificate's secret always holds the one in use.

    Side by side, because what is written at the same time is made durable at once.
    """
    await asyncio.gather(
        *(_create(client, NAMESPACE, {"metadata": {"name": name}}) for name in NAMESPACES)
    )
    tls = _secret(
        "internal-tls",
        **{
            "tls.crt": pki.certificate.read_bytes(),
            "tls.key": pki.key.read_bytes(),
            "ca.crt": pki.ca.read_bytes(),
        },
    )
    token, key = secrets.token_urlsafe(32).encode(), secrets.token_bytes(32)
    await asyncio.gather(
        *(_furnish(client, name, pki) for name in NAMESPACES),
        *(_create(client, CONFIG_MAP, wire) for wire in initial_config_maps()),
        *(_create(client, CLUSTER_ROLE, role) for role in bootstrap_roles()),
        _create(client, STORAGE_CLASS, local_class()),
        _create(client, SECRET, _secret("internal", token=token)),
        _create(client, SECRET, _secret("pool-key", key=key)),
        client.apply(SECRET, tls),
    )


async def _furnish(client: Client, namespace: str, pki: Pki) -> None:
    """The service account of the namespace's pods, and the authority that they trust."""
    meta = {"namespace": namespace}
    trust = {"metadata": {"name": ROOT_CA, **meta}, "data": {"ca.crt": pki.ca.read_text()}}
    await asyncio.gather(
        _create(client, SERVICE_ACCOUNT, {"metadata": {"name": "default", **meta}}),
        client.apply(CONFIG_MAP, trust),
    )


def _secret(name: str, **data: bytes) -> Wire:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE},
        "type": "Opaque",
        "data": encoded,
    }


async def _create(client: Client, kind: Kind, wire: Wire) -> None:
    try:
        await client.create(kind, {"apiVersion": kind.api_version, "kind": kind.kind, **wire})
    except AlreadyExists:
        return
