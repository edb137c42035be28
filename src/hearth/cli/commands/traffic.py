"""``hearth traffic``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from hearth.api.errors import Conflict
from hearth.api.kinds import REVISION, SERVICE
from hearth.api.meta import Wire, spec_of, status_of
from hearth.cli.command import common_options, examples
from hearth.cli.completing import revision_names, service_names
from hearth.cli.core.tables import format_table
from hearth.cli.core.traffic import LATEST, BadSplit, Change, change_traffic, missing_tags
from hearth.cli.errors import Exit, Failure
from hearth.cli.output import print_object
from hearth.cli.progress import Progress
from hearth.cli.session import Session, Target, run
from hearth.cli.waiting import wait_until_ready

_TRIES_MAX = 5  #: when someone else writes the Service at the same time


@click.command(
    epilog=examples(
        "hearth traffic hello                                 show the split",
        "hearth traffic hello --to hello-00002=20             the rest stays where it is",
        "hearth traffic hello --to hello-00001=100            roll back",
        "hearth traffic hello --latest 100                    follow every new revision",
        "hearth traffic hello --tag hello-00002=next          reach it by a URL of its own",
    )
)
@click.argument("name", shell_complete=service_names)
@click.option("--to", "to", multiple=True, metavar="REVISION=PERCENT",
              shell_complete=revision_names,
              help="Send that share to the revision; what the given shares leave of 100 stays "
              "with the others. May be repeated.")  # fmt: skip
@click.option("--latest", type=click.IntRange(0, 100), metavar="PERCENT",
              help="Send that share to whichever revision is the latest.")  # fmt: skip
@click.option("--tag", "tag", multiple=True, metavar="REVISION=TAG",
              help="Give the revision (or @latest) a URL of its own.")  # fmt: skip
@click.option("--untag", multiple=True, metavar="TAG", help="Take a tag away.")
@click.option("--no-wait", is_flag=True, help="Do not wait until the gateways have it.")
@click.option("--wait-timeout", type=float, default=60, show_default=True, metavar="SECONDS")
@common_options
def traffic(
    *,
    target: Target,
    name: str,
    to: Sequence[str],
    latest: int | None,
    tag: Sequence[str],
    untag: Sequence[str],
    no_wait: bool,
    wait_timeout: float,
) -> None:
    """Show or change how requests are shared out.

    Without options nothing is changed.
    """
    change = _change(to, latest, tag, untag)

    async def work(session: Session) -> Wire:
        if change == Change():
            return await session.client.get(SERVICE, session.namespace, name)
        await _check(session, name, change)
        service = await _write(session, name, change)
        if no_wait:
            return service
        return await wait_until_ready(session, service, Progress(), wait_timeout)

    print_object(run(target, work), target.output, _as_text)


def _change(
    to: Iterable[str], latest: int | None, tag: Iterable[str], untag: Iterable[str]
) -> Change:
    percents = {}
    for revision, percent in (_pair(one, "--to", "REVISION=PERCENT") for one in to):
        if not percent.isdigit() or int(percent) > 100:
            raise click.UsageError(f"--to {revision}={percent}: expected a percentage, 0 to 100")
        percents[revision] = int(percent)
    if latest is not None:
        percents[LATEST] = latest
    tags = {t: revision for revision, t in (_pair(one, "--tag", "REVISION=TAG") for one in tag)}
    return Change(percents, tags, frozenset(untag))


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not left or not equals or not right:
        raise click.UsageError(f"{option} {text}: expected {form}")
    return left, right


async def _check(session: Session, name: str, change: Change) -> None:
    """Raises ``NotFound`` for a revision that does not exist."""
    for revision in {*change.percents, *change.tags.values()} - {LATEST}:
        await session.client.get(REVISION, session.namespace, revision)


async def _write(session: Session, name: str, change: Change) -> Wire:
    for _ in range(_TRIES_MAX):
        service = await session.client.get(SERVICE, session.namespace, name)
        if unknown := missing_tags(service, change.untag):
            said = f"service {name}: has no tag {', '.join(unknown)}"
            raise Failure(said, Exit.NOT_FOUND)
        try:
            targets = change_traffic(service, change)
        except BadSplit as error:
            raise click.UsageError(f"service {name}: {error}") from error
        version = {"resourceVersion": service["metadata"]["resourceVersion"]}
        patch = {"metadata": version, "spec": {"traffic": targets}}
        try:
            return await session.client.patch(SERVICE, session.namespace, name, patch)
        except Conflict:
            continue
    raise Failure(f"service {name}: others kept writing it while its traffic was to be changed")


def _as_text(service: Wire) -> str:
    targets = status_of(service).get("traffic") or spec_of(service).get("traffic") or ()
    rows = (
        [
            target.get("revisionName") or LATEST,
            f"{target.get('percent') or 0}%",
            "yes" if target.get("latestRevision") else "",
            target.get("tag"),
            target.get("url"),
        ]
        for target in targets
    )
    return format_table(("REVISION", "TRAFFIC", "LATEST", "TAG", "URL"), rows)
