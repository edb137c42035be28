"""How objects are stored and sent: JSON that is spliced, not parsed, where nobody looks inside.

A stored value begins ``{"metadata":{``, so that the resourceVersion, which is the store's revision,
can be put in without decoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from hearth.api.errors import ApiError, BadRequest, UnsupportedMediaType
from hearth.api.http import Request, Response
from hearth.api.meta import TENANT_ANNOTATION, Wire, annotations_of, metadata
from hearth.apiserver.protobuf import MEDIA_TYPE as PROTOBUF
from hearth.apiserver.protobuf import decode_protobuf
from hearth.store import Entry

_START = b'{"metadata":{'
JSON = {"content-type": "application/json"}


def encode_stored(wire: Wire) -> bytes:
    """The bytes to store; the object's resourceVersion is left out."""
    meta = {k: v for k, v in wire["metadata"].items() if k != "resourceVersion"}
    assert meta, "an object has at least a name"
    rest = {k: v for k, v in wire.items() if k != "metadata"}
    return msgspec.json.encode({"metadata": meta, **rest})


def render(entry: Entry, revision: int = 0) -> bytes:
    """The object as JSON, with its resourceVersion (or ``revision``: that of its removal)."""
    return render_value(entry.value, revision or entry.modified)


def render_value(value: bytes, revision: int) -> bytes:
    """A stored value as JSON, with its resourceVersion; 0: it was never stored and has none."""
    if not revision:
        return value
    version = str(revision).encode()
    return b'{"metadata":{"resourceVersion":"' + version + b'",' + value[len(_START) :]


def decode(entry: Entry, revision: int = 0) -> Wire:
    """The object as a dict, with its resourceVersion."""
    wire: Wire = msgspec.json.decode(render(entry, revision))
    return wire


def render_with_tenant(tenant: str, entry: Entry, revision: int = 0) -> bytes:
    """The object as JSON, annotated with its tenant."""
    wire = decode(entry, revision)
    annotations = {**annotations_of(wire), TENANT_ANNOTATION: tenant}
    return msgspec.json.encode({**wire, "metadata": {**metadata(wire), "annotations": annotations}})


class _Meta(msgspec.Struct):
    labels: dict[str, str] | None = None


class _OnlyMeta(msgspec.Struct):
    metadata: _Meta


_META = msgspec.json.Decoder(_OnlyMeta)


def labels_in(entry: Entry) -> Mapping[str, str]:
    """The labels, without decoding the rest."""
    return _META.decode(entry.value).metadata.labels or {}


def parse_body(request: Request) -> Any:
    """The body as JSON, YAML or, for a few kinds, protobuf.

    Raises:
        BadRequest: it is none of these.
        UnsupportedMediaType: it says that it is something else.
    """
    media = request.headers.get("content-type", "application/json").split(";")[0].strip()
    if media == PROTOBUF:
        return decode_protobuf(request.body)
    try:
        if media.endswith("yaml"):
            return yaml.safe_load(request.body)
        if media.endswith("json") or not request.body:
            return msgspec.json.decode(request.body) if request.body else None
    except (msgspec.DecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body cannot be parsed as {media}: {error}") from error
    raise UnsupportedMediaType(f"content type {media!r}, expected application/json or YAML")


def json_response(wire: Any, status: int = 200, warnings: list[str] | None = None) -> Response:
    """An answer with a JSON body; ``wire`` may be encoded already."""
    body = wire if isinstance(wire, bytes) else msgspec.json.encode(wire)
    return Response(status, {**JSON, **warning_header(warnings)}, body)


def warning_header(warnings: list[str] | None) -> dict[str, str]:
    """``Warning`` as Kubernetes sends it, several joined by commas."""
    if not warnings:
        return {}
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"') for text in warnings)
    return {"warning": ", ".join(f'299 - "{text}"' for text in escaped)}


def error_response(error: ApiError) -> Response:
    """An answer with a Status body."""
    return json_response(error.status(), error.code)
