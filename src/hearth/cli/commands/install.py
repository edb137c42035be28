"""``hearth manifests``, ``install``, ``check`` and ``uninstall``: Hearth on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hearth.cli.command import examples, server_options
from hearth.cli.core.tables import format_fields
from hearth.cli.errors import Exit, Failure
from hearth.cli.output import colored, print_data
from hearth.cli.session import Session, Target, run

if TYPE_CHECKING:
    from hearth.api.meta import Wire
    from hearth.install import Finding, Options

F = TypeVar("F", bound=Callable[..., Any])
_TIMEOUT_S = 180.0
_TYPES = ("LoadBalancer", "NodePort", "ClusterIP")


def _choices(function: F) -> F:
    options = (
        click.option("--images", default="hearth.dev", show_default=True, metavar="PREFIX",
                     help="Where the images are: what is before their names."),
        click.option("--tag", metavar="TAG", help="Of the images; default: this version's."),
        click.option("--domain", default="localhost", show_default=True, metavar="NAME",
                     help="Suffix of apps' hosts, where config-domain says no other."),
        click.option("--gateways", type=click.IntRange(1), default=2, show_default=True,
                     metavar="N", help="How many."),
        click.option("--service-type", type=click.Choice(_TYPES), default=_TYPES[0],
                     show_default=True, help="Of the gateways' Service."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@click.command(
    epilog=examples(
        "hearth manifests --domain example.com > hearth.yaml",
        "hearth manifests | kubectl apply --server-side -f -",
    )
)
@_choices
def manifests(**choices: Any) -> None:
    """Print what an installation on a cluster consists of.

    The same objects that 'hearth install' applies: for those who keep manifests in a repository.
    """
    import yaml

    from hearth.install import make_manifests

    click.echo(yaml.safe_dump_all(make_manifests(_options(choices)), sort_keys=False), nl=False)


@click.command(
    epilog=examples(
        "hearth install --context my-cluster --domain example.com",
        "hearth install --service-type NodePort --gateways 1",
    )
)
@_choices
@click.option(
    "--timeout", type=click.FloatRange(0), default=_TIMEOUT_S, show_default=True,
    metavar="SECONDS", help="How long to wait until all is ready; 0 does not wait.",
)  # fmt: skip
@server_options
def install(*, target: Target, timeout: float, **choices: Any) -> None:
    """Put Hearth on a cluster, or bring it up to date there.

    Applies its objects (server-side, field manager hearth-install) and waits until they are ready.
    Refuses where 'hearth check' finds that it would not work.
    """
    from hearth.install import make_manifests

    wires = make_manifests(_options(choices))
    run(target, lambda session: _install(session, wires, timeout))


@click.command(epilog=examples("hearth check --context my-cluster", "hearth check -o json"))
@click.option("--output", "-o", type=click.Choice(("table", "json", "yaml")), default="table",
              show_default=True, help="How to print the result.")  # fmt: skip
@server_options
def check(*, target: Target) -> None:
    """Say what is missing or wrong on a cluster, and how to mend it.

    Before and after installation. Fails when something is wrong.
    """
    from hearth.install import check as look

    findings = run(target, lambda session: look(session.client))
    data = {
        found.what: {"ok": not found.is_fault, "says": found.says, "mend": found.mend}
        for found in findings
    }
    print_data(data, target.output, lambda _: _as_text(findings))
    if bad := [found.what for found in findings if found.is_fault]:
        raise Failure(f"wrong: {', '.join(bad)}", Exit.NOT_READY)


@click.command(
    epilog=examples(
        "hearth uninstall --context my-cluster --yes",
        "hearth uninstall --keep-apps     Services stay, as Knative's objects that nobody serves",
    )
)
@click.option("--keep-apps", is_flag=True, help="Leave the definitions, and so all Services.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@server_options
def uninstall(*, target: Target, keep_apps: bool, yes: bool) -> None:
    """Take Hearth off a cluster, with all Services unless they are to be kept."""
    from hearth.install import Options, make_manifests

    if not yes:
        what = "Hearth, but no Services" if keep_apps else "Hearth and ALL Services on the cluster"
        click.confirm(f"Remove {what}?", abort=True, err=True)
    wires = make_manifests(Options(tag=""))
    run(target, lambda session: _uninstall(session, wires, keep_apps))


async def _install(session: Session, wires: list[Wire], timeout_s: float) -> None:
    from hearth.install import check
    from hearth.install.applying import apply, wait_ready

    before = [found for found in await check(session.client) if found.is_fault]
    if stops := [found for found in before if found.what in _BEFORE]:
        raise Failure("; ".join(f"{f.what}: {f.says} ({f.mend})" for f in stops))
    client = session.client.managed_by("hearth-install")
    await apply(client, wires, _tell)
    if not timeout_s:
        return
    if waiting := await wait_ready(client, wires, timeout_s):
        said = "; ".join(waiting)
        raise Failure(f"not ready after {timeout_s:g} s: {said}", Exit.NOT_READY)
    click.echo("Hearth is ready.", err=True)


#: Findings that stop an installation; the others may be what it is to mend.
_BEFORE = ("Kubernetes", "rights", "Knative")


async def _uninstall(session: Session, wires: list[Wire], keep_apps: bool) -> None:
    from hearth.install.applying import remove
    from hearth.install.checking import Unanswered

    try:
        await remove(session.client, wires, keep_apps=keep_apps, tell=_tell)
    except Unanswered as error:
        raise Failure(str(error), Exit.NOT_READY) from error


def _tell(wire: Wire, done: str) -> None:
    from hearth.api.meta import name_of, namespace_of
    from hearth.install.applying import kind_of

    where = f"{namespace_of(wire)}/" if namespace_of(wire) else ""
    click.echo(f"{kind_of(wire)} {where}{name_of(wire)} {done}")


def _options(choices: dict[str, Any]) -> Options:
    from importlib.metadata import version

    from hearth.install import Options

    return Options(**{**choices, "tag": choices["tag"] or version("hearth-platform")})


def _as_text(findings: Sequence[Finding]) -> str:
    return format_fields(_fields(findings))


def _fields(findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    for found in findings:
        says = colored(found.says, False) if found.is_fault else found.says
        yield found.what, f"{says}\nto mend it: {found.mend}" if found.mend else says
