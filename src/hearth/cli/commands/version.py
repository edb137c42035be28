"""``hearth version``."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from hearth.api.errors import ApiError
from hearth.cli.command import common_options, examples
from hearth.cli.errors import Failure
from hearth.cli.output import print_data
from hearth.cli.session import Session, Target, run

_DISTRIBUTION = "hearth-platform"


@click.command(epilog=examples("hearth version", "hearth version -o json"))
@common_options
def version(target: Target) -> None:
    """Print versions: ours, the server's."""
    from importlib.metadata import version as version_of

    said: dict[str, Any] = {"client": version_of(_DISTRIBUTION)}
    try:
        said["server"] = run(target, server_version)
    except (ApiError, ConnectionError, Failure) as error:
        said["serverError"] = str(error)
    print_data(said, target.output, _as_text)


async def server_version(session: Session) -> str:
    """What the API server calls itself, ``v1.35.0+hearth`` or alike."""
    from hearth.client.client import read_all

    answer = await session.client.raw("GET", "/version")
    return str(msgspec.json.decode(await read_all(answer)).get("gitVersion", "unknown"))


def _as_text(said: dict[str, Any]) -> str:
    server = said.get("server") or f"not reached ({said.get('serverError')})"
    return f"client {said['client']}\nserver {server}"
