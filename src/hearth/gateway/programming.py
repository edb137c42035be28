"""Keeps Envoy's configuration as Routes, Revisions and pods ask for it.

Scaling is an EDS change and goes out at once. Routes go out in batches: first the clusters they
need, and once Envoy has those the routes, so that no request meets a cluster that is not there;
clusters nobody needs any more go last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from hearth.api.config import read_network
from hearth.api.inside import TLS_PORT
from hearth.api.kinds import CONFIG_MAP, DOMAIN_MAPPING, POD, REVISION, ROUTE
from hearth.api.meta import ObjectKey, Wire, is_deleting, labels_of, metadata, namespace_of
from hearth.api.names import (
    KNATIVE_NAMESPACE,
    PROGRAMMED_ANNOTATION,
    PROGRAMMED_DOMAINS_ANNOTATION,
    REVISION_LABEL,
)
from hearth.api.observability import metric_labels
from hearth.api.pods import app_address
from hearth.gateway.certificates import Certificates
from hearth.gateway.core.owners import Owners
from hearth.gateway.core.routing import (
    Backend,
    Endpoints,
    Mapped,
    Routing,
    is_reached,
    make_backend,
    make_endpoints,
    make_mapped,
    make_routing,
)
from hearth.gateway.translate import (
    make_cluster,
    make_hold_clusters,
    make_load_assignment,
    make_route_configuration,
    make_scopes,
)
from hearth.gateway.trust import Trust
from hearth.gateway.xds import CLUSTER, ENDPOINTS, ROUTES, SCOPES, Resources
from hearth.runtime import Change, Informers
from hearth.runtime.following import Followed

log = logging.getLogger(__name__)

_ACK_TIMEOUT_S = 5.0  #: for an Envoy that refuses something: the others' routes go on
_PRIME_MAX_S = 1.0  #: for revisions that Routes name to be seen
_BATCH_S = 0.002  #: changes that come within this go out together
_BY_REVISION = "revision"
_BY_TARGET = "target"

#: A Route, how it was routed, and how it is now.
_Rerouted: TypeAlias = tuple[ObjectKey, Routing | None, Routing | None]


class Programming:
    """Turns changes into resources. Belongs to one event loop."""

    def __init__(
        self,
        informers: Informers,
        resources: Resources,
        certificates: Certificates,
        trust: Trust,
        https_port: int,
        mark: str,
    ) -> None:
        self._resources = resources
        self._trust = trust
        self.secure = False  #: instances are to be spoken to over TLS
        self.speaks_tls = False  #: Envoy can let requests go to them so
        self._certificates = certificates
        self._https_port, self._mark = https_port, mark
        certificates.on_host = self._host_changed
        self._routes = informers.of(ROUTE, label_selector="")
        self._revisions = informers.of(REVISION, label_selector="")
        self._pods = informers.of(POD, label_selector=REVISION_LABEL)
        self._pods.add_index(_BY_REVISION, _revision_of)
        self._mappings = informers.of(DOMAIN_MAPPING, label_selector="")
        self._mappings.add_index(_BY_TARGET, _target_of)
        self._routing: dict[ObjectKey, Routing] = {}
        self._owners = Owners()
        self._incomplete: dict[ObjectKey, int] = {}  #: resourceVersions of routes that must wait
        self._users: Counter[Backend] = Counter()  #: how many routes need a cluster
        self._sent: dict[str, Endpoints] = {}
        self._dirty: set[ObjectKey] = set()
        self._again: set[ObjectKey] = set()  #: to be sent though they have not changed
        self._kept: frozenset[str] = frozenset()  #: clusters that are no revision's
        self._changed = asyncio.Event()
        self.programmed = asyncio.Event()  #: set, and replaced, when a batch is done
        #: by annotation of the Lease: Envoy has all of a kind up to this resourceVersion
        self.versions = dict.fromkeys((PROGRAMMED_ANNOTATION, PROGRAMMED_DOMAINS_ANNOTATION), 0)
        self._done = self.versions  #: the same of what has been sent
        config_maps = informers.of(CONFIG_MAP, namespace=KNATIVE_NAMESPACE, label_selector="")
        self._network = Followed(config_maps, "config-network", read_network)
        self._network.on_change(self._changed.set)
        #: told of every routable pod that is seen: its revision and its address
        self.on_instance: Callable[[ObjectKey, str], None] = lambda key, address: None
        #: told of each cluster, whenever its instances change, whether there are any
        self.on_endpoints: Callable[[str, bool], None] = lambda cluster, there_are: None
        #: told of every change of a revision's pods
        self.on_pods: Callable[[ObjectKey], None] = lambda key: None

    def follow(self) -> None:
        """Begin with what is there, and take every change from now on."""
        self._revisions.on_change(self._revision_changed)
        self._routes.on_change(self._route_changed)
        self._mappings.on_change(self._mapping_changed)
        self._pods.on_change(self._pod_changed)
        self._certificates.follow()
        self._trust.follow()

    def instance_of(self, key: ObjectKey) -> str | None:
        """The address of a routable pod of the revision."""
        backend = self._backend(key)
        for pod in self._pods_of(key):
            if is_reached(pod, secure=self.secure):
                return "{}:{}".format(*app_address(pod, backend.port if backend else None))
        return None

    def instances_of(self, key: ObjectKey) -> list[str]:
        """The addresses of all routable pods of the revision."""
        backend = self._backend(key)
        if backend is None:
            return []
        found = make_endpoints(backend, self._pods_of(key)).addresses
        return [f"{ip}:{port}" for ip, port in found]

    def pod_of(self, key: ObjectKey) -> tuple[Wire, str] | None:
        """A revision's pod by its own key, and its app's address; None when it has none."""
        pod = self._pods.get(key)
        if pod is None or not (revision := labels_of(pod).get(REVISION_LABEL)):
            return None
        backend = self._backend(key._replace(name=revision))
        ip, port = app_address(pod, backend.port if backend else None)
        return (pod, f"{ip}:{port}") if ip else None

    def labels_of(self, key: ObjectKey) -> dict[str, str] | None:
        """Labels of a revision's figures; None for one that is gone."""
        revision = self._revisions.get(key)
        return metric_labels(key, revision) if revision is not None else None

    def app_of(self, key: ObjectKey, address: str) -> str:
        """The address of the app that Envoy reaches at ``address``."""
        backend = self._backend(key)
        ip, _, port = address.rpartition(":")
        if backend is None or not backend.secure or port != str(TLS_PORT):
            return address
        return f"{ip}:{backend.port}"

    def timeout_of(self, key: ObjectKey) -> float:
        """When the response to a request of the revision must have begun, in seconds."""
        backend = self._backend(key)
        return float(backend.answer_s) if backend else 60.0

    def is_waited_for(self) -> bool:
        """Whether some Route or DomainMapping waits to hear that it is programmed."""
        kinds = (self._routes, self._mappings)
        return any(_ingress_ready(wire) != "True" for kind in kinds for wire in kind.list())

    async def prime(self) -> None:
        """Make resources of all that there is, before an Envoy asks for them.

        One that has them already must not hear that they are gone: a Route that names a revision
        which is not known yet is waited for a moment.
        """
        deadline = asyncio.get_running_loop().time() + _PRIME_MAX_S
        await self._batch(self._prime)
        while self._incomplete and (left := deadline - asyncio.get_running_loop().time()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()
                    await self._batch(self._prime)

    async def run(self) -> None:
        """Send batches until cancelled."""
        await self._acknowledged(SCOPES, self._resources.names(SCOPES))
        await self._acknowledged(ROUTES, self._resources.names(ROUTES))
        await self._acknowledged(CLUSTER, set(self._kept))
        self.speaks_tls = self.secure
        self._announce()
        while True:
            await self._changed.wait()
            await asyncio.sleep(_BATCH_S)
            await self._batch(self._program)
            self._announce()

    async def _batch(self, program: Callable[[set[ObjectKey]], Awaitable[None]]) -> None:
        self._changed.clear()
        routes = int(self._routes.resource_version or 0)
        mappings = int(self._mappings.resource_version or 0)
        certificates = self._certificates.versions
        self._switch()
        dirty, self._dirty = self._dirty, set()
        await program(dirty)
        waiting = min(self._incomplete.values(), default=0)
        self._done = {
            PROGRAMMED_ANNOTATION: min(routes, waiting - 1) if waiting else routes,
            PROGRAMMED_DOMAINS_ANNOTATION: mappings,
            **certificates,
        }

    def _announce(self) -> None:
        self.versions = self._done
        programmed, self.programmed = self.programmed, asyncio.Event()
        programmed.set()

    async def _prime(self, dirty: set[ObjectKey]) -> None:
        changes = self._changes(dirty)
        self._add_clusters(_needed(changes))
        for key, was, now in changes:
            self._set_route(key, was, now)

    def _switch(self) -> None:
        """Speak to instances as is wanted now; requests under way end as they began."""
        if (wanted := self._network().system_internal_tls) == self.secure:
            return
        self.secure = wanted
        if wanted:
            holds = make_hold_clusters(self._mark)
            self._resources.put(CLUSTER, holds)
            self._kept = frozenset(holds)  # for good: something may be on its way there
        else:
            self.speaks_tls = False
        self._dirty.update(self._routing)
        for revision in {backend.key for backend in self._users}:
            self.on_pods(revision)

    async def _program(self, dirty: set[ObjectKey]) -> None:
        changes = self._changes(dirty)
        clusters = _needed(changes)
        await self._acknowledged(CLUSTER, set(self._kept))
        self.speaks_tls = self.secure
        self._add_clusters(clusters)
        await self._acknowledged(CLUSTER, {b.cluster for b in clusters})
        await self._acknowledged(ENDPOINTS, {b.endpoints for b in clusters})
        names: set[str] = set()
        for key, was, now in changes:
            names |= self._set_route(key, was, now)
        await self._acknowledged(SCOPES, names)
        await self._acknowledged(ROUTES, {now.name for _, _, now in changes if now})
        self._drop_clusters()

    def _changes(self, dirty: set[ObjectKey]) -> list[_Rerouted]:
        """What differs of these Routes, oldest first."""
        made = [(key, self._routing.get(key), self._make(key)) for key in dirty]
        made.sort(key=lambda one: self._age(one[0]))
        changed = [(k, was, now) for k, was, now in made if was != now or k in self._again]
        self._again -= dirty
        return changed

    def _age(self, key: ObjectKey) -> tuple[str, ObjectKey]:
        """Of two Routes with the same host the older one has it."""
        route = self._routes.get(key)
        return str(metadata(route or {}).get("creationTimestamp") or ""), key

    def _make(self, key: ObjectKey) -> Routing | None:
        route = self._routes.get(key)
        self._incomplete.pop(key, None)
        if route is None or is_deleting(route):
            return None
        routing = make_routing(
            route, key.tenant, self._revisions.get, self._mapped(key), secure=self.secure
        )
        if routing is None:
            if (route.get("status") or {}).get("traffic"):
                self._incomplete[key] = int(route["metadata"]["resourceVersion"])
            return self._routing.get(key)  # keep what works until the rest is known
        return routing.with_challenges(self._certificates.challenges_of)

    def _mapped(self, key: ObjectKey) -> list[Mapped]:
        mappings = self._mappings.by_index(_BY_TARGET, f"{key.namespace}/{key.name}")
        found = [make_mapped(one, key.tenant) for one in mappings if not is_deleting(one)]
        return sorted((one for one in found if one), key=lambda one: one.host)

    def _add_clusters(self, backends: set[Backend]) -> None:
        have = self._resources.names(CLUSTER)
        new = [b for b in backends if b.cluster not in have or not self._users[b]]
        for backend in new:
            self._send_endpoints(backend)
        if new:
            self._resources.put(CLUSTER, {b.cluster: make_cluster(b, self._mark) for b in new})

    def _set_route(self, key: ObjectKey, was: Routing | None, now: Routing | None) -> set[str]:
        """Send or withdraw one Route; returns the scopes that Envoy must acknowledge."""
        self._users.subtract(was.backends if was else ())
        self._users.update(now.backends if now else ())
        old_scopes = self._owners.names_of(key)
        scopes = make_scopes(now) if now else {}
        own = self._owners.take(key, scopes)
        for waiting in self._owners.released():  # another Route has wanted the host
            self._again.add(waiting)
            self._dirty.add(waiting)
            self._changed.set()
        fresh = {name: scopes[name] for name in own if name not in old_scopes}
        if now is None:
            self._routing.pop(key, None)
        else:
            self._routing[key] = now
            made = make_route_configuration(now, self._mark, self._https_port)
            self._resources.put(ROUTES, {now.name: made})
        if fresh:
            self._resources.put(SCOPES, fresh)
        self._resources.remove(SCOPES, old_scopes - own)
        if now is None and was is not None:
            self._resources.remove(ROUTES, [was.name])
        return set(fresh)

    def _drop_clusters(self) -> None:
        self._users = +self._users
        used = {backend.cluster for backend in self._users}
        found = {name for name in self._resources.names(CLUSTER) if "/" in name}  # revisions'
        gone = found - used
        self._resources.remove(CLUSTER, gone)
        for name in gone:
            self.on_endpoints(name, False)
        unused = self._resources.names(ENDPOINTS) - {backend.endpoints for backend in self._users}
        self._resources.remove(ENDPOINTS, unused)
        for name in unused:
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
        if self._sent.get(endpoints.name) != endpoints:
            self._sent[endpoints.name] = endpoints
            self.on_endpoints(backend.cluster, bool(endpoints.addresses))
            message = make_load_assignment(endpoints)
            self._resources.put(ENDPOINTS, {endpoints.name: message})

    def _pods_of(self, key: ObjectKey) -> list[Wire]:
        return self._pods.by_index(_BY_REVISION, f"{key.namespace}/{key.name}")

    def _backend(self, key: ObjectKey) -> Backend | None:
        revision = self._revisions.get(key)
        if revision is None:
            return None
        return make_backend(key, revision, secure=self.secure)

    # Watching

    def _route_changed(self, change: Change) -> None:
        self._dirty.add(change.key)
        self._changed.set()

    def _host_changed(self, host: str) -> None:
        if owner := self._owners.owner_of(host):
            self._dirty.add(owner)
        self._changed.set()

    def _mapping_changed(self, change: Change) -> None:
        for wire in (change.old, change.new):
            if wire is not None and (mapped := make_mapped(wire, change.key.tenant)):
                self._dirty.add(mapped.target)
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
        if self._resources.get(CLUSTER, backend.cluster) is not None:
            self._send_endpoints(backend)
        self.on_pods(key)
        if change.new is not None and is_reached(change.new, secure=self.secure):
            ip, port = app_address(change.new, backend.port)
            self.on_instance(key, f"{ip}:{port}")


def _needed(changes: list[_Rerouted]) -> set[Backend]:
    return {backend for _, _, now in changes if now for backend in now.backends}


def _revision_of(pod: Wire) -> list[str]:
    revision = labels_of(pod).get(REVISION_LABEL)
    return [f"{namespace_of(pod)}/{revision}"] if revision else []


def _target_of(mapping: Wire) -> list[str]:
    mapped = make_mapped(mapping, "")
    return [f"{mapped.target.namespace}/{mapped.target.name}"] if mapped else []


def _ingress_ready(route: Wire) -> str:
    for condition in (route.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "IngressReady":
            return str(condition.get("status"))
    return "Unknown"
