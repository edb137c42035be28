"""``hearth deploy``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hearth.api.errors import AlreadyExists, ApiError, Conflict, NotFound
from hearth.api.kinds import REVISION, SERVICE
from hearth.api.meta import Wire, generation_of, status_of
from hearth.api.names import RUNTIME_IMAGE_PREFIX
from hearth.cli.command import common_options, examples
from hearth.cli.completing import service_names
from hearth.cli.core.readiness import Phase, outlook_of
from hearth.cli.core.tables import format_bytes
from hearth.cli.core.template import Blob, Port, Scale, Wanted, new_service, service_patch
from hearth.cli.errors import Failure
from hearth.cli.output import print_object
from hearth.cli.pods import last_lines
from hearth.cli.progress import Progress
from hearth.cli.session import Session, Target, run
from hearth.cli.waiting import wait_until_ready

if TYPE_CHECKING:
    from hearth.cli.source import Archive

ENTRYPOINT_VARIABLE = "HEARTH_ENTRYPOINT"
_TRIES_MAX = 5  #: when someone else writes the Service at the same time
_LOG_LINES = 20  #: of an app that failed


@dataclass(frozen=True, slots=True)
class _Deployment:
    name: str
    source: Path
    wanted: Wanted  #: complete but for the packages
    wait_timeout_s: float | None  #: None: do not wait


@click.command(
    epilog=examples(
        "hearth deploy hello --source .",
        "hearth deploy hello --source . --env GREETING=Hi --min-scale 1 --concurrency 10",
        "hearth deploy hello --source . --no-traffic      then: hearth traffic hello --to ...",
        "hearth deploy chat --source . --port h2c:8080    HTTP/2 and gRPC",
    )
)
@click.argument("name", shell_complete=service_names)
@click.option("--source", required=True, type=click.Path(path_type=Path), metavar="DIR",
              help="The app: app.py, main.py, wsgi.py or asgi.py with an app, application or "
              "handle, or a Procfile; requirements.txt is installed.")  # fmt: skip
@click.option("--runtime", type=click.Choice(["python"]), default="python", show_default=True)
@click.option("--entrypoint", metavar="MODULE:NAME", help="What to serve, if it is not found.")
@click.option("--env", "-e", multiple=True, metavar="KEY=VALUE",
              help="Set a variable; KEY- removes one. May be repeated.")  # fmt: skip
@click.option("--port", metavar="[h2c:]PORT", help="Where the app listens; default: 8080.")
@click.option("--concurrency", type=click.IntRange(0), metavar="N",
              help="Requests in flight per pod; 0: no limit.")  # fmt: skip
@click.option("--min-scale", type=click.IntRange(0), metavar="N", help="Pods at least.")
@click.option("--max-scale", type=click.IntRange(0), metavar="N", help="Pods at most; 0: any.")
@click.option("--initial-scale", type=click.IntRange(0), metavar="N",
              help="Pods that must be ready first; default: 1.")  # fmt: skip
@click.option("--timeout", type=click.IntRange(1), metavar="SECONDS",
              help="For one request; default: 300.")  # fmt: skip
@click.option("--annotation", multiple=True, metavar="KEY=VALUE",
              help="Annotate the revision; KEY- removes one. May be repeated.")  # fmt: skip
@click.option("--revision-name", default="", metavar="NAME", help="Default: NAME-00001 and so on.")
@click.option("--no-traffic", is_flag=True, help="Leave all requests with the revisions there are.")
@click.option("--no-wait", is_flag=True, help="Do not wait until it is ready.")
@click.option("--wait-timeout", type=float, default=120, show_default=True, metavar="SECONDS")
@common_options
def deploy(
    *,
    target: Target,
    name: str,
    source: Path,
    runtime: str,
    entrypoint: str | None,
    env: Sequence[str],
    port: str | None,
    concurrency: int | None,
    min_scale: int | None,
    max_scale: int | None,
    initial_scale: int | None,
    timeout: int | None,
    annotation: Sequence[str],
    revision_name: str,
    no_traffic: bool,
    no_wait: bool,
    wait_timeout: float,
) -> None:
    """Deploy a directory as a service.

    Makes the service, or a new revision of it. Settings that are not given stay as they are.
    Prints the service's URL.
    """
    variables = _pairs("--env", env)
    if entrypoint:
        variables[ENTRYPOINT_VARIABLE] = entrypoint
    wanted = Wanted(
        image=f"{RUNTIME_IMAGE_PREFIX}{runtime}",
        code=Blob("", ""),
        env=variables,
        annotations=_pairs("--annotation", annotation),
        scale=Scale(min_scale, max_scale, initial_scale),
        port=_port(port) if port else None,
        concurrency=concurrency,
        timeout_s=timeout,
        revision_name=revision_name,
        pin_traffic=no_traffic,
    )
    deployment = _Deployment(name, source, wanted, None if no_wait else wait_timeout)
    service = run(target, lambda session: _deploy(session, deployment, Progress()))
    print_object(service, target.output, lambda wire: str(status_of(wire).get("url") or ""))


def _pairs(option: str, given: Sequence[str]) -> dict[str, str | None]:
    """``KEY=VALUE`` sets, ``KEY-`` removes (as with kubectl and kn)."""
    pairs: dict[str, str | None] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if equals and key:
            pairs[key] = value
        elif not equals and key.endswith("-") and key != "-":
            pairs[key.removesuffix("-")] = None
        else:
            raise click.UsageError(f"{option} {one}: expected KEY=VALUE or KEY-")
    return pairs


def _port(text: str) -> Port:
    protocol, colon, number = text.rpartition(":")
    if not number.isdigit() or (colon and protocol not in ("h2c", "http1")):
        raise click.UsageError(f"--port {text}: expected PORT, h2c:PORT or http1:PORT")
    return Port(int(number), protocol)


async def _deploy(session: Session, what: _Deployment, progress: Progress) -> Wire:
    _check_entry(what)
    async with progress.ticking():
        wanted = await _with_packages(session, what, progress)
    before, service = await _write(session, what.name, wanted)
    if generation_of(before) == generation_of(service):
        progress.done("service", f"{what.name} is unchanged")
    else:
        progress.done("service", f"{what.name} is {'updated' if before else 'created'}")
    if what.wait_timeout_s is None:
        return service
    try:
        service = await wait_until_ready(session, service, progress, what.wait_timeout_s)
    except Failure as failure:
        raise await _with_details(session, what.name, failure) from failure
    progress.done("ready", _readiness(service))
    return service


def _check_entry(what: _Deployment) -> None:
    """Raises ``Failure`` when a pod would not find anything to run in the source."""
    from hearth.loader.entry import find_entry
    from hearth.loader.packages import CodeError

    if not what.source.is_dir():
        found = "is a file" if what.source.exists() else "does not exist"
        raise Failure(f"source {what.source}: {found}, expected a directory")
    env = {key: value for key, value in what.wanted.env.items() if value is not None}
    try:
        find_entry(what.source, (), (), env)
    except CodeError as error:
        raise Failure(f"source {what.source}: {error.message}") from error


async def _with_packages(session: Session, what: _Deployment, progress: Progress) -> Wanted:
    """What is wanted, with the packages in the code store."""
    from hearth.cli.layer import build_layer, cache_folder, cached_layer, has_requirements
    from hearth.cli.source import find_files, pack

    files = find_files(what.source)
    archive = pack(files, f"source {what.source}")
    code = await _upload(session, archive, _counted(files), "code", progress)
    if not has_requirements(what.source):
        return replace(what.wanted, code=code)
    cache = cache_folder(os.environ)
    layer, how = cached_layer(what.source, cache), "requirements.txt, installed before"
    if layer is None:
        progress.waiting("installing requirements.txt")
        layer = await asyncio.to_thread(build_layer, what.source, cache)
        how = "requirements.txt installed"
    return replace(
        what.wanted, code=code, layer=await _upload(session, layer, how, "layer", progress)
    )


def _counted(files: Sequence[object]) -> str:
    return "1 file" if len(files) == 1 else f"{len(files)} files"


async def _upload(
    session: Session, archive: Archive, what: str, label: str, progress: Progress
) -> Blob:
    from hearth.cli.store import upload

    size = format_bytes(len(archive.content))
    progress.waiting(f"uploading the {label}, {size}")
    blob, sent = await upload(session, archive)
    how = "uploaded" if sent else "there already"
    progress.done(label, f"{what}, {size}, {archive.digest[:19]}… {how}")
    return blob


async def _write(session: Session, name: str, wanted: Wanted) -> tuple[Wire, Wire]:
    """The Service as it was (empty: it is new) and as it is now."""
    namespace = session.namespace
    for _ in range(_TRIES_MAX):
        try:
            before = await session.client.get(SERVICE, namespace, name)
        except NotFound:
            if wanted.pin_traffic:
                said = f"service {name}: is new, so there is no revision to leave the traffic with"
                raise Failure(f"{said}; deploy it without --no-traffic first") from None
            try:
                made = await session.client.create(SERVICE, new_service(name, namespace, wanted))
            except AlreadyExists:
                continue
            return {}, made
        try:
            patch = service_patch(before, wanted)
            return before, await session.client.patch(SERVICE, namespace, name, patch)
        except Conflict:
            continue
    raise Failure(f"service {name}: others kept writing it while it was to be deployed")


async def _with_details(session: Session, name: str, failure: Failure) -> Failure:
    """The failure, with what the new revision says and the last lines that its pods printed."""
    said, lines = [failure.message], ""
    try:
        service = await session.client.get(SERVICE, session.namespace, name)
        revision = str(status_of(service).get("latestCreatedRevisionName") or "")
        lines = await last_lines(session, name, revision, _LOG_LINES)
        outlook = outlook_of(await session.client.get(REVISION, session.namespace, revision))
        if outlook.phase is not Phase.READY and str(outlook) not in failure.message:
            said.append(f"revision {revision}: {outlook}")
    except (ApiError, ConnectionError):
        pass  # what is known is told
    if lines:
        said.append(f"The last lines of its log:\n{lines}")
    return Failure("\n".join(said), failure.code)


def _readiness(service: Wire) -> str:
    status = status_of(service)
    revision = status.get("latestReadyRevisionName")
    targets = [t for t in status.get("traffic") or () if t.get("revisionName") == revision]
    percent = sum(int(target.get("percent") or 0) for target in targets)
    rest = "" if percent == 100 else f", with {percent}% of the traffic"
    return f"revision {revision}{rest}"
