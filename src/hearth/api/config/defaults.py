"""``config-defaults``: what revisions get that do not say it, and how far they may go.

Source: knative.dev/serving pkg/apis/config/defaults.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hearth.api.config.parsing import Keys, flag, out_of_bounds, parse_keys, quantity, whole
from hearth.api.config.templates import Template, parse_template
from hearth.api.meta import Wire, annotations_of, labels_of, metadata

_INT32_MAX = 2**31 - 1
_TEXTS = frozenset({"Name", "Namespace", "GenerateName", "UID", "ResourceVersion"})
_MAPS = frozenset({"Annotations", "Labels"})
#: Bounds that Knative puts around what containers ask for.
RESOURCES = tuple(
    (kind, bound, f"revision-{kind}-{bound.removesuffix('s')}")
    for kind in ("cpu", "memory", "ephemeral-storage")
    for bound in ("requests", "limits")
)


def _template(text: str) -> Template:
    return parse_template(text, _TEXTS, _MAPS)


@dataclass(frozen=True, slots=True)
class DefaultsConfig:
    """What ``config-defaults`` says; the defaults are Knative's."""

    timeout_s: int = 300
    timeout_max_s: int = 600
    response_start_timeout_s: int = 300
    idle_timeout_s: int = 0  #: 0 is none
    container_name: Template = field(default=_template("user-container"))
    init_container_name: Template = field(default=_template("init-container"))
    concurrency: int = 0  #: 0 is any number
    concurrency_max: int = 1000
    allow_concurrency_zero: bool = True
    service_links: bool | None = False  #: None leaves it to whoever runs the pod
    #: By resource (``cpu``) and bound (``requests``): a quantity.
    resources: Mapping[tuple[str, str], str] = field(default_factory=dict)


def name_from(template: Template, parent: Wire) -> str:
    """A container's name, from a template for names and the object that it is in."""
    meta = metadata(parent)
    return template.render(
        {
            "Name": str(meta.get("name") or ""),
            "Namespace": str(meta.get("namespace") or ""),
            "GenerateName": str(meta.get("generateName") or ""),
            "UID": str(meta.get("uid") or ""),
            "ResourceVersion": str(meta.get("resourceVersion") or ""),
            "Annotations": annotations_of(parent),
            "Labels": labels_of(parent),
        }
    )


def _links(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


_KEYS: Keys = {
    "init-container-name-template": ("init_container_name", _template),
    "container-name-template": ("container_name", _template),
    "allow-container-concurrency-zero": ("allow_concurrency_zero", flag),
    "enable-service-links": ("service_links", _links),
    "revision-timeout-seconds": ("timeout_s", whole),
    "max-revision-timeout-seconds": ("timeout_max_s", whole),
    "revision-idle-timeout-seconds": ("idle_timeout_s", whole),
    "container-concurrency": ("concurrency", whole),
    "container-concurrency-max-limit": ("concurrency_max", whole),
}
_START: Keys = {"revision-response-start-timeout-seconds": ("response_start_timeout_s", whole)}
_AMOUNTS: Keys = {key: (key, quantity) for _, _, key in RESOURCES}


def read_defaults(data: Mapping[str, str]) -> DefaultsConfig:
    """The data of ``config-defaults``.

    Raises:
        ValueError: a key has a value that is not understood or not allowed, in Knative's words.
    """
    config = DefaultsConfig(**parse_keys(data, _KEYS))
    amounts = parse_keys(data, _AMOUNTS)
    config = replace(
        config,
        resources={(kind, bound): amounts[key] for kind, bound, key in RESOURCES if key in amounts},
        response_start_timeout_s=config.timeout_s,  # unless it is said
    )
    config = replace(config, **parse_keys(data, _START))
    _check(config)
    return config


def _check(config: DefaultsConfig) -> None:
    most_s, limit = config.timeout_s, config.concurrency_max
    if most_s > config.timeout_max_s:
        raise ValueError(
            f"revision-timeout-seconds ({most_s}) cannot be greater than "
            f"max-revision-timeout-seconds ({config.timeout_max_s})"
        )
    for key, value_s in (
        ("revision-response-start-timeout-seconds", config.response_start_timeout_s),
        ("revision-idle-timeout-seconds", config.idle_timeout_s),
    ):
        if value_s > most_s:
            said = f"cannot be greater than revision-timeout-seconds ({most_s})"
            raise ValueError(f"{key} ({value_s}) {said}")
    if limit < 1:
        raise out_of_bounds(limit, 1, _INT32_MAX, "container-concurrency-max-limit")
    if not 0 <= config.concurrency <= limit:
        raise out_of_bounds(config.concurrency, 0, limit, "container-concurrency")
