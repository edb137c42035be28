"""How figures name what they are about."""

from __future__ import annotations

from hearth.api.meta import ROOT, ObjectKey, Wire, labels_of
from hearth.api.names import CONFIGURATION_LABEL, SERVICE_LABEL


def metric_labels(key: ObjectKey, revision: Wire) -> dict[str, str]:
    """Labels of a revision's figures, as Knative's Prometheus exporter writes its attributes.

    Source: knative/serving pkg/metrics/key.go (``kn.revision.name``, …).
    """
    own = labels_of(revision)
    found = {
        "k8s_namespace_name": key.namespace,
        "kn_service_name": own.get(SERVICE_LABEL, ""),
        "kn_configuration_name": own.get(CONFIGURATION_LABEL, ""),
        "kn_revision_name": key.name,
    }
    return found if key.tenant == ROOT else {"hearth_tenant": key.tenant, **found}
