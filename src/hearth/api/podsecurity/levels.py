"""Which level the labels of a namespace ask for.

Source: k8s.io/pod-security-admission api/helpers.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hearth.api.errors import FieldError

PREFIX = "pod-security.kubernetes.io/"
PRIVILEGED, BASELINE, RESTRICTED = NAMES = ("privileged", "baseline", "restricted")
MODES = ("enforce", "audit", "warn")
OLDEST, LATEST = 25, 35  #: minor versions of the Kubernetes whose rules are known here
_VERSION = re.compile(r"v1\.([0-9]|[1-9][0-9]*)$")


@dataclass(frozen=True, slots=True)
class Level:
    """How much pods may do, by the rules of a version of Kubernetes."""

    name: str = PRIVILEGED
    version: str = "latest"

    def __str__(self) -> str:
        """``restricted:latest``."""
        return f"{self.name}:{self.version}"

    def is_stricter_than(self, other: Level) -> bool:
        """Whether a pod that the other allows may be too much for it."""
        if self.name == other.name and self.name != PRIVILEGED:
            return self.minor != other.minor
        return NAMES.index(self.name) > NAMES.index(other.name)

    @property
    def minor(self) -> int:
        """The minor version whose rules hold."""
        found = _VERSION.match(self.version)
        return max(OLDEST, min(int(found[1]), LATEST)) if found else LATEST


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of a pod that is more than a level allows."""

    enforce: Level = Level()
    audit: Level = Level()
    warn: Level = Level()

    @property
    def is_privileged(self) -> bool:
        """Whether pods may be anything, and nobody hears of it."""
        return {level.name for level in (self.enforce, self.audit, self.warn)} == {PRIVILEGED}


def policy_of(labels: Mapping[str, str]) -> Policy:
    """A namespace's policy.

    A level that is not known counts as ``restricted`` for ``enforce`` and as none for the others;
    without a level of its own ``warn`` is as strict as ``enforce``.
    """
    enforce, audit, warn = (_level(labels, mode) for mode in MODES)
    if PREFIX + "warn" not in labels and labels.get(PREFIX + "enforce") in NAMES:
        version = warn.version if PREFIX + "warn-version" in labels else enforce.version
        warn = Level(enforce.name, version)
    return Policy(enforce, audit, warn)


def _level(labels: Mapping[str, str], mode: str) -> Level:
    name = labels.get(PREFIX + mode, PRIVILEGED)
    version = labels.get(f"{PREFIX}{mode}-version", "latest")
    if name not in NAMES:
        name = RESTRICTED if mode == "enforce" else PRIVILEGED
    return Level(name, version if _VERSION.match(version) else "latest")


def label_faults(labels: Mapping[str, str]) -> list[FieldError]:
    """Labels with values that are not known."""
    faults = []
    for mode in MODES:
        name, version = labels.get(PREFIX + mode), labels.get(f"{PREFIX}{mode}-version")
        if name is not None and name not in NAMES:
            said = f"must be one of {', '.join(NAMES)}"
            faults.append(_fault(PREFIX + mode, name, said))
        if version is not None and version != "latest" and not _VERSION.match(version):
            said = 'must be "latest" or "v1.x"'
            faults.append(_fault(f"{PREFIX}{mode}-version", version, said))
    return faults


def _fault(label: str, value: str, said: str) -> FieldError:
    path = f"metadata.labels[{label}]"
    return FieldError(path, f'Invalid value: "{value}": {said}')
