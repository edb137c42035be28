"""An API server in memory: what components' tests read from and write to.

``FakeApi`` is a ``hearth.api.http.Handler``: get, list, watch, create, update, patch (merge and
JSON), delete, ``/status``, ``/scale``, ``pods/NAME/adopt`` and ``pods/NAME/binding``, with
resourceVersions, generations, UIDs, defaults of each kind, conflicts and garbage collection by
owner references. There is no validation, no authentication and no managed fields.

    api = FakeApi()
    client = Client(api)
    wire = api.put(SERVICE, {"metadata": {"name": "hello"}, "spec": {...}})   # as a user would
    api.writes                                       # what was written since, as (verb, path)
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from hearth.api.errors import AlreadyExists, ApiError, BadRequest, Conflict, Gone, NotFound
from hearth.api.http import Request, Response
from hearth.api.kinds import ALL, Kind
from hearth.api.meta import Wire, is_controlled_by, labels_of, spec_of, status_of
from hearth.api.patches import json_patch, merge_patch
from hearth.api.resources import resource_for
from hearth.api.selectors import parse_field_selector, parse_label_selector

Place = tuple[Kind, str, str]  # kind, namespace, name
AT = "2026-01-01T00:00:00Z"
_BY_PATH = {(kind.group, kind.version, kind.plural): kind for kind in ALL}


class FakeApi:
    """The store and its handler; belongs to one event loop."""

    def __init__(self) -> None:
        self.objects: dict[Place, Wire] = {}
        self.writes: list[tuple[str, str]] = []  # verb and path of every write, in order
        self.refuse: dict[tuple[str, str], ApiError] = {}  # answers for (method, path)
        self._rv = 0
        self._uids = 0
        self._history: list[tuple[int, str, Kind, Wire]] = []  # rv, event type, kind, object
        self._news = asyncio.Event()

    # What tests do directly

    def get(self, kind: Kind, name: str, namespace: str = "default") -> Wire:
        """The stored object; raises ``NotFound``."""
        place = (kind, namespace if kind.namespaced else "", name)
        if place not in self.objects:
            raise NotFound(f'{kind} "{name}" not found')
        return copy.deepcopy(self.objects[place])

    def all(self, kind: Kind) -> list[Wire]:
        """All stored objects of the kind, in order of creation."""
        return [copy.deepcopy(w) for (k, _, _), w in self.objects.items() if k == kind]

    def put(self, kind: Kind, wire: Wire, namespace: str = "default") -> Wire:
        """Create the object, or replace its metadata, spec and (if given) status."""
        meta = {"namespace": namespace, **wire["metadata"]} if kind.namespaced else wire["metadata"]
        place = (kind, meta.get("namespace", ""), meta["name"])
        if place not in self.objects:
            return self._create(place, {**wire, "metadata": meta}, keep_status=True)
        old = self.objects[place]
        merged = {**copy.deepcopy(old), **wire, "metadata": {**old["metadata"], **meta}}
        return self._store(place, merged, spec_may_change=True)

    def set_status(self, kind: Kind, name: str, status: Wire, namespace: str = "default") -> Wire:
        """Merge into the object's status, as another component would."""
        place = (kind, namespace, name)
        merged = merge_patch(self.get(kind, name, namespace), {"status": status})
        return self._store(place, merged, spec_may_change=False)

    def remove(self, kind: Kind, name: str, namespace: str = "default") -> None:
        """Delete the object and, transitively, what it controls."""
        wire = self.objects.pop((kind, namespace if kind.namespaced else "", name))
        self._rv += 1
        gone = copy.deepcopy(wire)
        gone["metadata"]["resourceVersion"] = str(self._rv)
        self._record("DELETED", kind, gone)
        for (k, ns, n), owned in list(self.objects.items()):
            if is_controlled_by(owned, wire) and (k, ns, n) in self.objects:
                self.remove(k, n, ns)

    # The handler

    async def __call__(self, request: Request) -> Response:
        await asyncio.sleep(0)  # as a real call would, let others run
        try:
            if refused := self.refuse.get((request.method, request.path)):
                raise refused
            return self._answer(request)
        except ApiError as error:
            return Response(error.code, body=msgspec.json.encode(error.status()))

    def _answer(self, request: Request) -> Response:
        kind, namespace, name, subresource = _parse(request.path)
        if request.query.get("watch") == "true":
            return Response(200, stream=self._watch(kind, namespace, request.query))
        if request.method == "GET" and not name:
            return _json(self._list(kind, namespace, request.query))
        if request.method == "GET":
            wire = self.get(kind, name, namespace)
            return _json(_scale_of(wire) if subresource == "scale" else wire)
        self.writes.append((request.method, request.path.removeprefix("/clusters/root")))
        body = msgspec.json.decode(request.body) if request.body else {}
        match request.method:
            case "POST" if subresource:
                return _json(self._act(kind, namespace, name, subresource, body), 201)
            case "POST":
                meta = (
                    {"namespace": namespace, **body["metadata"]} if namespace else body["metadata"]
                )
                name = meta.get("name") or f"{meta['generateName']}{self._rv:05x}"
                wire = {**body, "metadata": {**meta, "name": name}}
                return _json(self._create((kind, namespace, name), wire), 201)
            case "DELETE":
                wire = self.get(kind, name, namespace)
                self.remove(kind, name, namespace)
                return _json(wire)
            case "PUT" | "PATCH":
                return _json(self._change(request, (kind, namespace, name), subresource, body))
        raise BadRequest(f"the fake does not answer {request.method} {request.path}")

    def _change(self, request: Request, place: Place, subresource: str, body: Any) -> Wire:
        old = self.get(place[0], place[2], place[1])
        new = body if request.method == "PUT" else _patched(request, old, body)
        wanted = (new.get("metadata") or {}).get("resourceVersion")
        if wanted and wanted != old["metadata"]["resourceVersion"]:
            said = f"{place[2]}: resourceVersion is not {wanted}"
            raise Conflict(f"Operation cannot be fulfilled on {place[0]} {said}")
        if subresource == "status":
            return self._store(place, {**old, "status": status_of(new)}, spec_may_change=False)
        if subresource == "scale":
            spec = {**spec_of(old), "replicas": spec_of(new)["replicas"]}
            return _scale_of(self._store(place, {**old, "spec": spec}, spec_may_change=True))
        kept = {"status": old["status"]} if "status" in old else {}
        stripped = {key: value for key, value in new.items() if key != "status"}
        return self._store(place, {**stripped, **kept}, spec_may_change=True)

    def _act(self, kind: Kind, namespace: str, name: str, subresource: str, body: Wire) -> Wire:
        pod = self.get(kind, name, namespace)
        if subresource == "binding":
            pod["spec"]["nodeName"] = body["target"]["name"]
            return self._store((kind, namespace, name), pod, spec_may_change=True)
        if subresource != "adopt":
            raise BadRequest(f"the fake has no subresource {subresource}")
        meta = body["metadata"]
        owners = pod["metadata"].get("ownerReferences") or [{}]
        if pod["metadata"].get("deletionTimestamp") or owners[0].get("kind") != "PodPool":
            raise Conflict(f'pods "{name}" is not owned by a PodPool')
        self._rv += 1
        gone = copy.deepcopy(pod)
        gone["metadata"]["resourceVersion"] = str(self._rv)
        del self.objects[kind, namespace, name]
        self._record("DELETED", kind, gone)
        annotations = {**(pod["metadata"].get("annotations") or {}), **meta.get("annotations", {})}
        pod["metadata"] |= {**meta, "annotations": annotations, "resourceVersion": str(self._rv)}
        self.objects[kind, meta["namespace"], name] = pod
        self._record("ADDED", kind, copy.deepcopy(pod))
        return copy.deepcopy(pod)

    # The store

    def _create(self, place: Place, wire: Wire, *, keep_status: bool = False) -> Wire:
        kind, _, name = place
        if place in self.objects:
            raise AlreadyExists(f'{kind} "{name}" already exists')
        wire = _defaulted(kind, copy.deepcopy(wire))
        if not keep_status:
            wire.pop("status", None)
        self._uids += 1
        self._rv += 1
        meta = wire["metadata"]
        meta.setdefault("uid", f"uid-{self._uids}")
        meta.setdefault("creationTimestamp", AT)
        meta |= {"generation": 1, "resourceVersion": str(self._rv)}
        stored = {"apiVersion": kind.api_version, "kind": kind.kind, **wire}
        self.objects[place] = stored
        self._record("ADDED", kind, copy.deepcopy(stored))
        return copy.deepcopy(stored)

    def _store(self, place: Place, wire: Wire, *, spec_may_change: bool) -> Wire:
        old = self.objects[place]
        new = _defaulted(place[0], copy.deepcopy(wire)) if spec_may_change else copy.deepcopy(wire)
        meta = new["metadata"]
        for fixed in ("uid", "creationTimestamp", "generation", "resourceVersion"):
            meta[fixed] = old["metadata"][fixed]
        if new == old:
            return copy.deepcopy(old)
        if spec_of(new) != spec_of(old):
            meta["generation"] += 1
        self._rv += 1
        meta["resourceVersion"] = str(self._rv)
        self.objects[place] = new
        self._record("MODIFIED", place[0], copy.deepcopy(new))
        return copy.deepcopy(new)

    def _record(self, event: str, kind: Kind, wire: Wire) -> None:
        self._history.append((self._rv, event, kind, wire))
        self._news.set()
        self._news = asyncio.Event()

    def _list(self, kind: Kind, namespace: str, query: Any) -> Wire:
        items = [wire for wire in self.all(kind) if _selects(wire, namespace, query)]
        return {"metadata": {"resourceVersion": str(self._rv)}, "items": items}

    async def _watch(self, kind: Kind, namespace: str, query: Any) -> AsyncIterator[bytes]:
        after, seen = int(query.get("resourceVersion") or 0), 0
        if after > self._rv:
            event = {"type": "ERROR", "object": Gone("too new").status()}
            yield msgspec.json.encode(event) + b"\n"
            return
        while True:
            news = self._news
            for rv, event, of, wire in self._history[seen:]:
                if rv > after and of == kind and _selects(wire, namespace, query):
                    yield msgspec.json.encode({"type": event, "object": wire}) + b"\n"
            seen = len(self._history)
            if news is self._news:
                await news.wait()


