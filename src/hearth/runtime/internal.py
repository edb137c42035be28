"""By what components in different processes know each other: Secrets in ``hearth-system``."""

from __future__ import annotations

import base64
import ssl
import tempfile

from hearth.api.kinds import SECRET
from hearth.api.names import SYSTEM_NAMESPACE
from hearth.client import Client


async def internal_secret(client: Client, name: str) -> dict[str, bytes]:
    """The data of ``internal`` (the shared token) or ``internal-tls`` (the certificate)."""
    wire = await client.get(SECRET, SYSTEM_NAMESPACE, name)
    return {key: base64.b64decode(value) for key, value in wire["data"].items()}


async def internal_server_context(client: Client) -> ssl.SSLContext:
    """For serving other components with the certificate of ``internal-tls``."""
    tls = await internal_secret(client, "internal-tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # ssl reads files only
        file.write(tls["tls.crt"] + b"\n" + tls["tls.key"])
        file.flush()
        context.load_cert_chain(file.name)
    return context
