"""DNS messages of the cluster's own names."""

from __future__ import annotations

import struct

import pytest

from hearth.node.core.dns import (
    NOERROR,
    NXDOMAIN,
    answer,
    is_of_cluster,
    local_name,
    parse_question,
    resolving_of,
)


def query(name, kind=1, identity=7):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    header = struct.pack("!HHHHHH", identity, 0x0100, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack("!HH", kind, 1)


def test_a_question_is_answered_with_the_address():
    question = parse_question(query("Hello.Default.svc.cluster.local"))
    assert question.name == "hello.default.svc.cluster.local"
    said = answer(question, NOERROR, "10.1.2.3")
    assert said[:2] == b"\0\7"
    assert struct.unpack("!H", said[2:4])[0] & 0x800F == 0x8000
    assert struct.unpack("!HH", said[4:8]) == (1, 1)
    assert said.endswith(b"\0\4\x0a\1\2\3")


def test_an_address_of_another_kind_is_none_but_no_error():
    question = parse_question(query("hello.default.svc.cluster.local", kind=28))
    said = answer(question, NOERROR, "10.1.2.3")
    assert (said[3] & 0xF, struct.unpack("!H", said[6:8])[0]) == (0, 0)


def test_what_is_not_there_says_so():
    question = parse_question(query("nope.default.svc.cluster.local"))
    assert answer(question, NXDOMAIN)[3] & 0xF == 3


@pytest.mark.parametrize(
    "message",
    [b"", b"short", query("a.b")[:-3], b"\0\7\x81\0\0\1" + bytes(20), query("a.b") [:12] + b"\xff"],
)  # fmt: skip
def test_what_is_no_question_is_none(message):
    assert parse_question(message) is None


@pytest.mark.parametrize(
    ("name", "local", "ours"),
    [
        ("hello.default.svc.cluster.local", ("hello", "default"), True),
        ("a.hello.default.svc.cluster.local", None, True),
        ("default.svc.cluster.local", None, True),
        ("hello.default.svc", None, False),
        ("example.com", None, False),
    ],
)
def test_names_of_the_cluster(name, local, ours):
    assert (local_name(name), is_of_cluster(name)) == (local, ours)


def pod(**spec):
    return {"metadata": {"namespace": "team"}, "spec": spec}


def test_pods_look_in_their_namespace_first():
    assert resolving_of(pod(), "10.0.0.1").text() == (
        "nameserver 10.0.0.1\n"
        "search team.svc.cluster.local svc.cluster.local cluster.local\n"
        "options ndots:5\n"
    )


def test_a_pod_may_want_otherwise():
    assert resolving_of(pod(dnsPolicy="Default"), "10.0.0.1") is None
    assert resolving_of(pod(hostNetwork=True), "10.0.0.1") is None
    option = {"name": "ndots", "value": "1"}
    own = {"nameservers": ["1.1.1.1"], "searches": ["corp"], "options": [option]}
    assert resolving_of(pod(dnsPolicy="None", dnsConfig=own), "10.0.0.1").text() == (
        "nameserver 1.1.1.1\nsearch corp\noptions ndots:1\n"
    )
    both = resolving_of(pod(dnsConfig=own), "10.0.0.1")
    assert (both.servers, both.options) == (("10.0.0.1", "1.1.1.1"), ("ndots:1",))