def _parse(path: str) -> tuple[Kind, str, str, str]:
    parts = path.removeprefix("/clusters/root").strip("/").split("/")
    group, version, rest = ("", parts[1], parts[2:])
    if parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    kind = _BY_PATH.get((group, version, rest[0]))
    if kind is None:
        raise NotFound(f"no resource at {path}")
    name, subresource = [*rest[1:3], "", ""][:2]
    return kind, namespace, name, subresource


def _selects(wire: Wire, namespace: str, query: Any) -> bool:
    meta = wire["metadata"]
    fields = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta.get("namespace", ""),
        "spec.nodeName": str(spec_of(wire).get("nodeName") or ""),
        "type": str(wire.get("type") or ""),
        "status.phase": str(status_of(wire).get("phase") or ""),
    }
    return (
        (not namespace or meta.get("namespace") == namespace)
        and parse_label_selector(query.get("labelSelector", "")).matches(labels_of(wire))
        and parse_field_selector(query.get("fieldSelector", "")).matches(fields)
    )


def _patched(request: Request, old: Wire, body: Any) -> Wire:
    if request.headers.get("content-type") == "application/json-patch+json":
        return json_patch(old, body)
    patched: Wire = merge_patch(old, body)
    if "resourceVersion" not in (body.get("metadata") or {}):
        patched = {**patched, "metadata": {**patched["metadata"], "resourceVersion": ""}}
    return patched


def _defaulted(kind: Kind, wire: Wire) -> Wire:
    resource = resource_for(kind.group, kind.version, kind.plural)
    return resource.default(wire, None) if resource is not None else wire


def _scale_of(wire: Wire) -> Wire:
    meta = {k: wire["metadata"].get(k) for k in ("name", "namespace", "uid", "resourceVersion")}
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": meta,
        "spec": {"replicas": spec_of(wire).get("replicas", 0)},
        "status": {"replicas": status_of(wire).get("replicas", 0)},
    }


def _json(body: Wire, status: int = 200) -> Response:
    return Response(status, body=msgspec.json.encode(body))
