"""The keys of each config map: what whoever edits one is shown, and told about.

``docs/configuration.md`` has them all at length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """One key."""

    name: str
    default: str  #: as it is written in a map
    says: str  #: what it is about
    idle: str = ""  #: why it changes nothing here, if that is so
    older: tuple[str, ...] = ()  #: names that it had before


def _flags(*names: str, prefix: str = "kubernetes.podspec-") -> tuple[Key, ...]:
    says = "whether pods may have it: Enabled, Allowed or Disabled; not written, they may"
    return tuple(Key(prefix + name, "Enabled", says) for name in names)


_NO_SIDECAR = "there is no queue-proxy"
_NO_MESH = "there is no service mesh"


def _sidecar(name: str, default: str, says: str, *older: str) -> Key:
    return Key(f"queue-sidecar-{name}", default, f"the queue-proxy's {says}", _NO_SIDECAR, older)


def _pushed(prefix: str) -> tuple[Key, ...]:
    says = "metrics are served at /metrics, none or prometheus, and sent nowhere"
    return (
        Key(f"{prefix}metrics-protocol", "none", says),
        Key(f"{prefix}metrics-endpoint", "", says),
        Key(f"{prefix}metrics-export-interval", "0s", says, "they are sent nowhere"),
    )


#: By config map; ``config-domain``'s keys are domains.
KEYS: Mapping[str, tuple[Key, ...]] = {
    "config-autoscaler": (
        Key("pod-autoscaler-class", "kpa.autoscaling.knative.dev",
            "who scales revisions that do not say it: kpa (requests) or hpa (CPU, memory)"),
        Key("container-concurrency-target-percentage", "70",
            "percent of a pod's target to aim for"),
        Key("container-concurrency-target-default", "100",
            "requests in flight to aim for in a pod that takes any number"),
        Key("requests-per-second-target-default", "200", "requests per second to aim for in a pod"),
        Key("target-burst-capacity", "211",
            "requests beyond the load to have room for; -1 for any number, 0 for none"),
        Key("stable-window", "60s", "how long to look back; 6s to 1h"),
        Key("panic-window-percentage", "10", "the panic window, in percent of the stable one"),
        Key("panic-threshold-percentage", "200",
            "percent of what pods can do from which on the panic window decides"),
        Key("max-scale-up-rate", "1000", "times the ready pods that there may be more at once"),
        Key("max-scale-down-rate", "2", "times fewer"),
        Key("enable-scale-to-zero", "true", "whether revisions may have no pod"),
        Key("scale-down-delay", "0s", "how long less load must last; 0s to 1h"),
        Key("scale-to-zero-grace-period", "30s", "the activator's time to take over",
            "gateways hold requests by themselves"),
        Key("scale-to-zero-pod-retention-period", "0s", "how long the last pod stays at least"),
        Key("activator-capacity", "100", "requests in flight that an activator can hold",
            "gateways hold requests by themselves"),
        Key("initial-scale", "1", "pods that a new revision starts with"),
        Key("allow-zero-initial-scale", "true", "whether that may be none"),
        Key("min-scale", "0", "the fewest pods of a revision"),
        Key("max-scale", "0", "the most pods of a revision; 0 for any number"),
        Key("max-scale-limit", "0", "the highest max-scale that may be asked for; 0 for any"),
    ),
    "config-defaults": (
        Key("revision-timeout-seconds", "300", "seconds that a request may take"),
        Key("max-revision-timeout-seconds", "600", "the most that may be asked for"),
        Key("revision-response-start-timeout-seconds", "300",
            "seconds until the first byte of the answer; like revision-timeout-seconds"),
        Key("revision-idle-timeout-seconds", "0", "seconds without a byte; 0 for any number"),
        Key("revision-cpu-request", "400m", "CPU that a container asks for; none by default"),
        Key("revision-memory-request", "100M", "likewise memory"),
        Key("revision-ephemeral-storage-request", "500M", "likewise disk"),
        Key("revision-cpu-limit", "1000m", "CPU that a container may use; any by default"),
        Key("revision-memory-limit", "200M", "likewise memory"),
        Key("revision-ephemeral-storage-limit", "750M", "likewise disk"),
        Key("container-name-template", "user-container",
            "name of containers without one: a Go template, {{.Name}} is the Service's"),
        Key("init-container-name-template", "init-container", "likewise of init containers"),
        Key("container-concurrency", "0", "requests at once in a pod; 0 for any number"),
        Key("container-concurrency-max-limit", "1000", "the most that may be asked for"),
        Key("allow-container-concurrency-zero", "true", "whether any number may be asked for"),
        Key("enable-service-links", "false", "a pod's enableServiceLinks: true, false or default"),
    ),
    "config-deployment": (
        Key("registries-skipping-tag-resolving", "kind.local,ko.local,dev.local",
            "registries whose images' tags are not pinned to a digest",
            older=("registriesSkippingTagResolving",)),
        Key("digest-resolution-timeout", "10s", "how long finding a tag's digest may take",
            older=("digestResolutionTimeout",)),
        Key("progress-deadline", "600s", "how long a revision may take to come up",
            older=("progressDeadline",)),
        Key("default-affinity-type", "prefer-spread-revision-over-nodes",
            "whether pods of a revision prefer nodes that have none of it: this, or none"),
        Key("runtime-class-name", "", "RuntimeClasses, each with labels of the Revisions for it"),
        Key("pod-is-always-schedulable", "false", "whether a node will come for pods without one"),
        _sidecar("image", "", "image", "queueSidecarImage"),
        _sidecar("cpu-request", "25m", "resources", "queueSidecarCPURequest"),
        _sidecar("cpu-limit", "1000m", "resources", "queueSidecarCPULimit"),
        _sidecar("memory-request", "400Mi", "resources", "queueSidecarMemoryRequest"),
        _sidecar("memory-limit", "800Mi", "resources", "queueSidecarMemoryLimit"),
        _sidecar("ephemeral-storage-request", "512Mi", "resources",
                 "queueSidecarEphemeralStorageRequest"),
        _sidecar("ephemeral-storage-limit", "1024Mi", "resources",
                 "queueSidecarEphemeralStorageLimit"),
        _sidecar("token-audiences", "", "tokens"),
        _sidecar("rootca", "", "authority"),
        _sidecar("tls-min-version", "", "TLS"),
        _sidecar("tls-max-version", "", "TLS"),
        _sidecar("tls-cipher-suites", "", "TLS"),
        _sidecar("tls-curve-preferences", "", "TLS"),
    ),
    "config-features": (
        Key("secure-pod-defaults", "Disabled",
            "what the restricted level of Pod Security wants, for containers that do not say it: "
            "Enabled, AllowRootBounded (all but runAsNonRoot) or Disabled"),
        Key("multi-container", "Enabled", "whether pods may have several containers"),
        Key("multi-container-probing", "Enabled",
            "whether containers that do not serve may have probes; not written, they may"),
        Key("tag-header-based-routing", "Disabled",
            "whether the header Knative-Serving-Tag picks a tag"),
        *_flags(
            "affinity", "topologyspreadconstraints", "hostaliases", "nodeselector", "tolerations",
            "fieldref", "runtimeclassname", "securitycontext", "shareprocessnamespace", "hostipc",
            "hostpid", "hostnetwork", "priorityclassname", "schedulername", "dnspolicy",
            "dnsconfig", "init-containers", "persistent-volume-claim", "persistent-volume-write",
            "volumes-emptydir", "volumes-hostpath", "volumes-csi", "volumes-image",
            "volumes-mount-propagation",
        ),
        *_flags("containerspec-addcapabilities", prefix="kubernetes."),
        Key("kubernetes.podspec-dryrun", "Allowed",
            "whether templates are tried as pods when they are written: Enabled (all), Allowed "
            "(those whose annotation features.knative.dev/podspec-dryrun says so) or Disabled"),
        Key("autodetect-http2", "Disabled", "whether apps are asked if they speak HTTP/2",
            "name the port h2c"),
        Key("queueproxy.mount-podinfo", "Disabled", "the queue-proxy's view of its pod",
            _NO_SIDECAR),
        Key("queueproxy.resource-defaults", "Disabled", "the queue-proxy's resources",
            _NO_SIDECAR),
    ),
    "config-gc": (
        Key("retain-since-create-time", "48h", "how long a revision stays; or disabled"),
        Key("retain-since-last-active-time", "15h",
            "how long one stays that has had requests; or disabled"),
        Key("min-non-active-revisions", "20", "how many without traffic stay in any case"),
        Key("max-non-active-revisions", "1000", "how many stay at most; or disabled"),
    ),
    "config-network": (
        Key("domain-template", "{{.Name}}.{{.Namespace}}.{{.Domain}}", "hosts of Routes",
            older=("domainTemplate",)),
        Key("tag-template", "{{.Tag}}-{{.Name}}", "what stands for the name in a tag's host",
            older=("tagTemplate",)),
        Key("external-domain-tls", "Disabled", "whether hosts have certificates",
            older=("auto-tls", "autoTLS")),
        Key("cluster-local-domain-tls", "Disabled", "whether names inside have certificates"),
        Key("system-internal-tls", "Disabled",
            "TLS from the gateway to pods: cannot be Enabled here", older=("internal-encryption",)),
        Key("certificate-class", "hearth.certificate.networking.knative.dev",
            "who issues certificates: this, or acme.certificate.networking.knative.dev",
            older=("certificate.class",)),
        Key("http-protocol", "Enabled", "Redirected sends HTTP to HTTPS", older=("httpProtocol",)),
        Key("default-external-scheme", "http", "scheme of URLs without certificates",
            older=("defaultExternalScheme",)),
        Key("rollout-duration", "0", "seconds over which a new revision takes its traffic over",
            older=("rolloutDuration",)),
        Key("autocreate-cluster-domain-claims", "false",
            "whether a DomainMapping claims its domain by itself",
            older=("autocreateClusterDomainClaims",)),
        Key("namespace-wildcard-cert-selector", "", "namespaces with a certificate for all hosts",
            "each host has its own", older=("namespaceWildcardCertSelector",)),
        Key("ingress-class", "hearth.ingress.networking.knative.dev", "which ingress is used",
            "there is one", older=("ingress.class",)),
        Key("mesh-compatibility-mode", "disabled", "how pods in a mesh are reached", _NO_MESH),
        Key("enable-mesh-pod-addressability", "false", "whether pods in a mesh can be", _NO_MESH,
            older=("enableMeshPodAddressability",)),
    ),
    "config-observability": (
        Key("logging.enable-request-log", "false", "whether each request is a line of a log"),
        Key("logging.request-log-template", "",
            "the line: a Go template over .Request, .Response, .Revision and .TraceID; "
            "Knative's own, as JSON, unless it is written"),
        Key("logging.enable-probe-request-log", "false", "whether probes are lines, too"),
        Key("logging.revision-url-template", "",
            "URL of a revision's logs, with ${REVISION_UID}: a revision's status.logUrl"),
        Key("logging.enable-var-log-collection", "false",
            "what apps write to /var/log: cannot be true here"),
        Key("tracing-protocol", "none", "how spans are sent: none, grpc or http/protobuf"),
        Key("tracing-endpoint", "", "where to: http://HOST:PORT/PATH, or HOST:PORT with TLS"),
        Key("tracing-sampling-rate", "0", "share of requests that begin a trace, 0 to 1"),
        *_pushed(""), *_pushed("request-"),
        Key("runtime-profiling", "disabled", "a profiler: cannot be enabled here"),
        Key("runtime-export-interval", "0s", "how often figures of Go's runtime are sent",
            "there is no Go"),
    ),
}  # fmt: skip

EXAMPLE = "_example"  #: a key of each map that says nothing
#: Config maps of Knative's that are not read.
_UNREAD: Mapping[str, str] = {
    "config-certmanager": "certificates come from Hearth's own authority or an ACME server",
    "config-leader-election": "one controller has each shard",
    "config-logging": "how much is logged is a setting of each process",
    "config-tracing": "Knative reads config-observability instead",
}


def unheard(name: str, key: str) -> str:
    """Why a key of a config map changes nothing; empty when it does, or may."""
    if key == EXAMPLE:
        return ""
    if name in _UNREAD:
        return f"{name} has no effect here: {_UNREAD[name]}"
    if name not in KEYS:
        return ""
    for known in KEYS[name]:
        if key == known.name or key in known.older:
            return f"{key} has no effect here: {known.idle}" if known.idle else ""
    return f"{key} is no key of {name}: it has no effect"
