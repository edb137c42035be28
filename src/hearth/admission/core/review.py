"""Answers an AdmissionReview: pure.

Defaulting is idempotent, so the API server may ask again after others have changed the object.

Source: k8s.io/api/admission/v1; the order of checks is that of ``apiserver/core/lifecycle.py``.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from hearth.api.config.serving import ADMITTED, ServingConfig
from hearth.api.errors import BadRequest, invalid
from hearth.api.meta import Wire, is_deleting, metadata, name_of, spec_of
from hearth.api.registry import Resource
from hearth.api.resources import resource_for
from hearth.api.schema import check
from hearth.api.serving.signing import is_own, signed

_VERSION = "admission.k8s.io/v1"


def mutate(review: Wire, config: ServingConfig) -> Wire:
    """The AdmissionReview that says what must be filled in, as the config maps want it.

    Raises:
        BadRequest: it is no AdmissionReview, or of a kind that is not ours.
    """
    request, resource = _request(review, config)
    wire, old = request.get("object") or {}, request.get("oldObject")
    if is_deleting(wire) or check(wire, resource.view)[0]:  # the schema, next, says what is wrong
        return _answer(request, {"allowed": True})
    filled = resource.default(wire, old)
    if old is None or spec_of(filled) != spec_of(resource.default(old, old)):
        meta = signed(resource.kind, metadata(filled), _user(request), created=old is None)
        filled = {**filled, "metadata": meta}
    patch = _difference(wire, filled)
    if not patch:
        return _answer(request, {"allowed": True})
    encoded = base64.b64encode(json.dumps(patch).encode()).decode()
    return _answer(request, {"allowed": True, "patchType": "JSONPatch", "patch": encoded})


def validate(review: Wire, config: ServingConfig) -> Wire:
    """The AdmissionReview that says whether the object is as its kind and the config maps ask.

    Raises:
        BadRequest: it is no AdmissionReview, or of a kind that is not ours.
    """
    request, resource = _request(review, config)
    wire, old = request.get("object") or {}, request.get("oldObject")
    if is_deleting(wire):
        return _answer(request, {"allowed": True})
    if faults := resource.validate(wire, old):
        error = invalid(resource.kind.kind, resource.kind.group, name_of(wire), faults)
        return _answer(request, {"allowed": False, "status": error.status()})
    warnings = resource.notices(wire)
    return _answer(request, {"allowed": True, **({"warnings": warnings} if warnings else {})})


def _request(review: Any, config: ServingConfig) -> tuple[Wire, Resource]:
    """The request, and its kind as it holds for whoever asks."""
    request = review.get("request") if isinstance(review, dict) else None
    if not isinstance(request, dict) or not isinstance(request.get("resource"), dict):
        raise BadRequest("the body is not an AdmissionReview with a request")
    asked = request["resource"]
    place = tuple(str(asked.get(name) or "") for name in ("group", "version", "resource"))
    resource = resource_for(*place)
    if resource is None:
        raise BadRequest(f"the request is about {'/'.join(place)}, which is not ours")
    if resource.configured is not None:  # what our controllers write was allowed when it was new
        resource = resource.configured(ADMITTED if is_own(_user(request)) else config)
    return request, resource


def _user(request: Wire) -> str:
    return str((request.get("userInfo") or {}).get("username") or "")


def _answer(request: Wire, response: Wire) -> Wire:
    said = {"uid": request.get("uid"), **response}
    return {"apiVersion": _VERSION, "kind": "AdmissionReview", "response": said}


def _difference(before: Wire, after: Wire) -> list[Wire]:
    """JSON patch between two objects, by whole fields; of the metadata only annotations differ."""
    patch = [
        {"op": "add", "path": f"/{name}", "value": value}
        for name, value in after.items()
        if name != "metadata" and before.get(name) != value
    ]
    annotations = metadata(after).get("annotations")
    if annotations != metadata(before).get("annotations"):
        patch.append({"op": "add", "path": "/metadata/annotations", "value": annotations})
    return patch
