"""A ``hearth up`` as the suites expect a cluster: namespaces, config maps, a gateway's Service."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hearth.api.errors import ApiError
from hearth.api.kinds import CONFIG_MAP, NAMESPACE, SECRET, Kind
from hearth.api.names import DOMAIN_CA, GATEWAY_SERVICE, SYSTEM_NAMESPACE, TLS_SECRET
from hearth.api.tls import data_of
from hearth.kit.x509 import make_authority
from hearth.node.network import planned_gateway
from tests.knative.suites import CONFIG, ConfigMaps, Suite
from tests.system.pebble import pebble
from tests.system.running import Running, up

SYSTEM = "knative-serving"
#: Where the suites look for the authority that has signed names, inside and outside.
CERT_MANAGER, CERT_MANAGER_CAS = "cert-manager", ("knative-selfsigned-ca", "ca-key-pair")
NAMESPACES = (SYSTEM, CERT_MANAGER, "serving-tests", "serving-tests-alt", "tls", "rq-test")
REPOSITORY = "hearth.test/knative"
#: Suites run some tests only for the ingress that this names; Envoy is what they are about there.
INGRESS_CLASS = "kourier.ingress.networking.knative.dev"
_POOL = 4  #: for the suites of packages
_SETTINGS = 'domain = "example.com"\nhttp_host = "{host}"\nhttp_port = {port}\n'
_QUOTA = Kind("", "v1", "ResourceQuota", "resourcequotas")
_CLAIM = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")


@contextlib.contextmanager
def platform(folder: Path, http_port: int) -> Iterator[Running]:
    """A platform that the suites can run against, for the length of a block."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "settings.toml"
    state = folder / "state"
    # Both the suites and pods ask there: at 127.0.0.1 a pod finds itself.
    host = planned_gateway("auto", str((state / "node").resolve())) or "127.0.0.1"
    settings.write_text(_SETTINGS.format(host=host, port=http_port))
    with up(state, "--config", str(settings), "--http-port", str(http_port), pool=_POOL) as running:
        furnish(running)
        yield running


def furnish(running: Running) -> None:
    """Create what Knative's ``test/config`` has; says what this platform refuses."""
    for name in NAMESPACES:
        _apply(running, NAMESPACE, "", {"metadata": {"name": name}})
    configure(running, CONFIG)
    values = {"testKey": "testValue"}
    tests = "serving-tests"
    config_map = {"metadata": {"name": "conformance-test-configmap"}, "data": values}
    _apply(running, CONFIG_MAP, tests, config_map)
    secret = {"metadata": {"name": "conformance-test-secret"}, "stringData": values}
    _apply(running, SECRET, tests, secret)
    quota = {"metadata": {"name": "rq-e2e-test"}, "spec": {"hard": {"cpu": "50m"}}}
    _apply(running, _QUOTA, "rq-test", quota)
    claim = {
        "metadata": {"name": "knative-pv-claim"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    _apply(running, _CLAIM, tests, claim)
    made = make_authority("knative-suites", timedelta(days=365), datetime.now(UTC))
    authority = {"type": TLS_SECRET, "data": data_of(made)}
    places = (SYSTEM_NAMESPACE, DOMAIN_CA), *((CERT_MANAGER, name) for name in CERT_MANAGER_CAS)
    for namespace, name in places:
        _apply(running, SECRET, namespace, {"metadata": {"name": name}, **authority})


def configure(running: Running, maps: ConfigMaps) -> None:
    """Make each config map's data exactly ``CONFIG`` with ``maps`` on top."""
    for name in CONFIG | maps:
        data = CONFIG.get(name, {}) | maps.get(name, {})
        _apply(running, CONFIG_MAP, SYSTEM, {"metadata": {"name": name}, "data": data})


@contextlib.contextmanager
def issuer(running: Running, suite: Suite, folder: Path) -> Iterator[ConfigMaps]:
    """The ACME server of a suite that wants one, for the length of a block, and its config map."""
    if not suite.acme:
        yield {}
        return
    folder.mkdir(parents=True, exist_ok=True)
    with pebble(folder, running.port, endpoint(running)) as server:
        yield {"config-acme": {"server": server.directory, "ca-bundle": server.trusted}}


def load_images(running: Running, archives: list[Path]) -> None:
    """Give the node its images."""
    done = running.hearth("image", "load", *map(str, archives), check=False)
    if done.returncode:
        print(f"hearth image load: {done.stdout}{done.stderr}", flush=True)


def endpoint(running: Running) -> str:
    """The address of the gateway."""
    return urlsplit(running.ready["gateway"]).hostname or ""


def environment(running: Running) -> dict[str, str]:
    """What the suites' programs find."""
    return {
        **os.environ,
        "KUBECONFIG": running.ready["kubeconfig"],
        "SYSTEM_NAMESPACE": SYSTEM,
        "GATEWAY_OVERRIDE": GATEWAY_SERVICE,
        "GATEWAY_NAMESPACE_OVERRIDE": SYSTEM_NAMESPACE,
    }


def _apply(running: Running, kind: Kind, namespace: str, wire: dict[str, Any]) -> None:
    metadata = {**wire["metadata"], **({"namespace": namespace} if namespace else {})}
    try:
        running.api(lambda client: client.apply(kind, {**wire, "metadata": metadata}))
    except ApiError as e:
        print(f"{kind.plural} {metadata['name']}: {e}", flush=True)
