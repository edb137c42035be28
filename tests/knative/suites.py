"""The suites, and what each finds configured: the stages of Knative's ``test/e2e-tests.sh``.

``externaldomaintls`` are those stages of ``test/e2e-external-domain-tls-tests.sh`` in which each
Service has a certificate of its own, from our authority or by HTTP-01 from Pebble, in place of
cert-manager. ``scale`` runs with ``-short``: a node takes 110 pods. Left out are:

- ``test/ha``: it deletes the leading pods of Knative's controllers, autoscaler and activator and
  waits for others to take their Leases; here they are one process without a stand-by,
- ``test/upgrade``: it installs Knative's previous release and goes from it to the new one and back,
- ``test/performance``: benchmarks that report to a database of their own,
- the other stage of ``externaldomaintls``: certificates for whole namespaces, which are not issued.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hearth.api.names import ACME_CERTIFICATE_CLASS

ConfigMaps = dict[str, dict[str, str]]

#: What the whole run has: Knative's ``test/config/ytt/core`` where it concerns us.
CONFIG: ConfigMaps = {
    "config-autoscaler": {"allow-zero-initial-scale": "false"},
    "config-defaults": {},
    "config-deployment": {"progress-deadline": "120s"},
    "config-domain": {"example.com": ""},
    "config-features": {},
    "config-gc": {},
    "config-network": {"autocreate-cluster-domain-claims": "true"},
    "config-observability": {
        "logging.enable-request-log": "true",
        # Their default probe is a request to queue-proxy; here it is a TCP connection to the app.
        "logging.enable-probe-request-log": "false",
        "logging.request-log-template": (
            '{"httpRequest": {"requestMethod": "{{.Request.Method}}", '
            '"requestUrl": "{{js .Request.RequestURI}}", '
            '"requestSize": "{{.Request.ContentLength}}", "status": {{.Response.Code}}, '
            '"responseSize": "{{.Response.Size}}", "userAgent": "{{js .Request.UserAgent}}", '
            '"remoteIp": "{{js .Request.RemoteAddr}}", "serverIp": "{{.Revision.PodIP}}", '
            '"referer": "{{js .Request.Referer}}", "latency": "{{.Response.Latency}}s", '
            '"protocol": "{{.Request.Proto}}"}, "traceId": "{{.TraceID}}"}'
        ),
    },
}


@dataclass(frozen=True)
class Suite:
    """One Go test program."""

    name: str
    package: str
    config: ConfigMaps = field(default_factory=dict)  #: on top of ``CONFIG``, while it runs
    tag: str = "e2e"
    timeout: str = "10m"
    flags: tuple[str, ...] = ()
    acme: bool = False  #: an ACME server runs beside it
    slow: str = ""  #: tests of minutes each, an expression
    extra: bool = False  #: runs only when it is named
    parallel: int = 0  #: tests at a time; 0: as the runner says
    environ: dict[str, str] = field(default_factory=dict)  #: variables that it reads
    packaged: bool = False  #: its programs are apps of code in claimed pods instead of images


_MINUTES = "^Test(WebSocketGracefulShutdown|MinScaleTransition|AutoscaleSustaining|EgressTraffic)$"


def _features(*names: str) -> ConfigMaps:
    return {"config-features": dict.fromkeys(names, "Enabled")}


SUITES: tuple[Suite, ...] = (
    Suite("api", "test/conformance/api/v1", timeout="40m"),
    Suite("api-v1beta1", "test/conformance/api/v1beta1"),
    Suite("runtime", "test/conformance/runtime", timeout="40m"),
    # A claimed pod that fails its liveness probe is replaced; the test waits minutes for a restart.
    Suite(
        "runtime-packaged", "test/conformance/runtime", timeout="40m", packaged=True,
        flags=("-test.skip=^TestLivenessWithFail$",),
    ),
    Suite("e2e", "test/e2e", timeout="80m", slow=_MINUTES),
    *(
        Suite(
            f"{name}-https", package, {"config-network": {"external-domain-tls": "Enabled"}},
            timeout="80m", flags=("-https",), extra=True,
        )
        for name, package in (
            ("api", "test/conformance/api/v1"),
            ("runtime", "test/conformance/runtime"),
            ("e2e", "test/e2e"),
        )
    ),
    Suite("hpa", "test/e2e", tag="hpa", timeout="30m"),
    Suite("tagheader", "test/e2e/tagheader", _features("tag-header-based-routing")),
    Suite(
        "initscale", "test/e2e/initscale",
        {"config-autoscaler": {"allow-zero-initial-scale": "true"}},
    ),
    Suite("domainmapping", "test/e2e/domainmapping"),
    Suite(
        "externaldomaintls", "test/e2e/externaldomaintls",
        {"config-network": {"external-domain-tls": "Enabled"}},
        environ={"EXTERNAL_DOMAIN_TLS_TEST_NAME": "SelfSignedPerKsvc"},
    ),
    Suite(
        "externaldomaintls-http01", "test/e2e/externaldomaintls",
        {"config-network": {
            "external-domain-tls": "Enabled", "certificate-class": ACME_CERTIFICATE_CLASS,
        }},
        environ={"EXTERNAL_DOMAIN_TLS_TEST_NAME": "http01"}, acme=True,
    ),
    Suite("scale", "test/scale", timeout="20m", parallel=300, flags=("-test.short",)),
    Suite(
        "clusterlocaldomaintls", "test/e2e/clusterlocaldomaintls",
        {"config-network": {"cluster-local-domain-tls": "enabled"}},
    ),
    Suite(
        "systeminternaltls", "test/e2e/systeminternaltls",
        {"config-network": {"system-internal-tls": "enabled"}},
        # It removes cert-manager's authority and waits for cert-manager to make another.
        flags=("-test.skip=^TestTLSCertificateRotation$",),
    ),
    Suite(
        "gc", "test/e2e/gc",
        {
            "config-gc": {
                "retain-since-create-time": "disabled",
                "retain-since-last-active-time": "disabled",
                "min-non-active-revisions": "0",
                "max-non-active-revisions": "0",
            }
        },
    ),
    Suite(
        "initcontainers", "test/e2e/initcontainers",
        _features("kubernetes.podspec-init-containers"),
    ),
    Suite(
        "multicontainerprobing", "test/e2e/multicontainerprobing",
        _features("multi-container-probing"),
    ),
    Suite(
        "pvc", "test/e2e/pvc",
        _features(
            "kubernetes.podspec-persistent-volume-claim",
            "kubernetes.podspec-persistent-volume-write",
            "kubernetes.podspec-securitycontext",
        ),
    ),
    Suite("securedefaults", "test/e2e/securedefaults", _features("secure-pod-defaults")),
)  # fmt: skip

#: Folders below ``test/test_images``; an image is called as the folder's last part.
IMAGES: tuple[str, ...] = (
    "autoscale", "configmimic", "failing", "grpc-ping", "hellohttp2", "hellovolume", "helloworld",
    "httpproxy", "multicontainer/servingcontainer", "multicontainer/sidecarcontainer",
    "pizzaplanetv1", "pizzaplanetv2", "readiness", "runtime", "singlethreaded", "slowstart",
    "timeout", "volumes", "wsserver",
)  # fmt: skip
