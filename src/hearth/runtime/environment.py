"""Resolves a container's environment: values, config maps, secrets, the pod's own fields."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from hearth.api.errors import NotFound
from hearth.api.kinds import CONFIG_MAP, SECRET, Kind
from hearth.api.meta import Wire
from hearth.client import Client

_REFERENCE = re.compile(r"\$(\$|\(([-._a-zA-Z][-._a-zA-Z0-9]*)\))")
_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*$")


class EnvironmentFault(Exception):
    """A variable cannot be resolved; the message names it and what is missing."""


async def resolve_environment(
    client: Client, namespace: str, container: Wire, pod: Wire
) -> dict[str, str]:
    """The container's variables.

    Args:
        client: to read ConfigMaps and Secrets with.
        namespace: where they are.
        container: its ``env`` and ``envFrom``.
        pod: for ``fieldRef``.

    Raises:
        EnvironmentFault: an object or key that is not optional is missing.
    """
    found: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        found |= await _all_of(client, namespace, source)
    for variable in container.get("env") or ():
        name = str(variable.get("name"))
        origin = variable.get("valueFrom")
        if not origin:
            found[name] = _expand(str(variable.get("value") or ""), found)
        elif (value := await _from(client, namespace, name, origin, pod)) is not None:
            found[name] = value
    return found


def _expand(value: str, known: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by what came before; ``$$`` is a dollar sign."""

    def replace(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return known.get(match[2], match[0])

    return _REFERENCE.sub(replace, value)


async def _all_of(client: Client, namespace: str, source: Wire) -> dict[str, str]:
    prefix = source.get("prefix") or ""
    for field, kind, decode in _KINDS:
        if reference := source.get(f"{field}Ref"):
            data = await _data(client, kind, namespace, reference, "envFrom")
            return {f"{prefix}{k}": decode(v) for k, v in data.items() if _NAME.match(prefix + k)}
    return {}


async def _from(client: Client, namespace: str, name: str, origin: Wire, pod: Wire) -> str | None:
    for field, kind, decode in _KINDS:
        if reference := origin.get(f"{field}KeyRef"):
            data = await _data(client, kind, namespace, reference, name)
            key = reference.get("key")
            if key in data:
                return decode(data[key])
            if reference.get("optional"):
                return None
            raise EnvironmentFault(
                f"variable {name}: couldn't find key {key} in {kind.kind} "
                f"{namespace}/{reference.get('name')}"
            )
    if reference := origin.get("fieldRef"):
        return _field(pod, name, str(reference.get("fieldPath")))
    raise EnvironmentFault(f"variable {name}: valueFrom {sorted(origin)} is not supported here")


async def _data(
    client: Client, kind: Kind, namespace: str, reference: Wire, variable: str
) -> dict[str, str]:
    try:
        wire = await client.get(kind, namespace, str(reference.get("name")))
    except NotFound as error:
        if reference.get("optional"):
            return {}
        raise EnvironmentFault(f"variable {variable}: {error.message}") from error
    return wire.get("data") or {}


def _field(pod: Wire, name: str, path: str) -> str:
    if found := re.match(r"metadata\.(labels|annotations)\['(.+)'\]$", path):
        values = (pod.get("metadata") or {}).get(found[1]) or {}
        return str(values.get(found[2], ""))
    value: Any = pod
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if value is None and not path.startswith("status."):
        raise EnvironmentFault(f"variable {name}: the pod has no field {path}")
    return str(value or "")


def _text(value: str) -> str:
    return value


def _decoded(value: str) -> str:
    return base64.b64decode(value).decode(errors="replace")


_KINDS: tuple[tuple[str, Kind, Callable[[str], str]], ...] = (
    ("configMap", CONFIG_MAP, _text),
    ("secret", SECRET, _decoded),
)
