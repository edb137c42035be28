"""Checks wire objects against views, and describes views as OpenAPI.

A view names the fields that exist and their types; the wire object stays a dict. One walker over
msgspec's type information serves strict decoding (unknown fields), type errors and OpenAPI.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from msgspec import inspect as mi

from hearth.api.errors import FieldError
from hearth.api.meta import Wire


def check(wire: Wire, view: type[msgspec.Struct]) -> tuple[list[FieldError], list[str]]:
    """Compare an object with its view.

    Returns:
        Fields of the wrong type, and the paths of unknown fields, both in document order.
    """
    errors: list[FieldError] = []
    unknown: list[str] = []
    _walk(wire, _type_of(view), "", errors, unknown)
    return errors, unknown


@cache
def _type_of(view: type[msgspec.Struct]) -> mi.Type:
    return mi.type_info(view)


_NAMES: dict[type[mi.Type], tuple[str, Any]] = {
    mi.StrType: ("string", str),
    mi.IntType: ("integer", int),
    mi.BoolType: ("boolean", bool),
    mi.FloatType: ("number", (int, float)),
}


def _walk(
    value: Any, kind: mi.Type, path: str, errors: list[FieldError], unknown: list[str]
) -> None:
    if isinstance(kind, mi.AnyType) or value is None:
        return
    if isinstance(kind, mi.UnionType):
        _walk_union(value, kind, path, errors, unknown)
    elif isinstance(kind, mi.StructType):
        _walk_struct(value, kind, path, errors, unknown)
    elif isinstance(kind, mi.ListType):
        if not isinstance(value, list):
            errors.append(_wrong(path, value, "an array"))
            return
        for number, item in enumerate(value):
            _walk(item, kind.item_type, f"{path}[{number}]", errors, unknown)
    elif isinstance(kind, mi.DictType):
        if not isinstance(value, dict):
            errors.append(_wrong(path, value, "an object"))
            return
        for name, item in value.items():
            _walk(item, kind.value_type, f"{path}.{name}", errors, unknown)
    else:
        name, python = _NAMES[type(kind)]
        if not isinstance(value, python) or (isinstance(value, bool) and python is not bool):
            article = "an" if name[0] in "aeiou" else "a"
            errors.append(_wrong(path, value, f"{article} {name}"))


def _walk_union(
    value: Any, kind: mi.UnionType, path: str, errors: list[FieldError], unknown: list[str]
) -> None:
    options = [t for t in kind.types if not isinstance(t, mi.NoneType)]
    for option in options:
        mine: list[FieldError] = []
        _walk(value, option, path, mine, unknown if len(options) == 1 else [])
        if not mine:
            return
    if len(options) == 1:
        errors.extend(mine)
    else:
        wanted = " or ".join(_NAMES[type(o)][0] for o in options if type(o) in _NAMES)
        errors.append(_wrong(path, value, f"a {wanted}"))


def _walk_struct(
    value: Any, kind: mi.StructType, path: str, errors: list[FieldError], unknown: list[str]
) -> None:
    if not isinstance(value, dict):
        errors.append(_wrong(path, value, "an object"))
        return
    fields = {field.encode_name: field.type for field in kind.fields}
    for name, item in value.items():
        below = f"{path}.{name}" if path else name
        if name not in fields:
            unknown.append(below)
        else:
            _walk(item, fields[name], below, errors, unknown)


def _wrong(path: str, value: Any, wanted: str) -> FieldError:
    found = msgspec.json.encode(value).decode()
    found = found if len(found) <= 80 else found[:77] + "..."
    return FieldError(path, f"Invalid value: {found}: must be {wanted}", "FieldValueTypeInvalid")


def openapi_schemas(views: dict[str, type[msgspec.Struct]]) -> dict[str, Any]:
    """``components.schemas`` for the named views and everything they refer to."""
    schemas: dict[str, Any] = {}
    for name, view in views.items():
        schemas[name] = _describe(_type_of(view), schemas, top=True)
    return schemas


def _describe(kind: mi.Type, schemas: dict[str, Any], *, top: bool = False) -> dict[str, Any]:
    match kind:
        case mi.StructType():
            return _describe_struct(kind, schemas, top=top)
        case mi.ListType():
            return {"type": "array", "items": _describe(kind.item_type, schemas)}
        case mi.DictType():
            inner = _describe(kind.value_type, schemas)
            return {"type": "object", "additionalProperties": inner}
        case mi.UnionType():
            options = [_describe(t, schemas) for t in kind.types if not isinstance(t, mi.NoneType)]
            if len(options) == 1:
                return options[0]
            return {"oneOf": options, "x-kubernetes-int-or-string": True}
        case mi.AnyType():
            return {"x-kubernetes-preserve-unknown-fields": True}
        case _:
            return {"type": _NAMES[type(kind)][0]}


def _describe_struct(kind: mi.StructType, schemas: dict[str, Any], *, top: bool) -> dict[str, Any]:
    name = f"hearth.{kind.cls.__name__}"
    if not top and name in schemas:
        return {"allOf": [{"$ref": f"#/components/schemas/{name}"}]}
    described: dict[str, Any] = {"type": "object"}
    if kind.cls.__doc__:
        described["description"] = kind.cls.__doc__.strip().splitlines()[0]
    if not top:
        schemas[name] = described  # before its fields: a type may contain itself
    properties = {field.encode_name: _describe(field.type, schemas) for field in kind.fields}
    if properties:
        described["properties"] = properties
    return described if top else {"allOf": [{"$ref": f"#/components/schemas/{name}"}]}


def structural_schema(view: type[msgspec.Struct]) -> dict[str, Any]:
    """The view as a CRD describes it: whole, without references.

    Source: k8s.io/apiextensions-apiserver, structural schemas.
    """
    return _structural(_type_of(view))


def _structural(kind: mi.Type) -> dict[str, Any]:
    match kind:
        case mi.StructType():
            described: dict[str, Any] = {"type": "object"}
            if kind.cls.__doc__:
                described["description"] = kind.cls.__doc__.strip().splitlines()[0]
            fields = {field.encode_name: _structural(field.type) for field in kind.fields}
            return {**described, **({"properties": fields} if fields else {})}
        case mi.ListType():
            return {"type": "array", "items": _structural(kind.item_type)}
        case mi.DictType(value_type=mi.AnyType()):
            return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        case mi.DictType():
            return {"type": "object", "additionalProperties": _structural(kind.value_type)}
        case mi.UnionType():
            options = [_structural(t) for t in kind.types if not isinstance(t, mi.NoneType)]
            return options[0] if len(options) == 1 else {"x-kubernetes-int-or-string": True}
        case mi.AnyType():
            return {"x-kubernetes-preserve-unknown-fields": True}
        case _:
            return {"type": _NAMES[type(kind)][0]}
