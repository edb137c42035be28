"""A ``hearth up`` as the suites expect a cluster: namespaces, config maps, a gateway's Service."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hearth.api.errors import ApiError
from hearth.api.kinds import CONFIG_MAP, NAMESPACE, SECRET, Kind
from tests.knative.suites import CONFIG, ConfigMaps
from tests.system.running import Running, up

SYSTEM = "knative-serving"
GATEWAY = "hearth-gateway"
NAMESPACES = (SYSTEM, "serving-tests", "serving-tests-alt", "tls", "rq-test")
REPOSITORY = "hearth.test/knative"
_SETTINGS = 'domain = "example.com"\nhttp_port = {port}\n'
_CORE_SERVICE = Kind("", "v1", "Service", "services")
_QUOTA = Kind("", "v1", "ResourceQuota", "resourcequotas")
_CLAIM = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")


@contextlib.contextmanager
def platform(folder: Path, http_port: int) -> Iterator[Running]:
    """A platform that the suites can run against, for the length of a block."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "settings.toml"
    settings.write_text(_SETTINGS.format(port=http_port))
    with up(folder / "state", "--config", str(settings), "--http-port", str(http_port), pool=0) as (
        running
    ):
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
    _apply(running, _CORE_SERVICE, SYSTEM, _gateway(running.port))
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


def configure(running: Running, maps: ConfigMaps) -> None:
    """Make each config map's data exactly ``CONFIG`` with ``maps`` on top."""
    for name in CONFIG | maps:
        data = CONFIG.get(name, {}) | maps.get(name, {})
        _apply(running, CONFIG_MAP, SYSTEM, {"metadata": {"name": name}, "data": data})


def load_images(running: Running, archives: list[Path]) -> None:
    """Give the node its images."""
    done = running.hearth("image", "load", *map(str, archives), check=False)
    if done.returncode:
        print(f"hearth image load: {done.stdout}{done.stderr}", flush=True)


def environment(running: Running) -> dict[str, str]:
    """What the suites' programs find."""
    return {
        **os.environ,
        "KUBECONFIG": running.ready["kubeconfig"],
        "SYSTEM_NAMESPACE": SYSTEM,
        "GATEWAY_OVERRIDE": GATEWAY,
        "GATEWAY_NAMESPACE_OVERRIDE": SYSTEM,
    }


def _gateway(port: int) -> dict[str, Any]:
    """The Service in which the suites look up which port of the endpoint port 80 is."""
    ports = [{"name": "http2", "port": 80, "nodePort": port, "targetPort": port}]
    return {"metadata": {"name": GATEWAY}, "spec": {"type": "NodePort", "ports": ports}}


def _apply(running: Running, kind: Kind, namespace: str, wire: dict[str, Any]) -> None:
    metadata = {**wire["metadata"], **({"namespace": namespace} if namespace else {})}
    try:
        running.api(lambda client: client.apply(kind, {**wire, "metadata": metadata}))
    except ApiError as e:
        print(f"{kind.plural} {metadata['name']}: {e}", flush=True)
