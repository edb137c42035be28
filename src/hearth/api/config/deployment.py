"""``config-deployment``: how revisions are run.

Keys of the queue-proxy are read and change nothing: there is no such container here.

Source: knative.dev/serving pkg/deployment/config.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from hearth.api.config.parsing import Keys, duration, flag, names, parse_keys, quantity

_AFFINITIES = {"none": False, "prefer-spread-revision-over-nodes": True}
_SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
_LABEL_VALUE = re.compile(r"(?=.{0,63}$)([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")


@dataclass(frozen=True, slots=True)
class DeploymentConfig:
    """What ``config-deployment`` says; the defaults are Knative's."""

    progress_deadline_s: float = 600.0  #: that a revision may take to come up
    digest_timeout_s: float = 10.0  #: for a registry to say which digest a tag has
    #: Registries that are not asked which digest a tag has: tags there stay tags.
    unresolved_registries: frozenset[str] = frozenset({"kind.local", "ko.local", "dev.local"})
    #: RuntimeClasses by name, each with the labels that a Revision must have to get it.
    runtime_classes: tuple[tuple[str, Mapping[str, str]], ...] = ()
    always_schedulable: bool = False  #: a pod that finds no node does not fail its revision
    spreads: bool = True  #: a revision's pods prefer nodes that have none of it

    def runtime_class_of(self, labels: Mapping[str, str]) -> str | None:
        """The RuntimeClass with the most specific selector that a Revision's labels meet.

        Of several the first by name; the empty name stands for none.
        """
        meets = [
            (-len(selector), name)
            for name, selector in self.runtime_classes
            if all(labels.get(label) == value for label, value in selector.items())
        ]
        return (min(meets)[1] or None) if meets else None


_KEYS: Keys = {
    "progressDeadline": ("progress_deadline_s", duration),
    "progress-deadline": ("progress_deadline_s", duration),
    "digestResolutionTimeout": ("digest_timeout_s", duration),
    "digest-resolution-timeout": ("digest_timeout_s", duration),
    "registriesSkippingTagResolving": ("unresolved_registries", names),
    "registries-skipping-tag-resolving": ("unresolved_registries", names),
    "pod-is-always-schedulable": ("always_schedulable", flag),
}
_AMOUNTS = (("cpu", "CPU"), ("memory", "Memory"), ("ephemeral-storage", "EphemeralStorage"))
#: Amounts that Knative gives its queue-proxy, under newer and older names: read, and nothing more.
_OF_THE_SIDECAR: Keys = {
    name: (name, quantity)
    for new, old in _AMOUNTS
    for bound in ("request", "limit")
    for name in (f"queue-sidecar-{new}-{bound}", f"queueSidecar{old}{bound.capitalize()}")
}


def read_deployment(data: Mapping[str, str]) -> DeploymentConfig:
    """The data of ``config-deployment``; unlike Knative's it needs no ``queue-sidecar-image``.

    Raises:
        ValueError: a key has a value that is not understood or not allowed, in Knative's words.
    """
    affinity = data.get("default-affinity-type", "prefer-spread-revision-over-nodes")
    if affinity not in _AFFINITIES:
        raise ValueError(f'unsupported default-affinity-type value: "{affinity}"')
    config = DeploymentConfig(
        spreads=_AFFINITIES[affinity],
        **parse_keys(data, _KEYS),
        runtime_classes=_classes(data.get("runtime-class-name", "")),
    )
    parse_keys(data, _OF_THE_SIDECAR)
    deadline_s, timeout_s = config.progress_deadline_s, config.digest_timeout_s
    if deadline_s <= 0:
        said = f"was {deadline_s:g}s"
        raise ValueError(f"progress-deadline cannot be a non-positive duration, {said}")
    if deadline_s != int(deadline_s):
        said = f"was: {deadline_s:g}s"
        raise ValueError(f"progress-deadline must be rounded to a whole second, {said}")
    if timeout_s <= 0:
        said = f"was {timeout_s:g}s"
        raise ValueError(f"digest-resolution-timeout cannot be a non-positive duration, {said}")
    return config


def _classes(text: str) -> tuple[tuple[str, Mapping[str, str]], ...]:
    try:
        classes = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"runtime-class-name cannot be parsed: {error}") from error
    if not isinstance(classes, dict):
        said = f"found {text.strip()!r}, expected RuntimeClasses, each with a selector or {{}}"
        raise ValueError(f"runtime-class-name cannot be parsed, please check the format: {said}")  # noqa: TRY004
    return tuple((str(name), _selector(str(name), of)) for name, of in sorted(classes.items()))


def _selector(name: str, of: object) -> Mapping[str, str]:
    if name and not _SUBDOMAIN.match(name):
        raise ValueError(f"runtime-class-name {name} selector not valid DNSSubdomain")
    selector = of.get("selector") if isinstance(of, dict) else of
    found = {} if selector is None else selector
    if not isinstance(found, dict) or not all(
        isinstance(value, str) and _LABEL_VALUE.match(value) for value in found.values()
    ):
        raise ValueError(f"runtime-class-name {name} selector invalid: found {found!r}")
    return found
