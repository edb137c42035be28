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


_KUBERNETES = "kubernetes."
#: Flags about what a pod spec may hold, without their prefix ``kubernetes.``.
POD_FLAGS = frozenset({
    "containerspec-addcapabilities", "podspec-affinity", "podspec-dnsconfig", "podspec-dnspolicy",
    "podspec-dryrun", "podspec-fieldref", "podspec-hostaliases", "podspec-hostipc",
    "podspec-hostnetwork", "podspec-hostpid", "podspec-init-containers", "podspec-nodeselector",
    "podspec-persistent-volume-claim", "podspec-persistent-volume-write",
    "podspec-priorityclassname", "podspec-runtimeclassname", "podspec-schedulername",
    "podspec-securitycontext", "podspec-shareprocessnamespace", "podspec-tolerations",
    "podspec-topologyspreadconstraints", "podspec-volumes-csi", "podspec-volumes-emptydir",
    "podspec-volumes-hostpath", "podspec-volumes-image", "podspec-volumes-mount-propagation",
})  # fmt: skip
#: The others; those of the queue-proxy and ``autodetect-http2`` are read and change nothing.
OTHER_FLAGS = frozenset({
    "multi-container", "multi-container-probing", "tag-header-based-routing", "autodetect-http2",
    "queueproxy.mount-podinfo", "queueproxy.resource-defaults",
})  # fmt: skip


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
    written = {}
    for key, text in data.items():
        name = key.removeprefix(_KUBERNETES)
        known = POD_FLAGS if key.startswith(_KUBERNETES) else OTHER_FLAGS
        if name in known and (found := _flag(text)):
            written[name] = found
    secure = data.get("secure-pod-defaults", "").lower()
    known_values = {one.value: one for one in SecureDefaults}
    return FeaturesConfig(written, known_values.get(secure, SecureDefaults.DISABLED))


def _flag(text: str) -> Flag | None:
    return next((one for one in Flag if one.value == text.lower()), None)
