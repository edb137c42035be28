"""Resolves a container's environment: values, config maps, secrets, the pod's own fields.

Source: kubelet's makeEnvironmentVariables; the messages of faults are its own, because they end
up in a pod's status, where users and their tests look for them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping

from hearth.api.downward import field_value, resource_value
from hearth.api.errors import NotFound
from hearth.api.kinds import CONFIG_MAP, SECRET, Kind
from hearth.api.meta import Wire
from hearth.client import Client

_REFERENCE = re.compile(r"\$(\$|\(([^()$]*)\))")
_NAME = re.compile(r"[^=\x00-\x1f\x7f-\U0010ffff]+$")  #: Kubernetes' relaxed rule, 1.34 and later


class EnvironmentFault(Exception):
    """A variable cannot be resolved; the message is kubelet's."""


async def resolve_environment(
    client: Client,
    namespace: str,
    container: Wire,
    pod: Wire,
    allocatable: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The container's variables.

    Args:
        client: to read ConfigMaps and Secrets with.
        namespace: where they are.
        container: its ``env`` and ``envFrom``.
        pod: for ``fieldRef`` and ``resourceFieldRef``.
        allocatable: of the node, for a ``resourceFieldRef`` to a limit that is not set.

    Raises:
        EnvironmentFault: an object or key that is not optional is missing.
    """
    found: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        found |= await _all_of(client, namespace, source)
    for variable in container.get("env") or ():
        name = str(variable.get("name"))
        origin = variable.get("valueFrom")
        if variable.get("value") or not origin:
            found[name] = expand(str(variable.get("value") or ""), found)
        elif any(field in origin for field in ("fieldRef", "resourceFieldRef")):
            try:
                found[name] = _of_pod(pod, origin, container, allocatable or {})
            except ValueError as error:
                raise EnvironmentFault(str(error)) from error
        elif (value := await _from(client, namespace, name, origin)) is not None:
            found[name] = value
    return found


def expand(value: str, known: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by what came before; unknown names stay, ``$$`` is a dollar sign."""

    def replace(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return known.get(match[2], match[0])

    return _REFERENCE.sub(replace, value)


def _of_pod(pod: Wire, origin: Wire, container: Wire, allocatable: Mapping[str, str]) -> str:
    if reference := origin.get("fieldRef"):
        return field_value(pod, str(reference.get("fieldPath")))
    reference = origin["resourceFieldRef"]
    own = str(container.get("name"))
    if not reference.get("containerName"):  # a claimed pod's own spec is its pool's
        pod = {**pod, "spec": {**(pod.get("spec") or {}), "containers": [container]}}
    return resource_value(pod, reference, own, allocatable)


async def _all_of(client: Client, namespace: str, source: Wire) -> dict[str, str]:
    prefix = source.get("prefix") or ""
    for field, kind, decode in _KINDS:
        if reference := source.get(f"{field}Ref"):
            data = await _data(client, kind, namespace, reference)
            return {f"{prefix}{k}": decode(v) for k, v in data.items() if _NAME.match(prefix + k)}
    return {}


async def _from(client: Client, namespace: str, name: str, origin: Wire) -> str | None:
    for field, kind, decode in _KINDS:
        if reference := origin.get(f"{field}KeyRef"):
            data = await _data(client, kind, namespace, reference)
            key = reference.get("key")
            if key in data:
                return decode(data[key])
            if reference.get("optional"):
                return None
            raise EnvironmentFault(
                f"couldn't find key {key} in {kind.kind} {namespace}/{reference.get('name')}"
            )
    raise EnvironmentFault(f"variable {name}: valueFrom {sorted(origin)} is not supported here")


async def _data(client: Client, kind: Kind, namespace: str, reference: Wire) -> dict[str, str]:
    name = str(reference.get("name"))
    try:
        wire = await client.get(kind, namespace, name)
    except NotFound as error:
        if reference.get("optional"):
            return {}
        raise EnvironmentFault(f'{kind.kind.lower()} "{name}" not found') from error
    return wire.get("data") or {}


def _text(value: str) -> str:
    return value


def _decoded(value: str) -> str:
    return base64.b64decode(value).decode(errors="replace")


_KINDS: tuple[tuple[str, Kind, Callable[[str], str]], ...] = (
    ("configMap", CONFIG_MAP, _text),
    ("secret", SECRET, _decoded),
)
