"""Keeps Envoy's configuration as Routes, Revisions and pods ask for it.

Scaling is an EDS change and goes out at once. Routes go out in batches: first the clusters they
need, and once Envoy has those the routes, so that no request meets a cluster that is not there;
clusters nobody needs any more go last.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from hearth.api.kinds import POD, REVISION, ROUTE
from hearth.api.meta import ObjectKey, Wire, is_deleting, labels_of, namespace_of
from hearth.api.names import REVISION_LABEL
from hearth.api.pods import app_address, is_routable
from hearth.gateway.core.routing import (
    Backend,
    Endpoints,
    Routing,
    make_backend,
    make_endpoints,
    make_routing,
)
from hearth.gateway.translate import (
    make_cluster,
    make_load_assignment,
    make_route_configuration,
    make_scopes,
)
from hearth.gateway.xds import CLUSTER, ENDPOINTS, ROUTES, SCOPES, Resources
from hearth.runtime import Change, Informers

log = logging.getLogger(__name__)

_ACK_TIMEOUT_S = 5.0  #: for an Envoy that refuses something: the others' routes go on
_BATCH_S = 0.002  #: changes that come within this go out together
_BY_REVISION = "revision"


class Programming:
    """Turns changes into resources. Belongs to one event loop."""

    def __init__(self, informers: Informers, resources: Resources, domain: str) -> None:
        self._resources = resources
        self._domain = domain
        self._routes = informers.of(ROUTE, label_selector="")
        self._revisions = informers.of(REVISION, label_selector="")
        self._pods = informers.of(POD, label_selector=REVISION_LABEL)
        self._pods.add_index(_BY_REVISION, _revision_of)
        self._routing: dict[ObjectKey, Routing] = {}
        self._incomplete: dict[ObjectKey, int] = {}  #: resourceVersions of routes that must wait
        self._users: Counter[Backend] = Counter()  #: how many routes need a cluster
        self._sent: dict[str, Endpoints] = {}
        self._dirty: set[ObjectKey] = set()
        self._changed = asyncio.Event()
        self.programmed = asyncio.Event()  #: set, and replaced, when a batch is done
        self.programmed_version = 0  #: Envoy has all Routes up to this resourceVersion
        #: told of every routable pod that is seen: its revision and its address
        self.on_instance: Callable[[ObjectKey, str], None] = lambda key, address: None

    def follow(self) -> None:
        """Begin with what is there, and take every change from now on."""
        self._revisions.on_change(self._revision_changed)
        self._routes.on_change(self._route_changed)
        self._pods.on_change(self._pod_changed)

    def instance_of(self, key: ObjectKey) -> str | None:
        """The address of a routable pod of the revision."""
        backend = self._backend(key)
        for pod in self._pods_of(key):
            if is_routable(pod):
                ip, port = app_address(pod, backend.port if backend else None)
                return f"{ip}:{port}"
        return None

    def timeout_of(self, key: ObjectKey) -> float:
        """How long a request of the revision may take, in seconds."""
        backend = self._backend(key)
        return float(backend.timeout_s) if backend else 60.0

    def route_waits(self) -> bool:
        """Whether some Route waits to hear that it is programmed."""
        return any(_ingress_ready(route) != "True" for route in self._routes.list())

    async def run(self) -> None:
        """Send batches until cancelled."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(_BATCH_S)
            self._changed.clear()
            version = int(self._routes.resource_version or 0)
            dirty, self._dirty = self._dirty, set()
            await self._program(dirty)
            waiting = min(self._incomplete.values(), default=0)
            self.programmed_version = min(version, waiting - 1) if waiting else version
            programmed, self.programmed = self.programmed, asyncio.Event()
            programmed.set()

    async def _program(self, dirty: set[ObjectKey]) -> None:
        was = {key: self._routing.get(key) for key in dirty}
        now = {key: self._make(key) for key in dirty}
        changed = {key for key in dirty if was[key] != now[key]}
        needed = {b for key in changed if (r := now[key]) for b in r.backends}
        self._add_clusters(needed)
        await self._acknowledged(CLUSTER, {b.cluster for b in needed})
        await self._acknowledged(ENDPOINTS, {b.cluster for b in needed})
        names: set[str] = set()
        for key in changed:
            names |= self._set_route(key, was[key], now[key])
        await self._acknowledged(SCOPES, names)
        await self._acknowledged(ROUTES, {r.name for key in changed if (r := now[key])})
        self._drop_clusters()

    def _make(self, key: ObjectKey) -> Routing | None:
        route = self._routes.get(key)
        self._incomplete.pop(key, None)
        if route is None or is_deleting(route):
            return None
        routing = make_routing(route, key.tenant, self._revisions.get, self._domain)
        if routing is None:
            if (route.get("status") or {}).get("traffic"):
                self._incomplete[key] = int(route["metadata"]["resourceVersion"])
            return self._routing.get(key)  # keep what works until the rest is known
        return routing

    def _add_clusters(self, backends: set[Backend]) -> None:
        have = self._resources.names(CLUSTER)
        new = [b for b in backends if b.cluster not in have or not self._users[b]]
        for backend in new:
            self._send_endpoints(backend)
        if new:
            self._resources.put(CLUSTER, {b.cluster: make_cluster(b) for b in new})

    def _set_route(self, key: ObjectKey, was: Routing | None, now: Routing | None) -> set[str]:
        """Send or withdraw one Route; returns the scopes that Envoy must acknowledge."""
        self._users.subtract(was.backends if was else ())
        self._users.update(now.backends if now else ())
        old_scopes = set(make_scopes(was)) if was else set()
        if now is None:
            self._routing.pop(key, None)
            self._resources.remove(SCOPES, old_scopes)
            if was is not None:
                self._resources.remove(ROUTES, [was.name])
            return set()
        self._routing[key] = now
        scopes = make_scopes(now)
        self._resources.put(ROUTES, {now.name: make_route_configuration(now)})
        fresh = {name: scope for name, scope in scopes.items() if name not in old_scopes}
        if fresh:
            self._resources.put(SCOPES, fresh)
        self._resources.remove(SCOPES, old_scopes - set(scopes))
        return set(fresh)

    def _drop_clusters(self) -> None:
        self._users = +self._users
        used = {backend.cluster for backend in self._users}
        gone = self._resources.names(CLUSTER) - used
        self._resources.remove(CLUSTER, gone)
        self._resources.remove(ENDPOINTS, gone)
        for name in gone:
            self._sent.pop(name, None)

    async def _acknowledged(self, kind: str, names: set[str]) -> None:
        """Return once Envoy has these, or is there and does not take them.

        While Envoy is away nothing is programmed. What it refuses is in the log; others go on.
        """
        while True:
            try:
                async with asyncio.timeout(_ACK_TIMEOUT_S):
                    return await self._resources.wait_acknowledged(kind, names)
            except TimeoutError:
                facts = {"type": kind, "names": sorted(names)[:10]}
                log.warning("envoy has not acknowledged", extra={"f": facts})
                if self._resources.connected:
                    return None

    # Endpoints

    def _send_endpoints(self, backend: Backend) -> None:
        endpoints = make_endpoints(backend, self._pods_of(backend.key))
        if self._sent.get(backend.cluster) != endpoints:
            self._sent[backend.cluster] = endpoints
            message = make_load_assignment(endpoints)
            self._resources.put(ENDPOINTS, {backend.cluster: message})

    def _pods_of(self, key: ObjectKey) -> list[Wire]:
        return self._pods.by_index(_BY_REVISION, f"{key.namespace}/{key.name}")

    def _backend(self, key: ObjectKey) -> Backend | None:
        revision = self._revisions.get(key)
        return make_backend(key, revision) if revision is not None else None

    # Watching

    def _route_changed(self, change: Change) -> None:
        self._dirty.add(change.key)
        self._changed.set()

    def _revision_changed(self, change: Change) -> None:
        if change.old is not None and change.new is not None:
            return  # a revision's spec never changes
        for key, waiting in list(self._incomplete.items()):
            assert waiting
            if key.namespace == change.key.namespace:
                self._dirty.add(key)
                self._changed.set()

    def _pod_changed(self, change: Change) -> None:
        revision = labels_of(change.object).get(REVISION_LABEL)
        if not revision:
            return
        key = change.key._replace(name=revision)
        backend = self._backend(key)
        if backend is None:
            return
        if backend.cluster in self._resources.names(CLUSTER):
            self._send_endpoints(backend)
        if change.new is not None and is_routable(change.new):
            ip, port = app_address(change.new, backend.port)
            self.on_instance(key, f"{ip}:{port}")


def _revision_of(pod: Wire) -> list[str]:
    revision = labels_of(pod).get(REVISION_LABEL)
    return [f"{namespace_of(pod)}/{revision}"] if revision else []


def _ingress_ready(route: Wire) -> str:
    for condition in (route.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "IngressReady":
            return str(condition.get("status"))
    return "Unknown"
