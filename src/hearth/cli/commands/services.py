"""``hearth list`` and ``hearth delete``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from hearth.api.kinds import SERVICE
from hearth.api.meta import Wire, condition_of, name_of, namespace_of, status_of
from hearth.cli.command import common_options, examples
from hearth.cli.completing import service_names
from hearth.cli.core.tables import format_table
from hearth.cli.output import age, print_objects
from hearth.cli.session import Session, Target, run
from hearth.cli.waiting import wait_until_gone

_GONE_TIMEOUT_S = 30.0


@click.command("list", epilog=examples("hearth list", "hearth list -A -o json"))
@click.option("--all-namespaces", "-A", is_flag=True, help="Those of all namespaces.")
@common_options
def list_services(target: Target, all_namespaces: bool) -> None:
    """List services."""

    async def work(session: Session) -> list[Wire]:
        where = "" if all_namespaces else session.namespace
        return (await session.client.list(SERVICE, where)).items

    def as_text(items: Sequence[Wire]) -> str:
        if not items:
            return "no services; deploy one with 'hearth deploy NAME --source DIR'"
        first = ["NAMESPACE"] if all_namespaces else []
        headings = [*first, "NAME", "READY", "URL", "LATEST", "AGE", "REASON"]
        return format_table(headings, (_row(item, all_namespaces) for item in items))

    print_objects(run(target, work), target.output, as_text)


def _row(service: Wire, with_namespace: bool) -> list[object]:
    ready, status = condition_of(service, "Ready") or {}, status_of(service)
    return [
        *([namespace_of(service)] if with_namespace else []),
        name_of(service),
        ready.get("status", "Unknown"),
        status.get("url"),
        status.get("latestReadyRevisionName"),
        age(service),
        ready.get("reason"),
    ]


@click.command(epilog=examples("hearth delete hello", "hearth delete hello goodbye -n team"))
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=service_names)
@click.option("--no-wait", is_flag=True, help="Do not wait until they are gone.")
@common_options
def delete(target: Target, names: Sequence[str], no_wait: bool) -> None:
    """Delete services with all their revisions."""

    async def work(session: Session) -> list[Wire]:
        gone = [await session.client.get(SERVICE, session.namespace, name) for name in names]
        for service in gone:
            await session.client.delete(SERVICE, session.namespace, name_of(service))
        for service in [] if no_wait else gone:
            await wait_until_gone(session, service, _GONE_TIMEOUT_S)
        return gone

    print_objects(
        run(target, work),
        target.output,
        lambda items: "\n".join(f"service {name_of(item)} deleted" for item in items),
    )
