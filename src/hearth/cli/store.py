"""Puts packages into the platform's code store."""

from __future__ import annotations

from hearth.api.errors import MethodNotAllowed, NotFound
from hearth.api.kinds import HEARTH
from hearth.api.names import CODE_ANNOTATION
from hearth.cli.core.template import Blob
from hearth.cli.errors import Failure
from hearth.cli.session import Session
from hearth.cli.source import Archive


async def upload(session: Session, archive: Archive) -> tuple[Blob, bool]:
    """Where the package is now, and whether it had to be sent."""
    where = f"/namespaces/{session.namespace}/packages/{archive.digest}"
    path = f"/apis/{HEARTH}/v1alpha1{where}"
    blob = Blob(f"hearth://{where}", archive.digest)
    try:
        await session.client.raw("HEAD", path)
    except NotFound:
        headers = {"content-type": "application/octet-stream"}
        try:
            await session.client.raw("PUT", path, body=archive.content, headers=headers)
        except (NotFound, MethodNotAllowed) as error:
            said = (
                f"{session.server} has no store for packages, as a cluster's API server has none: "
                f"serve the package yourself, and name it by the annotation {CODE_ANNOTATION}"
            )
            raise Failure(said) from error
        return blob, True
    return blob, False
