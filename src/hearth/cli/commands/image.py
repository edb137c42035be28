"""``hearth image``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

from hearth.api.kinds import NODE
from hearth.api.meta import Wire, is_condition_true, name_of
from hearth.cli.command import common_options, examples
from hearth.cli.core.tables import format_table
from hearth.cli.errors import Exit, Failure
from hearth.cli.output import print_data
from hearth.cli.session import Session, Target, run
from hearth.client.client import read_all

_MIB = 2**20


@click.group(
    invoke_without_command=True,
    epilog=examples("hearth image", "hearth image load hello.tar"),
)
@common_options
@click.pass_context
def image(ctx: click.Context, target: Target) -> None:
    """Show and load the container images of nodes."""
    if ctx.invoked_subcommand is None:
        _print_images(target)


@image.command("list", epilog=examples("hearth image list", "hearth image list -o json"))
@common_options
def list_images(target: Target) -> None:
    """List the images that nodes have."""
    _print_images(target)


@image.command(epilog=examples("hearth image load hello.tar", "hearth image load a.tar --node n1"))
@click.argument("archives", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--node", "nodes", multiple=True, metavar="NAME", help="Only there; may be repeated.")
@common_options
def load(*, target: Target, archives: Sequence[Path], nodes: Sequence[str]) -> None:
    """Load images from archives, as docker save and OCI tools write them, into every node.

    A service can then name them without a registry.
    """

    async def work(session: Session) -> list[Wire]:
        loaded = []
        for archive in archives:
            for node in nodes or await _ready_nodes(session):
                for name in await _load(session, node, archive):
                    loaded.append({"node": node, "image": name})
        return loaded

    found = run(target, work)
    print_data(found, target.output, lambda rows: "\n".join(map(_loaded, rows)))


def _loaded(row: Wire) -> str:
    return f"image {row['image']} loaded into node {row['node']}"


async def _ready_nodes(session: Session) -> list[str]:
    found = (await session.client.list(NODE)).items
    ready = [name_of(node) for node in found if is_condition_true(node, "Ready")]
    if not ready:
        raise Failure(f"none of {len(found)} nodes is ready", Exit.NOT_READY)
    return ready


async def _load(session: Session, node: str, archive: Path) -> list[str]:
    headers = {"content-type": "application/x-tar"}
    try:
        with archive.open("rb") as file:
            response = await session.client.raw(
                "POST", _path(node), body=_pieces(file), headers=headers
            )
    except OSError as error:
        if error.filename is None:  # of the connection
            raise
        raise Failure(f"{archive}: {error.strerror}", Exit.NOT_FOUND) from error
    names = [name for each in await _told(response) for name in each["names"]]
    if not names:
        raise Failure(f"{archive}: holds no image with a name")
    return names


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    """An image may be larger than this machine's memory."""
    while piece := await asyncio.to_thread(file.read, _MIB):
        yield piece


async def _told(response: Any) -> list[Wire]:
    images: list[Wire] = msgspec.json.decode(await read_all(response))["images"]
    return images


def _path(node: str) -> str:
    return f"/api/v1/nodes/{node}/proxy/images"


def _print_images(target: Target) -> None:
    async def work(session: Session) -> list[Wire]:
        found = []
        for node in await _ready_nodes(session):
            told = await _told(await session.client.raw("GET", _path(node)))
            found += [{"node": node, **each} for each in told]
        return found

    print_data(run(target, work), target.output, _table)


def _table(images: Sequence[Wire]) -> str:
    if not images:
        return "No images."
    rows = []
    for each in images:
        tags = [name for name in each["names"] if "@" not in name]
        size = f"{each.get('sizeBytes', 0) / _MIB:.1f} MiB"
        rows += [(name, size, each["node"]) for name in tags or each["names"][:1]]
    return format_table(("IMAGE", "SIZE", "NODE"), rows)
