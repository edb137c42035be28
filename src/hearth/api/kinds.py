"""The resources we serve: what a client needs to address them.

Schemas, printer columns, defaults and validation are in the module of their API group; the table
here is what all components share.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource: its group, version, names and scope."""

    group: str  #: empty for the core group
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """``group/version``, or ``v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The REST path below the tenant's root, e.g. ``/api/v1/namespaces/default/pods/x``."""
        parts = [f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"]
        if self.namespaced and namespace:
            parts.append(f"namespaces/{namespace}")
        parts.append(self.plural)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def __str__(self) -> str:
        """``plural.group``, as messages name resources."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


SERVING = "serving.knative.dev"
NETWORKING = "networking.internal.knative.dev"
HEARTH = "hearth.dev"

SERVICE = Kind(SERVING, "v1", "Service", "services")
CONFIGURATION = Kind(SERVING, "v1", "Configuration", "configurations")
REVISION = Kind(SERVING, "v1", "Revision", "revisions")
ROUTE = Kind(SERVING, "v1", "Route", "routes")
DOMAIN_MAPPING = Kind(SERVING, "v1beta1", "DomainMapping", "domainmappings")

CLUSTER_DOMAIN_CLAIM = Kind(
    NETWORKING, "v1alpha1", "ClusterDomainClaim", "clusterdomainclaims", namespaced=False
)
CERTIFICATE = Kind(NETWORKING, "v1alpha1", "Certificate", "certificates")

POD_POOL = Kind(HEARTH, "v1alpha1", "PodPool", "podpools")
POOLED_REPLICA_SET = Kind(HEARTH, "v1alpha1", "PooledReplicaSet", "pooledreplicasets")

#: Knative's own, shown as what our objects mean: see ``hearth.api.shown``.
POD_AUTOSCALER = Kind(
    "autoscaling.internal.knative.dev", "v1alpha1", "PodAutoscaler", "podautoscalers"
)
SERVERLESS_SERVICE = Kind(
    "networking.internal.knative.dev", "v1alpha1", "ServerlessService", "serverlessservices"
)
POD_METRICS = Kind("metrics.k8s.io", "v1beta1", "PodMetrics", "pods")
HORIZONTAL_POD_AUTOSCALER = Kind(
    "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"
)
INGRESS = Kind(NETWORKING, "v1alpha1", "Ingress", "ingresses")
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments")
ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")

POD = Kind("", "v1", "Pod", "pods")
NAMESPACE = Kind("", "v1", "Namespace", "namespaces", namespaced=False)
NODE = Kind("", "v1", "Node", "nodes", namespaced=False)
SECRET = Kind("", "v1", "Secret", "secrets")
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps")
SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts")
CORE_EVENT = Kind("", "v1", "Event", "events")
EVENT = Kind("events.k8s.io", "v1", "Event", "events")
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")
PERSISTENT_VOLUME = Kind("", "v1", "PersistentVolume", "persistentvolumes", namespaced=False)
PERSISTENT_VOLUME_CLAIM = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
RUNTIME_CLASS = Kind("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", namespaced=False)
STORAGE_CLASS = Kind("storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False)
CORE_SERVICE = Kind("", "v1", "Service", "services")
ENDPOINTS = Kind("", "v1", "Endpoints", "endpoints")
RESOURCE_QUOTA = Kind("", "v1", "ResourceQuota", "resourcequotas")
LIMIT_RANGE = Kind("", "v1", "LimitRange", "limitranges")

_RBAC = "rbac.authorization.k8s.io"
ROLE = Kind(_RBAC, "v1", "Role", "roles")
ROLE_BINDING = Kind(_RBAC, "v1", "RoleBinding", "rolebindings")
CLUSTER_ROLE = Kind(_RBAC, "v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING = Kind(
    _RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)
#: Questions: answered when they are posted, never stored.
_AUTHN, _AUTHZ = "authentication.k8s.io", "authorization.k8s.io"
TOKEN_REVIEW = Kind(_AUTHN, "v1", "TokenReview", "tokenreviews", namespaced=False)
SELF_SUBJECT_REVIEW = Kind(
    _AUTHN, "v1", "SelfSubjectReview", "selfsubjectreviews", namespaced=False
)
SUBJECT_ACCESS_REVIEW = Kind(
    _AUTHZ, "v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False
)
LOCAL_SUBJECT_ACCESS_REVIEW = Kind(
    _AUTHZ, "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews"
)
SELF_SUBJECT_ACCESS_REVIEW = Kind(
    _AUTHZ, "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False
)
SELF_SUBJECT_RULES_REVIEW = Kind(
    _AUTHZ, "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", namespaced=False
)

#: A cluster's own, which ``hearth install`` and the webhooks write; we do not serve them.
_ADMISSION = "admissionregistration.k8s.io"
MUTATING_WEBHOOKS = Kind(
    _ADMISSION, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations",
    namespaced=False,
)  # fmt: skip
VALIDATING_WEBHOOKS = Kind(
    _ADMISSION, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations",
    namespaced=False,
)  # fmt: skip
CUSTOM_RESOURCE_DEFINITION = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions",
    namespaced=False,
)  # fmt: skip
POD_DISRUPTION_BUDGET = Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")

ALL: tuple[Kind, ...] = (
    SERVICE, CONFIGURATION, REVISION, ROUTE, DOMAIN_MAPPING, CLUSTER_DOMAIN_CLAIM, CERTIFICATE,
    POD_POOL, POOLED_REPLICA_SET,
    POD_AUTOSCALER, SERVERLESS_SERVICE, DEPLOYMENT, ENDPOINT_SLICE,
    POD_METRICS, HORIZONTAL_POD_AUTOSCALER,
    POD, NAMESPACE, NODE, SECRET, CONFIG_MAP, SERVICE_ACCOUNT, CORE_EVENT, EVENT, LEASE,
    PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS, RUNTIME_CLASS,
    CORE_SERVICE, ENDPOINTS, RESOURCE_QUOTA, LIMIT_RANGE,
    ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING,
)  # fmt: skip
