"""How figures name what they are about, and those that objects carry."""

from __future__ import annotations

from hearth.api.meta import ROOT, ObjectKey, Wire, annotations_of, labels_of
from hearth.api.names import COLD_STARTS_ANNOTATION, CONFIGURATION_LABEL, SERVICE_LABEL


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


def cold_starts_of(replica_set: Wire) -> tuple[int, ...]:
    """How long the last cold starts took, in milliseconds, as a PooledReplicaSet says."""
    said = annotations_of(replica_set).get(COLD_STARTS_ANNOTATION, "").split(",")
    return tuple(int(text) for text in said if text.isdigit())
