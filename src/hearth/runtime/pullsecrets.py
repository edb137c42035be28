"""The pull secrets that a pod spec names, by itself and by its service account."""

from __future__ import annotations

from hearth.api.errors import ApiError, NotFound
from hearth.api.kinds import SECRET, SERVICE_ACCOUNT
from hearth.api.meta import Wire
from hearth.client import Client


async def pull_secrets(
    client: Client, namespace: str, pod_spec: Wire
) -> tuple[list[Wire], list[str]]:
    """The Secrets that there are, and the names of those that there are not.

    Raises:
        ApiError: a Secret cannot be read though it may be there.
    """
    references = list(pod_spec.get("imagePullSecrets") or ())
    account = pod_spec.get("serviceAccountName") or "default"
    try:
        found = await client.get(SERVICE_ACCOUNT, namespace, account)
        references += found.get("imagePullSecrets") or ()
    except ApiError:
        pass
    secrets, missing = [], []
    for name in dict.fromkeys(str(reference.get("name")) for reference in references):
        try:
            secrets.append(await client.get(SECRET, namespace, name))
        except NotFound:
            missing.append(name)
    return secrets, missing
