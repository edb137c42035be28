"""``hearth pool``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

import click

from hearth.api.kinds import POD, POD_POOL
from hearth.api.meta import Wire, name_of, spec_of, status_of
from hearth.api.names import PODPOOL_LABEL, SYSTEM_NAMESPACE
from hearth.api.pods import is_ready, user_container
from hearth.cli.command import common_options, examples
from hearth.cli.core.tables import format_fields, format_table
from hearth.cli.errors import Exit, Failure
from hearth.cli.output import age, print_object, print_objects
from hearth.cli.progress import Progress
from hearth.cli.session import Session, Target, run

_DEFAULT_POOL = "python"
_POLL_S = 0.1  #: between two looks at a pool that fills


@click.group(
    invoke_without_command=True,
    epilog=examples("hearth pool", "hearth pool scale 20", "hearth pool describe python"),
)
@common_options
@click.pass_context
def pool(ctx: click.Context, target: Target) -> None:
    """Show and size the pools of warm pods."""
    if ctx.invoked_subcommand is None:
        _print_pools(target)


@pool.command("list", epilog=examples("hearth pool list", "hearth pool list -o json"))
@common_options
def list_pools(target: Target) -> None:
    """List pools: how many warm pods each should have and has, and how many it gave away."""
    _print_pools(target)


@pool.command(epilog=examples("hearth pool scale 20", "hearth pool scale 0 --pool python"))
@click.argument("replicas", type=click.IntRange(0))
@click.option("--pool", "name", default=_DEFAULT_POOL, show_default=True)
@click.option("--no-wait", is_flag=True, help="Do not wait until it is filled.")
@click.option("--wait-timeout", type=float, default=60, show_default=True, metavar="SECONDS")
@common_options
def scale(*, target: Target, replicas: int, name: str, no_wait: bool, wait_timeout: float) -> None:
    """Keep that many pods warm."""

    async def work(session: Session) -> Wire:
        wanted = {"spec": {"replicas": replicas}}
        await session.client.patch(POD_POOL, SYSTEM_NAMESPACE, name, wanted, subresource="scale")
        if no_wait:
            return await _get(session, name)
        return await _filled(session, name, replicas, wait_timeout)

    print_object(run(target, work), target.output, lambda wire: f"pool {name} scaled to {replicas}")


@pool.command(epilog=examples("hearth pool describe", "hearth pool describe python -o yaml"))
@click.argument("name", default=_DEFAULT_POOL)
@common_options
def describe(target: Target, name: str) -> None:
    """Show a pool and its warm pods."""

    async def work(session: Session) -> tuple[Wire, Sequence[Wire]]:
        found = await _get(session, name)
        own = f"{PODPOOL_LABEL}={name}"
        pods = await session.client.list(POD, SYSTEM_NAMESPACE, label_selector=own)
        return found, pods.items

    found, pods = run(target, work)
    print_object(found, target.output, lambda wire: _describe(wire, pods))


def _print_pools(target: Target) -> None:
    async def work(session: Session) -> Sequence[Wire]:
        return (await session.client.list(POD_POOL, SYSTEM_NAMESPACE)).items

    print_objects(run(target, work), target.output, format_pools)


def format_pools(pools: Sequence[Wire]) -> str:
    """A row a pool."""
    headings = ("POOL", "WANTED", "WARM", "CLAIMED", "PRELOAD", "AGE")
    return format_table(headings, (_row(one) for one in pools))


def _row(one: Wire) -> list[object]:
    preload = ",".join(spec_of(one).get("preload") or ())
    status = status_of(one)
    warm, claimed = status.get("readyReplicas", 0), status.get("claimed", 0)
    return [name_of(one), spec_of(one).get("replicas", 0), warm, claimed, preload, age(one)]


async def _get(session: Session, name: str) -> Wire:
    return await session.client.get(POD_POOL, SYSTEM_NAMESPACE, name)


async def _filled(session: Session, name: str, replicas: int, timeout_s: float) -> Wire:
    progress, found = Progress(), await _get(session, name)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s), progress.ticking():
            while (warm := status_of(found).get("readyReplicas", 0)) != replicas:
                progress.waiting(f"{warm} of {replicas} pods are warm")
                await asyncio.sleep(_POLL_S)
                found = await _get(session, name)
            return found
    warm = status_of(found).get("readyReplicas", 0)
    said = f"pool {name}: {warm} pods are warm after {timeout_s:g} s, expected {replicas}"
    raise Failure(said, Exit.NOT_READY)


def _describe(one: Wire, pods: Sequence[Wire]) -> str:
    return "\n\n".join(_sections(one, pods))


def _sections(one: Wire, pods: Sequence[Wire]) -> Iterator[str]:
    spec, status = spec_of(one), status_of(one)
    container = user_container((spec.get("template") or {}).get("spec") or {})
    yield format_fields(
        [
            ("Name", name_of(one)),
            ("Image", container.get("image")),
            ("Preload", ", ".join(spec.get("preload") or ()) or "nothing"),
            ("Wanted", spec.get("replicas", 0)),
            ("Warm", status.get("readyReplicas", 0)),
            ("Claimed", status.get("claimed", 0)),
            ("Age", age(one)),
        ]
    )
    for condition in status.get("conditions") or ():
        said = (condition["type"], condition["status"], condition.get("message"))
        yield ": ".join(filter(None, said))
    rows = ((name_of(pod), "yes" if is_ready(pod) else "no", age(pod)) for pod in pods)
    yield format_table(("POD", "WARM", "AGE"), rows)
