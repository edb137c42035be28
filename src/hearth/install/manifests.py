"""Everything that an installation consists of, in the order in which it is applied."""

from __future__ import annotations

from hearth.api.config.initial import initial_config_maps
from hearth.api.crds import CUSTOM, make_crd
from hearth.api.kinds import NAMESPACE
from hearth.api.meta import Wire, labels_of, metadata
from hearth.api.names import KNATIVE_NAMESPACE, SYSTEM_NAMESPACE
from hearth.install.objects import PART_OF, make
from hearth.install.options import Options
from hearth.install.rbac import make_rbac
from hearth.install.webhooks import make_webhooks
from hearth.install.workloads import make_workloads

#: What pods of ``hearth-system`` may be, enforced by the API server: no privilege at all.
_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def make_manifests(options: Options) -> list[Wire]:
    """All objects: definitions first, webhooks last."""
    return [
        make(NAMESPACE, SYSTEM_NAMESPACE, labels=_RESTRICTED),
        make(NAMESPACE, KNATIVE_NAMESPACE),
        *(_labelled(make_crd(resource)) for resource in CUSTOM),
        *map(_labelled, initial_config_maps()),
        *make_rbac(),
        *make_workloads(options),
        *make_webhooks(),
    ]


def _labelled(wire: Wire) -> Wire:
    labels = {**labels_of(wire), **PART_OF}
    return {**wire, "metadata": {**metadata(wire), "labels": labels}}
