"""``hearth invoke``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from hearth.api.errors import ApiError
from hearth.api.kinds import CONFIG_MAP, SERVICE
from hearth.api.meta import Wire, status_of
from hearth.api.names import DOMAIN_CA, SYSTEM_NAMESPACE
from hearth.cli.command import common_options, examples
from hearth.cli.completing import service_names
from hearth.cli.core.readiness import outlook_of
from hearth.cli.core.timing import parse_server_timing
from hearth.cli.errors import Exit, Failure
from hearth.cli.output import print_data
from hearth.cli.session import Session, Target, run

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from ssl import SSLSocket

_CHUNK_BYTES = 64 * 2**10
_TIMING_HEADER = "hearth-timing"  #: asks the gateway to say where a cold start's time went


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    timeout_s: float
    trusted: str  #: PEM of an authority to trust besides the usual ones


@dataclass(slots=True)
class _Timing:
    """Milliseconds since the request was sent."""

    first_byte_ms: float = 0.0
    phases_ms: dict[str, float] = field(default_factory=dict)


@click.command(
    epilog=examples(
        "hearth invoke hello",
        'hearth invoke hello --path /items --data \'{"name": "tea"}\' '
        "--header 'content-type: application/json'",
        "hearth invoke hello --verbose-timing",
    )
)
@click.argument("name", shell_complete=service_names)
@click.option("--path", default="/", show_default=True, help="Path and query of the request.")
@click.option("--method", "-X", help="Default: GET, or POST with --data.")
@click.option("--data", "-d", help="The body; @FILE reads a file, @- standard input.")
@click.option("--header", "-H", multiple=True, metavar="'NAME: VALUE'", help="May be repeated.")
@click.option("--tag", default="", help="Call the revision that has this tag.")
@click.option("--include", "-i", is_flag=True, help="Print the status and the headers too.")
@click.option("--verbose-timing", is_flag=True, help="Print on stderr where the time went.")
@click.option("--timeout", type=float, default=310, show_default=True, metavar="SECONDS")
@common_options
def invoke(
    *,
    target: Target,
    name: str,
    path: str,
    method: str | None,
    data: str | None,
    header: Sequence[str],
    tag: str,
    include: bool,
    verbose_timing: bool,
    timeout: float,
) -> None:
    """Send a request to a service.

    Prints the answer; fails when its status is 400 or more. Names below .localhost are looked for
    on this machine, whatever DNS says.
    """
    url, trusted = run(target, lambda session: _url_and_trust(session, name, tag))
    body = _body(data)
    headers = _headers(header)
    if verbose_timing:
        headers[_TIMING_HEADER] = "1"
    wanted = method or ("GET" if body is None else "POST")
    asked = _Asked(
        wanted, path if path.startswith("/") else f"/{path}", headers, body, timeout, trusted
    )
    status = _send(url, asked, target.output, include=include, verbose=verbose_timing)
    if status >= 400:
        raise Failure(f"service {name}: answered {status}")


async def _url_and_trust(session: Session, name: str, tag: str) -> tuple[str, str]:
    url = await _url(session, name, tag)
    if not url.startswith("https:"):
        return url, ""
    try:
        found = await session.client.get(CONFIG_MAP, SYSTEM_NAMESPACE, DOMAIN_CA)
    except ApiError:  # there is none, or it is not for this user to read
        return url, ""
    return url, str((found.get("data") or {}).get("ca.crt") or "")


async def _url(session: Session, name: str, tag: str) -> str:
    service = await session.client.get(SERVICE, session.namespace, name)
    if tag:
        return _tag_url(service, name, tag)
    if url := status_of(service).get("url"):
        return str(url)
    said = f"service {name}: has no URL yet: {outlook_of(service)}"
    raise Failure(said, Exit.NOT_READY)


def _tag_url(service: Wire, name: str, tag: str) -> str:
    targets = [t for t in status_of(service).get("traffic") or () if t.get("tag")]
    for target in targets:
        if target["tag"] == tag and target.get("url"):
            return str(target["url"])
    have = ", ".join(str(target["tag"]) for target in targets) or "none"
    raise Failure(f"service {name}: has no tag {tag}, it has {have}", Exit.NOT_FOUND)


def _body(data: str | None) -> bytes | None:
    if data is None or not data.startswith("@"):
        return None if data is None else data.encode()
    try:
        with click.open_file(data[1:], "rb") as file:
            content: bytes = file.read()
    except OSError as error:
        raise click.UsageError(f"--data {data}: {error.strerror}") from error
    return content


def _headers(given: Sequence[str]) -> dict[str, str]:
    headers = {}
    for one in given:
        name, colon, value = one.partition(":")
        if not name.strip() or not colon:
            raise click.UsageError(f"--header {one!r}: expected 'NAME: VALUE'")
        headers[name.strip()] = value.strip()
    return headers


def _send(url: str, asked: _Asked, output: str, *, include: bool, verbose: bool) -> int:
    """Send it, print the answer and return its status."""
    from http.client import HTTPConnection, HTTPException

    where = urlsplit(url)
    host = where.hostname or ""
    address = "127.0.0.1" if host == "localhost" or host.endswith(".localhost") else host
    port = where.port or (443 if where.scheme == "https" else 80)
    connection = HTTPConnection(address, port, timeout=asked.timeout_s)
    timing, started_s = _Timing(), time.perf_counter()
    try:
        if where.scheme == "https":
            connection.sock = _secured(host, (address, port), asked)
        headers = {"Host": where.netloc, "User-Agent": "hearth", **asked.headers}
        connection.request(asked.method, asked.path, asked.body, headers)
        response = connection.getresponse()
        timing.first_byte_ms = (time.perf_counter() - started_s) * 1000
        timing.phases_ms = parse_server_timing(response.getheader("Server-Timing") or "")
        _print(response, output, timing, include=include)
    except TimeoutError as error:
        said = f"{url}: no answer within {asked.timeout_s:g} s"
        raise Failure(said, Exit.NOT_READY) from error
    except (OSError, HTTPException) as error:
        raise Failure(f"{url}: {error or type(error).__name__}", Exit.UNREACHABLE) from error
    finally:
        connection.close()
    if verbose:
        _print_timing(timing, (time.perf_counter() - started_s) * 1000)
    return response.status


def _secured(host: str, address: tuple[str, int], asked: _Asked) -> SSLSocket:
    """A TLS connection, with the certificate of ``host`` wherever that is."""
    import socket
    import ssl

    context = ssl.create_default_context()
    if asked.trusted:
        context.load_verify_locations(cadata=asked.trusted)
    plain = socket.create_connection(address, asked.timeout_s)
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _print(response: HTTPResponse, output: str, timing: _Timing, *, include: bool) -> None:
    if output in ("json", "yaml"):
        answer = {
            "status": response.status,
            "headers": {name.lower(): value for name, value in response.getheaders()},
            "body": response.read().decode(errors="replace"),
            "firstByteMs": round(timing.first_byte_ms, 2),
            "phasesMs": timing.phases_ms,
        }
        print_data(answer, output, str)
        return
    out = sys.stdout.buffer
    if include:
        lines = [f"HTTP {response.status} {response.reason}"]
        lines += [f"{name}: {value}" for name, value in response.getheaders()]
        out.write(("\n".join(lines) + "\n\n").encode())
    last = b""
    while chunk := response.read1(_CHUNK_BYTES):  # as it comes: it may be a stream of events
        out.write(chunk)
        out.flush()
        last = chunk
    if last and not last.endswith(b"\n") and sys.stdout.isatty():
        out.write(b"\n")
        out.flush()


def _print_timing(timing: _Timing, total_ms: float) -> None:
    if not timing.phases_ms:
        click.echo("warm: an instance was there", err=True)
    before_ms = 0.0
    for phase, at_ms in timing.phases_ms.items():
        click.echo(f"{phase:<12}{at_ms:8.1f} ms   +{at_ms - before_ms:.1f}", err=True)
        before_ms = at_ms
    click.echo(f"{'first byte':<12}{timing.first_byte_ms:8.1f} ms", err=True)
    click.echo(f"{'complete':<12}{total_ms:8.1f} ms", err=True)
