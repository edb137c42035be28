"""What Knative's config maps say when nobody changed them.

Source: knative.dev/serving pkg/autoscaler/config/config.go (config-autoscaler) and
pkg/deployment/config.go (config-deployment). What config-defaults fills into manifests is in
``hearth.api.serving.defaults``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnativeConfig:
    """The settings that the serving controllers read."""

    initial_scale: int = 1  #: config-autoscaler ``initial-scale``: pods of a new revision
    min_scale: int = 0  #: config-autoscaler ``min-scale``
    progress_deadline_s: float = 600.0  #: config-deployment ``progress-deadline``
