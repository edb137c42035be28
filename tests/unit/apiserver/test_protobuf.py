"""The protobuf bodies of kubectl create are read; anything else is refused, never a crash."""

from __future__ import annotations

import random

import pytest

from hearth.api.errors import ApiError, BadRequest, UnsupportedMediaType
from hearth.api.kinds import SECRET
from hearth.apiserver.protobuf import MEDIA_TYPE, decode_protobuf
from tests.unit.apiserver.running import run


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def pair(key, value):
    return field(1, key) + field(2, value)


def body(kind, raw, version="v1"):
    return b"k8s\0" + field(1, field(1, version) + field(2, kind)) + field(2, raw) + field(3, "")


META = (
    field(1, "a") + field(2, "") + field(3, "default") + field(5, "") + field(7, 0)
    + field(8, b"") + field(11, pair("x", "y")) + field(14, "wait") + field(17, b"\x0a\x00")
    + field(13, field(1, "Pod") + field(3, "p") + field(4, "u") + field(6, 1))
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "raw", "want"),
    [
        pytest.param(
            "Secret",
            field(2, pair("k", b"\xff")) + field(3, "Opaque") + field(4, pair("p", "t"))
            + field(5, 1),
            {"data": {"k": "/w=="}, "type": "Opaque", "stringData": {"p": "t"}, "immutable": True},
            id="secret",
        ),
        pytest.param(
            "ConfigMap", field(2, pair("k", "v")) + field(3, pair("b", b"\0")),
            {"data": {"k": "v"}, "binaryData": {"b": "AA=="}}, id="configmap",
        ),
        pytest.param(
            "Namespace", field(2, field(1, "kubernetes")) + field(3, b""),
            {"spec": {"finalizers": ["kubernetes"]}}, id="namespace",
        ),
        pytest.param(
            "ServiceAccount", field(2, field(3, "s")) + field(3, field(1, "pull")) + field(4, 0),
            {"secrets": [{"name": "s"}], "imagePullSecrets": [{"name": "pull"}],
             "automountServiceAccountToken": False}, id="serviceaccount",
        ),
    ],
)  # fmt: skip
def test_what_kubectl_creates_by_flags_is_read(kind, raw, want):
    found = decode_protobuf(body(kind, field(1, META) + raw))
    meta = found.pop("metadata")
    assert found == {"apiVersion": "v1", "kind": kind, **want}
    owner = {"kind": "Pod", "name": "p", "uid": "u", "controller": True}
    assert meta == {
        "name": "a", "namespace": "default", "generation": 0, "labels": {"x": "y"},
        "finalizers": ["wait"], "ownerReferences": [owner],
    }  # fmt: skip


def test_another_kind_is_asked_for_as_json():
    with pytest.raises(UnsupportedMediaType, match="expected application/json"):
        decode_protobuf(body("Pod", b""))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{}", id="json"),
        pytest.param(b"k8s\0\xff", id="cut-off-number"),
        pytest.param(b"k8s\0" + b"\xff" * 12, id="endless-number"),
        pytest.param(b"k8s\0\x0a\x7fabc", id="cut-off-field"),
        pytest.param(b"k8s\0\x0b", id="group"),
        pytest.param(b"k8s\0\x08\x01", id="number-for-a-message"),
        pytest.param(body("Secret", b"\x08\x01"), id="number-for-metadata"),
        pytest.param(body("Secret", field(3, b"\xff")), id="not-text"),
    ],
)
def test_what_is_no_message_is_refused(raw):
    with pytest.raises(BadRequest):
        decode_protobuf(raw)


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_body_is_refused_or_read(seed):
    chance = random.Random(seed)
    whole = bytearray(body("Secret", field(1, META) + field(2, pair("k", b"v"))))
    for _ in range(200):
        damaged = whole[:]
        damaged[chance.randrange(4, len(whole))] = chance.randrange(256)
        try:
            decode_protobuf(bytes(damaged))
        except ApiError:
            continue


def test_a_secret_is_created_from_protobuf(tmp_path):
    async def story(api):
        raw = body("Secret", field(1, field(1, "s")) + field(2, pair("k", b"v")))
        headers = {"content-type": MEDIA_TYPE}
        query = {"fieldValidation": "Strict"}
        path = SECRET.path("default")
        await api.client.raw("POST", path, body=raw, headers=headers, query=query)
        assert (await api.client.get(SECRET, "default", "s"))["data"] == {"k": "dg=="}

    run(tmp_path, story)
