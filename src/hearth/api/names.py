"""Labels, annotations and well-known names: Knative's, Kubernetes' and ours."""

from __future__ import annotations

# Knative's labels and annotations (serving/pkg/apis/serving/register.go).
SERVICE_LABEL = "serving.knative.dev/service"
SERVICE_UID_LABEL = "serving.knative.dev/serviceUID"
CONFIGURATION_LABEL = "serving.knative.dev/configuration"
CONFIGURATION_UID_LABEL = "serving.knative.dev/configurationUID"
CONFIGURATION_GENERATION_LABEL = "serving.knative.dev/configurationGeneration"
REVISION_LABEL = "serving.knative.dev/revision"
REVISION_UID_LABEL = "serving.knative.dev/revisionUID"
ROUTE_LABEL = "serving.knative.dev/route"
ROUTING_STATE_LABEL = "serving.knative.dev/routingState"
ROUTING_STATE_MODIFIED_ANNOTATION = "serving.knative.dev/routingStateModified"
ROUTES_ANNOTATION = "serving.knative.dev/routes"
CREATOR_ANNOTATION = "serving.knative.dev/creator"
LAST_MODIFIER_ANNOTATION = "serving.knative.dev/lastModifier"
DOMAIN_MAPPING_UID_LABEL = "serving.knative.dev/domainMappingUID"
VISIBILITY_LABEL = "networking.knative.dev/visibility"
CLUSTER_LOCAL = "cluster-local"  #: value of the visibility label
HTTP_PROTOCOL_ANNOTATIONS = (
    "networking.knative.dev/httpOption",
    "networking.knative.dev/http-protocol",
)
DISABLE_TLS_ANNOTATIONS = (
    "networking.knative.dev/disableAutoTLS",
    "networking.knative.dev/disable-auto-tls",
    "networking.knative.dev/disable-external-domain-tls",
)
CERTIFICATE_CLASS_ANNOTATION = "networking.knative.dev/certificate-class"
CERTIFICATE_CLASS_ANNOTATIONS = (
    "networking.knative.dev/certificate.class",
    CERTIFICATE_CLASS_ANNOTATION,
)
#: Whether a Certificate is for hosts reached from outside or from inside.
CERTIFICATE_TYPE_LABEL = "networking.knative.dev/certificate-type"
EXTERNAL_DOMAIN = "external-domain"
CLUSTER_LOCAL_DOMAIN = "cluster-local-domain"
SYSTEM_INTERNAL = "system-internal"  #: between the gateway and instances
#: On ConfigMaps in ``knative-serving``: authorities, in PEM, that are to be trusted inside.
TRUST_BUNDLE_LABEL = "networking.knative.dev/trust-bundle"
APP_LABEL = "app"

#: Prefix of Knative's autoscaling annotations (min-scale, max-scale, initial-scale, target, …).
AUTOSCALING_PREFIX = "autoscaling.knative.dev/"

