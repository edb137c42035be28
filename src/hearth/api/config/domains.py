"""``config-domain``: which domain a Route's host is under.

Source: knative.dev/serving pkg/reconciler/route/config/domain.go. Without a domain that is for all
Knative takes ``svc.cluster.local``; here it is the platform's own (``domain`` in the settings), as
Knative's installers set it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from hearth.api.names import CLUSTER_DOMAIN, CLUSTER_LOCAL, VISIBILITY_LABEL

_EXAMPLE = "_example"


@dataclass(frozen=True, slots=True)
class DomainsConfig:
    """Domains, each with the labels that a Route must have to be under it."""

    domains: tuple[tuple[str, Mapping[str, str]], ...] = ()

    def domain_of(self, labels: Mapping[str, str], default: str) -> str:
        """The domain with the most specific selector that the labels meet.

        Of several the first by name; ``svc.cluster.local`` for what is labelled cluster-local.
        """
        if labels.get(VISIBILITY_LABEL) == CLUSTER_LOCAL:
            return CLUSTER_DOMAIN
        meets = [
            (-len(selector), domain)
            for domain, selector in self.domains
            if all(labels.get(name) == value for name, value in selector.items())
        ]
        return min(meets)[1] if meets else default


def read_domains(data: Mapping[str, str]) -> DomainsConfig:
    """The data of ``config-domain``.

    Raises:
        ValueError: a domain's value is no selector.
    """
    found = [(name, _selector(name, text)) for name, text in sorted(data.items())
             if name != _EXAMPLE]  # fmt: skip
    return DomainsConfig(tuple(found))


def _selector(name: str, text: str) -> Mapping[str, str]:
    expected = "expected nothing, or selector: with labels"
    try:
        value = yaml.safe_load(text or "") or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{name}: found no YAML ({error}), {expected}") from error
    selector = value.get("selector") if isinstance(value, dict) else text
    if selector is None:
        return {}
    if not isinstance(selector, dict) or not all(isinstance(v, str) for v in selector.values()):
        raise ValueError(f"{name}: found {text.strip()!r}, {expected}")
    return selector
