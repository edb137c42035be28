"""Admission of Knative's config maps: one that is not understood is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hearth.api.config.acme import read_acme
from hearth.api.config.autoscaler import read_autoscaler
from hearth.api.config.defaults import read_defaults
from hearth.api.config.deployment import read_deployment
from hearth.api.config.domains import read_domains
from hearth.api.config.features import read_features
from hearth.api.config.gc import read_gc
from hearth.api.config.initial import CHECKSUM_ANNOTATION, checksum
from hearth.api.config.keys import EXAMPLE, unheard
from hearth.api.config.network import read_network
from hearth.api.config.observability import read_observability
from hearth.api.errors import FieldError
from hearth.api.meta import Wire, annotations_of, metadata, name_of
from hearth.api.names import KNATIVE_NAMESPACE

#: How each config map of namespace ``knative-serving`` is read; raises ``ValueError``.
READERS: Mapping[str, Callable[[Mapping[str, str]], object]] = {
    "config-acme": read_acme,
    "config-autoscaler": read_autoscaler,
    "config-defaults": read_defaults,
    "config-deployment": read_deployment,
    "config-domain": read_domains,
    "config-features": read_features,
    "config-gc": read_gc,
    "config-network": read_network,
    "config-observability": read_observability,
}


def validate_config_map(wire: Wire, old: Wire | None) -> list[FieldError]:
    """One of Knative's config maps must be understood; others hold what they like."""
    reader = READERS.get(name_of(wire))
    if reader is None or metadata(wire).get("namespace") != KNATIVE_NAMESPACE:
        return []
    data = wire.get("data") or {}
    example, of = data.get(EXAMPLE), annotations_of(wire).get(CHECKSUM_ANNOTATION)
    if example is not None and of is not None and of != checksum(example):
        return [FieldError(f"data.{EXAMPLE}", f"validation failed: {_EDITED}")]
    try:
        reader(data)
    except ValueError as error:
        return [FieldError("data", f"validation failed: {error}")]
    return []


_EDITED = (
    f'the update modifies a key in "{EXAMPLE}" which is probably not what you want. Instead, copy '
    'the respective setting to the top-level of the ConfigMap, directly below "data"'
)


def config_map_notices(wire: Wire) -> list[str]:
    """What of one of Knative's config maps changes nothing."""
    if metadata(wire).get("namespace") != KNATIVE_NAMESPACE:
        return []
    data = wire.get("data")
    keys = [key for key, value in data.items() if value is not None] if data else []
    said = (unheard(name_of(wire), key) for key in keys)
    return list(dict.fromkeys(filter(None, said)))
