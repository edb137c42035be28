"""``hearth logs``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator

import click

from hearth.api.config import read_observability
from hearth.api.errors import ApiError, NotFound
from hearth.api.kinds import CONFIG_MAP, POD, REVISION, SERVICE
from hearth.api.logs import QUEUE_PROXY
from hearth.api.meta import Wire, name_of, status_of, uid_of
from hearth.api.names import KNATIVE_NAMESPACE
from hearth.cli.command import common_options, examples
from hearth.cli.completing import service_names
from hearth.cli.errors import Exit, Failure
from hearth.cli.pods import log_path, pod_selector
from hearth.cli.session import Session, Target, run
from hearth.client import WireList
from hearth.kit.tasks import TaskGroup

_LINE_MAX_BYTES = 64 * 2**10  #: a longer one is printed in pieces


@click.command(
    epilog=examples(
        "hearth logs hello",
        "hearth logs hello -f --tail 20",
        "hearth logs hello --revision hello-00002 --previous",
        "hearth logs hello --requests -f",
    )
)
@click.argument("name", shell_complete=service_names)
@click.option("--follow", "-f", is_flag=True, help="Go on until Ctrl-C, with pods to come.")
@click.option("--tail", type=click.IntRange(0), metavar="LINES", help="Only the last lines.")
@click.option("--revision", default="", metavar="NAME", help="Only the pods of that revision.")
@click.option("--requests", is_flag=True, help="The log of requests, where it is kept.")
@click.option("--previous", is_flag=True, help="Of the containers before the last restart.")
@common_options
def logs(
    *,
    target: Target,
    name: str,
    follow: bool,
    tail: int | None,
    revision: str,
    requests: bool,
    previous: bool,
) -> None:
    """Print what a service's pods print, or with --requests which requests they had.

    Lines of several pods carry the pod's name. Requests are logged where config map
    knative-serving/config-observability says logging.enable-request-log: "true".
    """
    query = {"follow": "true"} if follow else {}
    if tail is not None:
        query["tailLines"] = str(tail)
    if previous:
        query["previous"] = "true"
    if requests:
        query["container"] = QUEUE_PROXY

    async def work(session: Session) -> None:
        await session.client.get(SERVICE, session.namespace, name)
        if revision:
            await session.client.get(REVISION, session.namespace, revision)
        if requests:
            await _say_if_not_logged(session)
        reader = _Reader(session, pod_selector(name, revision), query)
        await (reader.follow() if follow else reader.print_once(name))

    run(target, work)


async def _say_if_not_logged(session: Session) -> None:
    """Lines may be there from before, so this is no failure."""
    name = "config-observability"
    try:
        wire = await session.client.get(CONFIG_MAP, KNATIVE_NAMESPACE, name)
        if read_observability(wire.get("data") or {}).request_log:
            return
    except NotFound:
        pass
    except (ApiError, ValueError):
        return  # who may not read it is told nothing of it
    said = f'set logging.enable-request-log: "true" in config map {KNATIVE_NAMESPACE}/{name}'
    click.echo(f"requests are not logged now; {said}", err=True)


class _Reader:
    """Prints the logs of the pods that a selector selects."""

    def __init__(self, session: Session, selector: str, query: dict[str, str]) -> None:
        self._session = session
        self._selector = selector
        self._query = query
        self._several = False

    async def print_once(self, name: str) -> None:
        """What there is now."""
        pods = (await self._list()).items
        self._several = len(pods) > 1
        if not pods:
            click.echo(f"service {name}: has no pods now", err=True)
        failures = []
        for pod in pods:
            try:
                await self._print(pod)
            except ApiError as error:
                failures.append(f"pod {name_of(pod)}: {error.message}")
        if failures:
            raise Failure("; ".join(failures), Exit.FAILED)

    async def follow(self) -> None:
        """What comes, of the pods there are and those to come, until cancelled."""
        tasks, seen = TaskGroup(), set[str]()
        try:
            async for pod in self._running():
                if uid_of(pod) not in seen:
                    seen.add(uid_of(pod))
                    self._several = self._several or len(seen) > 1
                    tasks.start(self._print_while_there(pod), name=f"log {name_of(pod)}")
        finally:
            await tasks.close()

    async def _list(self) -> WireList:
        return await self._session.client.list(
            POD, self._session.namespace, label_selector=self._selector
        )

    async def _running(self) -> AsyncIterator[Wire]:
        while True:
            found = await self._list()
            for pod in found.items:
                yield pod
            async for event in self._session.client.watch(
                POD,
                self._session.namespace,
                resource_version=found.resource_version,
                label_selector=self._selector,
            ):
                started = status_of(event.object).get("containerStatuses")
                if event.type in ("ADDED", "MODIFIED") and started:
                    yield event.object

    async def _print_while_there(self, pod: Wire) -> None:
        with contextlib.suppress(NotFound, ConnectionError):
            await self._print(pod)

    async def _print(self, pod: Wire) -> None:
        answer = await self._session.client.raw("GET", log_path(pod), query=self._query)
        prefix = f"[{name_of(pod)}] ".encode()
        chunks = answer.stream if answer.stream is not None else _whole(answer.body)
        async for line in _lines(chunks):
            sys.stdout.buffer.write((prefix if self._several else b"") + line)
            sys.stdout.buffer.flush()


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines; one that does not end within _LINE_MAX_BYTES comes as it is."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"
        if len(rest) > _LINE_MAX_BYTES:
            yield rest
            rest = b""
    if rest:
        yield rest + b"\n"
