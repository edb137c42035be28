"""What belongs to a DomainMapping."""

from __future__ import annotations

from hearth.api.kinds import CLUSTER_DOMAIN_CLAIM
from hearth.api.meta import Wire, labels_of, name_of, namespace_of

#: On claims made for a mapping: they go with it. What an administrator made stays.
AUTOCREATED_LABEL = "hearth.dev/autocreated"


def make_claim(mapping: Wire) -> Wire:
    """The reservation of the mapping's host for its namespace."""
    return {
        "apiVersion": CLUSTER_DOMAIN_CLAIM.api_version,
        "kind": CLUSTER_DOMAIN_CLAIM.kind,
        "metadata": {"name": name_of(mapping), "labels": {AUTOCREATED_LABEL: "true"}},
        "spec": {"namespace": namespace_of(mapping)},
    }


def is_autocreated(claim: Wire) -> bool:
    """Whether the claim was made for a mapping."""
    return labels_of(claim).get(AUTOCREATED_LABEL) == "true"
