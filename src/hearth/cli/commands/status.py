"""``hearth status``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from hearth.api.kinds import LEASE, NODE, POD_POOL, POOLED_REPLICA_SET, SERVICE
from hearth.api.meta import Wire, is_condition_true, name_of, spec_of, status_of
from hearth.api.names import CONTROLLER_LABEL, GATEWAY_LABEL, SYSTEM_NAMESPACE
from hearth.api.nodes import is_stale
from hearth.api.observability import cold_starts_of
from hearth.cli.command import common_options, examples
from hearth.cli.commands.version import server_version
from hearth.cli.core.cold_starts import summary
from hearth.cli.core.tables import format_fields
from hearth.cli.errors import Exit, Failure
from hearth.cli.output import colored, print_data
from hearth.cli.session import Session, Target, run


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    is_good: bool
    says: str


@click.command(epilog=examples("hearth status", "hearth status -o json"))
@common_options
def status(target: Target) -> None:
    """Show how the platform is.

    Fails when it cannot serve: no controller, no gateway, or no node.
    """
    parts = run(target, _look)
    data = {part.name: {"ok": part.is_good, "says": part.says} for part in parts}
    print_data(data, target.output, lambda _: _as_text(parts))
    if bad := [part.name for part in parts if not part.is_good]:
        raise Failure(f"not ready: {', '.join(bad)}", Exit.NOT_READY)


async def _look(session: Session) -> Sequence[_Part]:
    client, now = session.client, datetime.now(UTC)
    version = await server_version(session)
    controllers = await client.list(LEASE, SYSTEM_NAMESPACE, label_selector=CONTROLLER_LABEL)
    gateways = await client.list(LEASE, SYSTEM_NAMESPACE, label_selector=GATEWAY_LABEL)
    nodes = await client.list(NODE)
    pools = await client.list(POD_POOL)
    services = await client.list(SERVICE)
    sets = await client.list(POOLED_REPLICA_SET)
    starts = [taken_ms for each in sets.items for taken_ms in cold_starts_of(each)]
    good = [name_of(node) for node in nodes.items if _is_good(node, now)]
    ready = sum(is_condition_true(service, "Ready") for service in services.items)
    return [
        _Part("api", True, f"{session.server}, {version}"),
        _by_leases("controller", controllers.items, now),
        _by_leases("gateway", gateways.items, now),
        _Part("node", bool(good), ", ".join(good) or f"none of {len(nodes.items)} is ready"),
        _Part("pools", True, "\n".join(map(_pool, pools.items)) or "none"),
        _Part("services", True, f"{ready} of {len(services.items)} ready"),
        _Part("cold starts", True, summary(starts) or "none yet"),
    ]


def _by_leases(name: str, leases: Iterable[Wire], now: datetime) -> _Part:
    live = [name_of(lease) for lease in leases if _is_live(lease, now)]
    return _Part(name, bool(live), ", ".join(live) or "none has reported lately")


def _is_good(node: Wire, now: datetime) -> bool:
    """Ready, and so by its agent's own word: a controller that could tell may be away too."""
    return is_condition_true(node, "Ready") and not is_stale(node, now)


def _is_live(lease: Wire, now: datetime) -> bool:
    spec: dict[str, Any] = spec_of(lease)
    renewed = str(spec.get("renewTime") or "1970-01-01T00:00:00Z").replace("Z", "+00:00")
    age = now - datetime.fromisoformat(renewed)
    return age < timedelta(seconds=int(spec.get("leaseDurationSeconds") or 0))


def _pool(pool: Wire) -> str:
    warm, wanted = status_of(pool).get("readyReplicas", 0), spec_of(pool).get("replicas", 0)
    return f"{name_of(pool)}: {warm} of {wanted} warm, {status_of(pool).get('claimed', 0)} claimed"


def _as_text(parts: Sequence[_Part]) -> str:
    return format_fields(_fields(parts))


def _fields(parts: Sequence[_Part]) -> Iterator[tuple[str, object]]:
    for part in parts:
        yield part.name, part.says if part.is_good else colored(part.says, False)
