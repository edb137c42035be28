"""What is trusted inside: authorities as one PEM text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from hearth.api.meta import Wire, labels_of
from hearth.api.names import TRUST_BUNDLE_LABEL
from hearth.kit.x509 import read_trusted

CA = "ca.crt"  #: the key, in ConfigMaps and Secrets


def bundle(texts: Iterable[str], now: datetime) -> str:
    """All their certificates that have not ended, each once, in order; PEM.

    What is no PEM is left out: whoever wrote it does not take the others' trust away.
    """
    found: dict[bytes, None] = {}
    for text in texts:
        try:
            trusted = read_trusted(text.encode())
        except ValueError:
            continue
        found |= {one.pem: None for one in trusted if one.not_after > now}
    return b"".join(found).decode()


def bundled(config_map: Wire) -> list[str]:
    """What a ConfigMap gives to be trusted, if it is labelled so.

    Source: knative.dev/serving pkg/activator/certificate/cache.go: all its keys; the label's value
    does not matter.
    """
    if TRUST_BUNDLE_LABEL not in labels_of(config_map):
        return []
    data: Mapping[str, str] = config_map.get("data") or {}
    return [data[key] for key in sorted(data)]
