"""``config-features``: what is switched on of what Knative leaves to its operator.

A flag that is written decides as in Knative. One that is not written leaves what it is about
allowed, as far as the namespace's Pod Security level allows it; but what changes the behaviour of
the platform, and not what a manifest may say, is off as in Knative.

Source: knative.dev/serving pkg/apis/config/features.go. As there, a value that is no flag counts as
not written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from hearth.api.config.keys import KEYS


class Flag(Enum):
    """What a flag was set to."""

    ENABLED = "enabled"
    ALLOWED = "allowed"
    DISABLED = "disabled"


class SecureDefaults(Enum):
    """What ``secure-pod-defaults`` was set to."""

    DISABLED = "disabled"
    ROOT_BOUNDED = "allowrootbounded"  #: all but ``runAsNonRoot``
    ENABLED = "enabled"


_SECURE = "secure-pod-defaults"
#: All flags; those of the queue-proxy and ``autodetect-http2`` are read and change nothing.
FLAGS = frozenset(key.name for key in KEYS["config-features"]) - {_SECURE}


@dataclass(frozen=True, slots=True)
class FeaturesConfig:
    """What ``config-features`` says."""

    #: Flags that are written, by name without ``kubernetes.``.
    written: Mapping[str, Flag] = field(default_factory=dict)
    secure_pod_defaults: SecureDefaults = SecureDefaults.DISABLED

    @property
    def tag_header_based_routing(self) -> bool:
        """Whether the header ``Knative-Serving-Tag`` picks a tag."""
        return self.written.get("tag-header-based-routing") is Flag.ENABLED

    def is_written(self, name: str) -> bool:
        """Whether the flag has a value of its own."""
        return name in self.written

    def is_disabled(self, name: str) -> bool:
        """Whether the flag is off: it must be written for that."""
        return self.written.get(name) is Flag.DISABLED

    def is_enabled(self, name: str) -> bool:
        """Whether the flag is on: not written, or ``Enabled``; ``Allowed`` is too little."""
        return self.written.get(name, Flag.ENABLED) is Flag.ENABLED

    @property
    def is_secure(self) -> bool:
        """Whether containers get secure defaults."""
        return self.secure_pod_defaults is not SecureDefaults.DISABLED


def read_features(data: Mapping[str, str]) -> FeaturesConfig:
    """The data of ``config-features``."""
    found = {key: _flag(text) for key, text in data.items() if key in FLAGS}
    written = {key.removeprefix("kubernetes."): flag for key, flag in found.items() if flag}
    secure = {one.value: one for one in SecureDefaults}
    return FeaturesConfig(
        written, secure.get(data.get(_SECURE, "").lower(), SecureDefaults.DISABLED)
    )


def _flag(text: str) -> Flag | None:
    return next((one for one in Flag if one.value == text.lower()), None)
