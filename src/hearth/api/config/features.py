"""``config-features``: what is switched on of what Knative leaves to its operator.

Source: knative.dev/serving pkg/apis/config/features.go. As there, a value that is no flag leaves
the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FeaturesConfig:
    """What ``config-features`` says; the defaults are Knative's."""

    tag_header_based_routing: bool = False  #: the header ``Knative-Serving-Tag`` picks a tag


def read_features(data: Mapping[str, str]) -> FeaturesConfig:
    """The data of ``config-features``."""
    return FeaturesConfig(tag_header_based_routing=_is_enabled(data, "tag-header-based-routing"))


def _is_enabled(data: Mapping[str, str], name: str) -> bool:
    return data.get(name, "").lower() == "enabled"
