"""What kubectl asks first: groups, resources, OpenAPI, version."""

from __future__ import annotations

import hashlib
from functools import cache

import msgspec

from hearth.api.errors import NoSuchPath
from hearth.api.http import Request, Response
from hearth.api.kinds import POD, SERVICE_ACCOUNT
from hearth.api.meta import Wire
from hearth.api.registry import Resource
from hearth.api.resources import RESOURCES
from hearth.api.schema import openapi_schemas
from hearth.apiserver.core.patching import patch_types

#: What clients may expect of us: the Kubernetes release whose API we follow.
VERSION = {
    "major": "1",
    "minor": "35",
    "gitVersion": "v1.35.0+hearth",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
#: Subresources of pods that the server has beside ``status``: name, kind, verbs.
_POD_SUBRESOURCES = (
    ("log", "Pod", ("get",)),
    ("exec", "PodExecOptions", ("create", "get")),
    ("attach", "PodAttachOptions", ("create", "get")),
    ("portforward", "PodPortForwardOptions", ("create", "get")),
    ("binding", "Binding", ("create",)),
    ("adopt", "Pod", ("create",)),
)


#: What an aggregating client sends as ``Accept`` and gets as content type: all groups at once.
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
#: For documents whose address holds their hash: kubectl keeps them.
_FOREVER = {"cache-control": "public, immutable", "expires": "Thu, 31 Dec 2099 23:59:59 GMT"}


class Discovery:
    """Answers what kubectl asks first. The documents never change, so each is made once."""

    def __init__(self) -> None:
        self._made: dict[str, Response] = {}

    def answer(self, path: str, request: Request) -> Response:
        """The document at a path below a tenant's root; raises ``NoSuchPath``."""
        path = path.strip("/")
        aggregated = path in ("api", "apis") and _wants_aggregated(request)
        name = f"{path} aggregated" if aggregated else path
        if name not in self._made:
            wire = _aggregated(path) if aggregated else _document(path)
            headers = {"content-type": _AGGREGATED if aggregated else "application/json"}
            if path.startswith("openapi/v3/"):
                headers |= _FOREVER
            self._made[name] = Response(200, headers, msgspec.json.encode(wire))
        return self._made[name]


def _wants_aggregated(request: Request) -> bool:
    accepted = request.headers.get("accept", "").replace(" ", "").split(",")
    return any(set(_AGGREGATED.split(";")) <= set(one.split(";")) for one in accepted)


def _document(path: str) -> Wire:
    match path.split("/"):
        case ["version"]:
            return dict(VERSION)
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": _groups()}
        case ["apis", group]:
            for found in _groups():
                if found["name"] == group:
                    return {"kind": "APIGroup", "apiVersion": "v1", **found}
        case ["api", version]:
            return _resources("", version)
        case ["apis", group, version]:
            return _resources(group, version)
        case ["openapi", "v3"]:
            return _openapi_index()
        case ["openapi", "v3", "api", version]:
            return openapi("", version)
        case ["openapi", "v3", "apis", group, version]:
            return openapi(group, version)
    raise NoSuchPath


def _aggregated(path: str) -> Wire:
    """``/api`` or ``/apis`` with the resources of all their groups."""
    groups: dict[str, dict[str, list[Wire]]] = {}
    for resource in RESOURCES:
        kind = resource.kind
        if bool(kind.group) == (path == "apis"):
            versions = groups.setdefault(kind.group, {})
            versions.setdefault(kind.version, []).append(_aggregated_resource(resource))
    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None},
            "versions": [
                {"version": version, "resources": resources, "freshness": "Current"}
                for version, resources in versions.items()
            ],
        }
        for group, versions in groups.items()
    ]
    head = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2"}
    return {**head, "metadata": {}, "items": items}


def _aggregated_resource(resource: Resource) -> Wire:
    main, *below = _entries(resource)
    kind = resource.kind
    found: Wire = {
        "resource": kind.plural,
        "responseKind": _response_kind(resource, main),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": main["verbs"],
    }
    found |= {name: main[name] for name in ("shortNames", "categories") if name in main}
    if below:
        found["subresources"] = [
            {
                "subresource": entry["name"].split("/")[1],
                "responseKind": _response_kind(resource, entry),
                "verbs": entry["verbs"],
            }
            for entry in below
        ]
    return found


def _response_kind(resource: Resource, entry: Wire) -> Wire:
    kind = resource.kind
    group, version = entry.get("group", kind.group), entry.get("version", kind.version)
    return {"group": group, "version": version, "kind": entry["kind"]}


