"""Reads the protobuf bodies that kubectl sends for what it creates by flags.

``kubectl create namespace|configmap|secret|serviceaccount|token|role|…`` and ``kubectl auth`` send
protobuf and do not fall back to JSON. Only reading is needed: they accept JSON in return. A message
is described by its fields' numbers; what is not described is skipped.

Source: k8s.io/apimachinery pkg/runtime/serializer/protobuf for the envelope, and the files
generated.proto of k8s.io/api and k8s.io/apimachinery for the numbers, which never change.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from hearth.api.errors import BadRequest, UnsupportedMediaType
from hearth.api.meta import Wire
from hearth.kit.times import rfc3339

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\0"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Raw: TypeAlias = int | bytes


@dataclass(frozen=True, slots=True)
class _Field:
    """How one field is written in JSON."""

    name: str
    read: Callable[[Any], Any]
    repeated: bool = False
    is_map: bool = False


_Message: TypeAlias = Mapping[int, _Field]


def _text(raw: bytes) -> str:
    return raw.decode()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _time(raw: bytes) -> str | None:
    seconds = dict(_fields(raw)).get(1)
    return rfc3339(datetime.fromtimestamp(seconds, UTC)) if isinstance(seconds, int) else None


def _message(fields: _Message) -> Callable[[bytes], Wire]:
    return lambda raw: _read(raw, fields)


def _pair(value: Callable[[Any], Any]) -> Callable[[bytes], tuple[str, Any]]:
    def read(raw: bytes) -> tuple[str, Any]:
        found = dict(_fields(raw))
        return _text(_bytes(found.get(1, b""))), value(found.get(2, b""))

    return read


def _bytes(raw: Raw) -> bytes:
    if not isinstance(raw, bytes):
        raise TypeError("a number, expected bytes")
    return raw


_OWNER = {
    1: _Field("kind", _text), 3: _Field("name", _text), 4: _Field("uid", _text),
    5: _Field("apiVersion", _text), 6: _Field("controller", bool),
    7: _Field("blockOwnerDeletion", bool),
}  # fmt: skip
_METADATA = {
    1: _Field("name", _text), 2: _Field("generateName", _text), 3: _Field("namespace", _text),
    5: _Field("uid", _text), 6: _Field("resourceVersion", _text), 7: _Field("generation", int),
    8: _Field("creationTimestamp", _time), 9: _Field("deletionTimestamp", _time),
    11: _Field("labels", _pair(_text), is_map=True),
    12: _Field("annotations", _pair(_text), is_map=True),
    13: _Field("ownerReferences", _message(_OWNER), repeated=True),
    14: _Field("finalizers", _text, repeated=True),
}  # fmt: skip
_META = _Field("metadata", _message(_METADATA))
_REFERENCE = {
    1: _Field("kind", _text), 2: _Field("namespace", _text), 3: _Field("name", _text),
    4: _Field("uid", _text), 5: _Field("apiVersion", _text), 6: _Field("resourceVersion", _text),
    7: _Field("fieldPath", _text),
}  # fmt: skip
_RULE = {
    1: _Field("verbs", _text, repeated=True), 2: _Field("apiGroups", _text, repeated=True),
    3: _Field("resources", _text, repeated=True), 4: _Field("resourceNames", _text, repeated=True),
    5: _Field("nonResourceURLs", _text, repeated=True),
}  # fmt: skip
_LABELS = {1: _Field("matchLabels", _pair(_text), is_map=True)}
_ROLE = {
    1: _META, 2: _Field("rules", _message(_RULE), repeated=True),
    3: _Field("aggregationRule", _message(
        {1: _Field("clusterRoleSelectors", _message(_LABELS), repeated=True)})),
}  # fmt: skip
_SUBJECT = {
    1: _Field("kind", _text), 2: _Field("apiGroup", _text), 3: _Field("name", _text),
    4: _Field("namespace", _text),
}  # fmt: skip
_ROLE_REF = {1: _Field("apiGroup", _text), 2: _Field("kind", _text), 3: _Field("name", _text)}
_BINDING = {
    1: _META, 2: _Field("subjects", _message(_SUBJECT), repeated=True),
    3: _Field("roleRef", _message(_ROLE_REF)),
}  # fmt: skip
_OF_RESOURCE = {
    1: _Field("namespace", _text), 2: _Field("verb", _text), 3: _Field("group", _text),
    4: _Field("version", _text), 5: _Field("resource", _text), 6: _Field("subresource", _text),
    7: _Field("name", _text),
}  # fmt: skip
_ACCESS = {
    1: _Field("resourceAttributes", _message(_OF_RESOURCE)),
    2: _Field("nonResourceAttributes", _message({1: _Field("path", _text),
                                                 2: _Field("verb", _text)})),
    3: _Field("user", _text), 4: _Field("groups", _text, repeated=True),
}  # fmt: skip
_BOUND = {
    1: _Field("kind", _text), 2: _Field("apiVersion", _text), 3: _Field("name", _text),
    4: _Field("uid", _text),
}  # fmt: skip
_TOKEN_REQUEST = {
    1: _Field("audiences", _text, repeated=True), 3: _Field("boundObjectRef", _message(_BOUND)),
    4: _Field("expirationSeconds", int),
}  # fmt: skip
_TOKEN_REVIEW = {1: _Field("token", _text), 2: _Field("audiences", _text, repeated=True)}


def _port(raw: bytes) -> int | str:
    found = dict(_fields(raw))  # IntOrString: which it is, the number, the text
    return _text(_bytes(found.get(3, b""))) if found.get(1) else int(found.get(2) or 0)


_SERVICE_PORT = {
    1: _Field("name", _text), 2: _Field("protocol", _text), 3: _Field("port", int),
    4: _Field("targetPort", _port), 5: _Field("nodePort", lambda number: number or None),
    6: _Field("appProtocol", _text),
}  # fmt: skip
_SERVICE = {
    1: _Field("ports", _message(_SERVICE_PORT), repeated=True),
    2: _Field("selector", _pair(_text), is_map=True), 3: _Field("clusterIP", _text),
    4: _Field("type", _text), 5: _Field("externalIPs", _text, repeated=True),
    7: _Field("sessionAffinity", _text), 10: _Field("externalName", _text),
}  # fmt: skip


def _quantity(raw: bytes) -> str:
    return _text(_bytes(dict(_fields(raw)).get(1, b"")))


_QUOTA = {
    1: _Field("hard", _pair(_quantity), is_map=True), 2: _Field("scopes", _text, repeated=True),
}  # fmt: skip
_RBAC, _AUTHN, _AUTHZ = (
    f"{group}.k8s.io/v1" for group in ("rbac.authorization", "authentication", "authorization")
)


def _with_spec(spec: _Message) -> _Message:
    return {1: _META, 2: _Field("spec", _message(spec))}


_DELETE_OPTIONS = {
    1: _Field("gracePeriodSeconds", int),
    2: _Field("preconditions", _message({1: _Field("uid", _text),
                                         2: _Field("resourceVersion", _text)})),
    3: _Field("orphanDependents", bool), 4: _Field("propagationPolicy", _text),
    5: _Field("dryRun", _text, repeated=True),
}  # fmt: skip


_KINDS: Mapping[tuple[str, str], _Message] = {
    ("v1", "DeleteOptions"): _DELETE_OPTIONS,
    ("meta.k8s.io/v1", "DeleteOptions"): _DELETE_OPTIONS,
    ("v1", "Service"): _with_spec(_SERVICE),
    ("v1", "ResourceQuota"): _with_spec(_QUOTA),
    (_RBAC, "Role"): _ROLE,
    (_RBAC, "ClusterRole"): _ROLE,
    (_RBAC, "RoleBinding"): _BINDING,
    (_RBAC, "ClusterRoleBinding"): _BINDING,
    (_AUTHN, "SelfSubjectReview"): {1: _META},
    (_AUTHN, "TokenRequest"): _with_spec(_TOKEN_REQUEST),
    (_AUTHN, "TokenReview"): _with_spec(_TOKEN_REVIEW),
    (_AUTHZ, "SelfSubjectAccessReview"): _with_spec(_ACCESS),
    (_AUTHZ, "SubjectAccessReview"): _with_spec(_ACCESS),
    (_AUTHZ, "LocalSubjectAccessReview"): _with_spec(_ACCESS),
    (_AUTHZ, "SelfSubjectRulesReview"): _with_spec({1: _Field("namespace", _text)}),
    ("v1", "Namespace"): {
        1: _META, 2: _Field("spec", _message({1: _Field("finalizers", _text, repeated=True)})),
    },
    ("v1", "ConfigMap"): {
        1: _META, 2: _Field("data", _pair(_text), is_map=True),
        3: _Field("binaryData", _pair(_base64), is_map=True), 4: _Field("immutable", bool),
    },
    ("v1", "Secret"): {
        1: _META, 2: _Field("data", _pair(_base64), is_map=True), 3: _Field("type", _text),
        4: _Field("stringData", _pair(_text), is_map=True), 5: _Field("immutable", bool),
    },
    ("v1", "ServiceAccount"): {
        1: _META, 2: _Field("secrets", _message(_REFERENCE), repeated=True),
        3: _Field("imagePullSecrets", _message({1: _Field("name", _text)}), repeated=True),
        4: _Field("automountServiceAccountToken", bool),
    },
}  # fmt: skip
_TYPE = {1: _Field("apiVersion", _text), 2: _Field("kind", _text)}


def decode_protobuf(body: bytes) -> Wire:
    """The object in a protobuf body.

    Raises:
        BadRequest: it is not a protobuf message of Kubernetes.
        UnsupportedMediaType: it is of a kind that we take as JSON only.
    """
    if not body.startswith(_MAGIC):
        raise BadRequest(f"the body cannot be parsed as {MEDIA_TYPE}: it does not begin with k8s")
    try:
        envelope = dict(_fields(body[len(_MAGIC) :]))
        kind = _read(_bytes(envelope.get(1, b"")), _TYPE)
        message = _KINDS.get((kind.get("apiVersion", ""), kind.get("kind", "")))
        if message is None:
            raise UnsupportedMediaType(
                f"{kind.get('kind')} of {kind.get('apiVersion')} is not taken as {MEDIA_TYPE}, "
                "expected application/json"
            )
        return {**kind, **_read(_bytes(envelope.get(2, b"")), message)}
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise BadRequest(f"the body cannot be parsed as {MEDIA_TYPE}: {error}") from error


def _read(raw: bytes, fields: _Message) -> Wire:
    wire: Wire = {}
    for number, value in _fields(raw):
        field = fields.get(number)
        if field is None:
            continue
        found = field.read(value)
        if field.is_map:
            wire.setdefault(field.name, {})[found[0]] = found[1]
        elif field.repeated:
            wire.setdefault(field.name, []).append(found)
        elif found not in ("", None):  # Go writes empty strings and times; JSON leaves them out
            wire[field.name] = found
    return wire


def _fields(raw: bytes) -> Iterator[tuple[int, Raw]]:
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(raw, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(raw, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} of field {number}")
        if at + size > len(raw):
            raise ValueError(f"field {number} is cut off")
        yield number, raw[at : at + size]
        at += size


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 64 bits")
