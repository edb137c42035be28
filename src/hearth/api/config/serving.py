"""What the config maps say about the objects of serving.knative.dev that are admitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hearth.api.config.autoscaler import AutoscalerConfig, read_autoscaler
from hearth.api.config.defaults import DefaultsConfig, read_defaults
from hearth.api.config.features import FeaturesConfig, read_features

AUTOSCALER, DEFAULTS, FEATURES = "config-autoscaler", "config-defaults", "config-features"


@dataclass(frozen=True, slots=True)
class ServingConfig:
    """How far users may go, and what is filled in for them."""

    autoscaler: AutoscalerConfig = field(default_factory=AutoscalerConfig)
    defaults: DefaultsConfig = field(default_factory=DefaultsConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)


_INT32_MAX = 2**31 - 1
#: For what our controllers make of objects that were admitted: those were within their bounds then,
#: and bounds that are stricter now must not keep a revision from being made or labelled.
ADMITTED = ServingConfig(
    defaults=DefaultsConfig(timeout_max_s=_INT32_MAX, concurrency_max=_INT32_MAX)
)


def read_serving(maps: Mapping[str, Mapping[str, str]]) -> ServingConfig:
    """The data of the three config maps, by name; one that is missing is empty.

    Raises:
        ValueError: one is not understood.
    """
    return ServingConfig(
        autoscaler=read_autoscaler(maps.get(AUTOSCALER, {})),
        defaults=read_defaults(maps.get(DEFAULTS, {})),
        features=read_features(maps.get(FEATURES, {})),
    )