# Ours.
SHARD_LABEL = "hearth.dev/shard"  #: which controllers own an app; absent means the default shard
#: On a PodPool: by what image's name apps ask for its pods, where that is not the image's own.
RUNTIME_ANNOTATION = "hearth.dev/runtime"
PODPOOL_LABEL = "hearth.dev/podpool"  #: on warm pods: the PodPool they belong to
GATEWAY_LABEL = "hearth.dev/gateway"  #: on a gateway's Lease: the ServiceGroup it serves
CONTROLLER_LABEL = "hearth.dev/controller"  #: on a controller's Lease: its shard
#: On a gateway's Lease: the highest resourceVersion of Routes and Revisions it has programmed.
PROGRAMMED_ANNOTATION = "hearth.dev/programmed"
#: The same for DomainMappings, for Certificates, and for Secrets.
PROGRAMMED_DOMAINS_ANNOTATION = "hearth.dev/programmed-domains"
PROGRAMMED_CERTIFICATES_ANNOTATION = "hearth.dev/programmed-certificates"
PROGRAMMED_SECRETS_ANNOTATION = "hearth.dev/programmed-secrets"  #: Secrets with certificates
REQUEST_LOGS_ANNOTATION = "hearth.dev/request-logs"  #: on a gateway's Lease: where it serves them
#: In the status of a DomainMapping: the Route that its host leads to.
TARGET_ANNOTATION = "hearth.dev/target"
#: In the status of a Route or DomainMapping: ``redirected`` if plain HTTP is sent to HTTPS.
HTTP_PROTOCOL_ANNOTATION = "hearth.dev/http-protocol"
#: In the status of a Route: ``TAG=NAME,…``, by what names its tags are reached from inside.
TAG_HOSTS_ANNOTATION = "hearth.dev/tag-hosts"
#: In the status of a Route: ``enabled`` when the header ``Knative-Serving-Tag`` picks a tag.
TAG_HEADERS_ANNOTATION = "hearth.dev/tag-headers"
#: On a PooledReplicaSet: why the autoscaler set its scale to what it is.
SCALE_REASON_ANNOTATION = "hearth.dev/scale-reason"
#: On a PooledReplicaSet: how long its last cold starts took, in milliseconds, with commas between.
COLD_STARTS_ANNOTATION = "hearth.dev/cold-starts"
#: On a PooledReplicaSet: ``true`` while its pods have room for the burst to be ready for.
SPARE_BURST_ANNOTATION = "hearth.dev/spare-burst-capacity"
#: Classes of Certificates that we issue: from our own authority, and from an ACME server.
OWN_CERTIFICATE_CLASS = "hearth.certificate.networking.knative.dev"
ACME_CERTIFICATE_CLASS = "acme.certificate.networking.knative.dev"
#: In ``hearth-system``: the Secret with our own authority, and the ConfigMap with its certificate.
DOMAIN_CA = "domain-ca"
#: On the ConfigMap in each namespace that has what its apps are to trust.
TRUST_LABEL = "hearth.dev/trust"
CODE_ANNOTATION = "hearth.dev/code"  #: URL of the package
CODE_DIGEST_ANNOTATION = "hearth.dev/code-digest"  #: ``sha256:<hex>`` of the package
LAYER_ANNOTATION = "hearth.dev/layer"  #: URL of the dependencies' layer
LAYER_DIGEST_ANNOTATION = "hearth.dev/layer-digest"  #: ``sha256:<hex>`` of the layer
#: On a claimed pod: the warm pod's PodPool and when it was claimed (RFC 3339, microseconds).
CLAIMED_FROM_ANNOTATION = "hearth.dev/claimed-from"
CLAIMED_AT_ANNOTATION = "hearth.dev/claimed-at"
#: On a pod whose ports differ from its spec's (plain processes on loopback): the real ones.
APP_PORT_ANNOTATION = "hearth.dev/app-port"
CONTROL_PORT_ANNOTATION = "hearth.dev/control-port"

CLUSTER_DOMAIN = "svc.cluster.local"  #: suffix of what is reached from inside alone
TLS_SECRET = "kubernetes.io/tls"  #: type of Secrets with a certificate and its key
SYSTEM_NAMESPACE = "hearth-system"
KNATIVE_NAMESPACE = "knative-serving"  #: Knative's config maps live here

PYTHON_RUNTIME_IMAGE = "hearth.dev/runtimes/python"
RUNTIME_IMAGE_PREFIX = "hearth.dev/runtimes/"

USER_CONTAINER = "user-container"  #: Knative's default container name
USER_PORT = 8080  #: Knative's default port
CONTROL_PORT = 8012  #: the loader's, in a warm pod

#: In ``hearth-system``: the Service that tells where the gateway is.
GATEWAY_SERVICE = "gateway"
#: In ``knative-serving``: Knative's name of the Service of what holds requests.
ACTIVATOR_SERVICE = "activator-service"
#: Knative's names of what runs a revision, and of the service that selects its pods.
DEPLOYMENT_SUFFIX = "-deployment"
PRIVATE_SUFFIX = "-private"

#: On a cluster: by what the parts and their pods are reached, and who they are.
CONTROLLER_ACCOUNT, GATEWAY_ACCOUNT = "hearth-controller", "hearth-gateway"
WEBHOOK_SERVICE = "hearth-webhook"
WEBHOOK_CONFIGURATION = "hearth.dev"  #: name of both webhook configurations
WEBHOOK_MUTATE_PATH, WEBHOOK_VALIDATE_PATH, READY_PATH = "/mutate", "/validate", "/readyz"
INSIDE_SERVICE = "hearth-gateway-internal"  #: where requests from inside arrive
#: On all pods that Hearth makes: on a cluster these are a few of many.
OWN_POD_LABEL = "hearth.dev/pod"

DEFAULT_SHARD = "default"