def _groups() -> list[Wire]:
    found: dict[str, list[str]] = {}
    for resource in RESOURCES:
        versions = found.setdefault(resource.kind.group, [])
        if resource.kind.version not in versions:
            versions.append(resource.kind.version)
    return [
        {
            "name": group,
            "versions": [{"groupVersion": f"{group}/{v}", "version": v} for v in versions],
            "preferredVersion": {"groupVersion": f"{group}/{versions[0]}", "version": versions[0]},
        }
        for group, versions in found.items()
        if group
    ]


def _of(group: str, version: str) -> list[Resource]:
    found = [r for r in RESOURCES if (r.kind.group, r.kind.version) == (group, version)]
    if not found:
        raise NoSuchPath
    return found


def _resources(group: str, version: str) -> Wire:
    listed = [entry for resource in _of(group, version) for entry in _entries(resource)]
    group_version = f"{group}/{version}" if group else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": listed,
    }


def _entries(resource: Resource) -> list[Wire]:
    kind = resource.kind
    main: Wire = {
        "name": kind.plural,
        "singularName": resource.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": _verbs(resource),
    }
    if resource.short_names:
        main["shortNames"] = list(resource.short_names)
    if resource.categories:
        main["categories"] = list(resource.categories)
    entries = [main]
    if "status" in resource.subresources:
        entries.append(_entry(resource, "status", kind.kind, ("get", "patch", "update")))
    if "scale" in resource.subresources:
        scale = _entry(resource, "scale", "Scale", ("get", "patch", "update"))
        entries.append({**scale, "group": "autoscaling", "version": "v1"})
    if kind == SERVICE_ACCOUNT:
        token = _entry(resource, "token", "TokenRequest", ("create",))
        entries.append({**token, "group": "authentication.k8s.io", "version": "v1"})
    if kind == POD:
        entries += [_entry(resource, *sub) for sub in _POD_SUBRESOURCES]
    return entries


def _verbs(resource: Resource) -> list[str]:
    if resource.posted:
        return ["create"]
    if resource.computed:
        return ["get", "list"]
    return ["get", "list", "watch"] if resource.shown else list(_VERBS)


def _entry(resource: Resource, name: str, kind: str, verbs: tuple[str, ...]) -> Wire:
    return {
        "name": f"{resource.kind.plural}/{name}",
        "singularName": "",
        "namespaced": resource.kind.namespaced,
        "kind": kind,
        "verbs": list(verbs),
    }


@cache
def _openapi_index() -> Wire:
    paths = {}
    for group, version in {(r.kind.group, r.kind.version) for r in RESOURCES}:
        path = f"apis/{group}/{version}" if group else f"api/{version}"
        digest = hashlib.sha256(msgspec.json.encode(openapi(group, version))).hexdigest()
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest[:32].upper()}"}
    return {"paths": paths}


@cache
def openapi(group: str, version: str) -> Wire:
    """The OpenAPI v3 document of a group's version."""
    resources = _of(group, version)
    schemas = openapi_schemas({_schema_name(r): r.view for r in resources})
    paths: Wire = {}
    for resource in resources:
        kind = resource.kind
        gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        schemas[_schema_name(resource)]["x-kubernetes-group-version-kind"] = [gvk]
        namespace = "{namespace}" if kind.namespaced else ""
        paths[kind.path(namespace)] = _collection_operations(resource, gvk)
        paths[kind.path(namespace, "{name}")] = _object_operations(resource, gvk)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Hearth", "version": VERSION["gitVersion"]},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _schema_name(resource: Resource) -> str:
    reversed_group = ".".join(reversed((resource.kind.group or "core.api.k8s.io").split(".")))
    return f"{reversed_group}.{resource.kind.version}.{resource.kind.kind}"


def _operation(action: str, gvk: Wire, resource: Resource, *parameters: str) -> Wire:
    ref = {"$ref": f"#/components/schemas/{_schema_name(resource)}"}
    content = {"application/json": {"schema": ref}}
    found: Wire = {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": gvk,
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
            for name in parameters
        ],
        "responses": {"200": {"description": "OK", "content": content}},
    }
    if action in ("post", "put", "patch"):
        patch = {media: {"schema": {"type": "object"}} for media in patch_types(resource)}
        found["requestBody"] = {"content": content if action != "patch" else patch}
    return found


_WRITE = ("dryRun", "fieldManager", "fieldValidation")


def _collection_operations(resource: Resource, gvk: Wire) -> Wire:
    return {
        "get": _operation("list", gvk, resource, "labelSelector", "fieldSelector", "watch"),
        "post": _operation("post", gvk, resource, *_WRITE),
    }


def _object_operations(resource: Resource, gvk: Wire) -> Wire:
    return {
        "get": _operation("get", gvk, resource),
        "put": _operation("put", gvk, resource, *_WRITE),
        "patch": _operation("patch", gvk, resource, *_WRITE, "force"),
        "delete": _operation("delete", gvk, resource, "dryRun", "propagationPolicy"),
    }
