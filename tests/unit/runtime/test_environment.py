"""Variables are what Kubernetes would make of them."""

from __future__ import annotations

import asyncio

import pytest

from hearth.api.kinds import CONFIG_MAP, SECRET
from hearth.client import Client
from hearth.runtime.environment import EnvironmentFault, resolve_environment
from tests.unit.fake_api import FakeApi

POD = {
    "metadata": {
        "name": "hello-1",
        "namespace": "default",
        "labels": {"app.kubernetes.io/name": "hello"},
        "annotations": {"a.b": "c"},
    },
    "spec": {"nodeName": "n1"},
}


def resolve(*env, env_from=()):
    async def story():
        api = FakeApi()
        config = {"color": "red", "not a name": "x", "9": "y"}
        api.put(CONFIG_MAP, {"metadata": {"name": "settings"}, "data": config})
        api.put(CONFIG_MAP, {"metadata": {"name": "empty"}})
        secret = {"password": "cMOkc3N3b3Jk", "binary": "/w=="}
        api.put(SECRET, {"metadata": {"name": "keys"}, "data": secret})
        container = {"env": list(env), "envFrom": list(env_from)}
        return await resolve_environment(Client(api), "default", container, POD)

    return asyncio.run(story())


def var(name, value):
    return {"name": name, "value": value}


def ref(field, **reference):
    return {"name": "X", "valueFrom": {field: reference}}


@pytest.mark.parametrize(
    ("value", "want"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param("$(A)-$(A)", "1-1", id="reference"),
        pytest.param("$(NONE)", "$(NONE)", id="unknown-stays"),
        pytest.param("$(LATER)", "$(LATER)", id="later-is-unknown"),
        pytest.param("$$(A)", "$(A)", id="escaped"),
        pytest.param("$$$(A)", "$1", id="escaped-dollar-then-reference"),
        pytest.param("$A ${A} $(", "$A ${A} $(", id="no-references"),
        pytest.param(None, "", id="nothing"),
    ],
)
def test_references_are_replaced_by_what_came_before(value, want):
    found = resolve(var("A", "1"), var("X", value), var("LATER", "2"))
    assert found == {"A": "1", "X": want, "LATER": "2"}


@pytest.mark.parametrize(
    ("variable", "want"),
    [
        pytest.param(ref("configMapKeyRef", name="settings", key="color"), "red", id="config-map"),
        pytest.param(ref("secretKeyRef", name="keys", key="password"), "pässword", id="secret"),
        pytest.param(ref("secretKeyRef", name="keys", key="binary"), "\ufffd", id="no-text"),
        pytest.param(
            ref("configMapKeyRef", name="settings", key="k", optional=True), None, id="optional-key"
        ),
        pytest.param(
            ref("secretKeyRef", name="nope", key="k", optional=True), None, id="optional-object"
        ),
        pytest.param(ref("fieldRef", fieldPath="metadata.name"), "hello-1", id="name"),
        pytest.param(ref("fieldRef", fieldPath="spec.nodeName"), "n1", id="spec"),
        pytest.param(ref("fieldRef", fieldPath="status.podIP"), "", id="not-known-yet"),
        pytest.param(
            ref("fieldRef", fieldPath="metadata.labels['app.kubernetes.io/name']"), "hello",
            id="label",
        ),
        pytest.param(ref("fieldRef", fieldPath="metadata.annotations['a.b']"), "c", id="note"),
        pytest.param(ref("fieldRef", fieldPath="metadata.labels['none']"), "", id="no-such-label"),
    ],
)  # fmt: skip
def test_a_value_comes_from_where_it_is_said_to_be(variable, want):
    assert resolve(variable).get("X") == want


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        pytest.param(
            ref("configMapKeyRef", name="settings", key="k"),
            "^couldn't find key k in ConfigMap default/settings$", id="key",
        ),
        pytest.param(
            ref("configMapKeyRef", name="empty", key="k"), "couldn't find key k", id="no-data"
        ),
        pytest.param(
            ref("secretKeyRef", name="nope", key="k"), '^secret "nope" not found$', id="object"
        ),
        pytest.param(
            ref("fieldRef", fieldPath="spec.nope.deeper"),
            "the pod has no field spec.nope.deeper", id="field",
        ),
        pytest.param(
            ref("fileKeyRef", key="k"),
            r"variable X: valueFrom \['fileKeyRef'\] is not supported here", id="origin",
        ),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(variable, said):
    with pytest.raises(EnvironmentFault, match=said):
        resolve(variable)


@pytest.mark.parametrize(
    ("source", "want"),
    [
        pytest.param(
            {"configMapRef": {"name": "settings"}}, {"color": "red", "not a name": "x", "9": "y"},
            id="whole",
        ),
        pytest.param(
            {"configMapRef": {"name": "settings"}, "prefix": "P_"},
            {"P_color": "red", "P_9": "y", "P_not a name": "x"}, id="prefix",
        ),
        pytest.param(
            {"secretRef": {"name": "keys"}}, {"password": "pässword", "binary": "\ufffd"},
            id="secret",
        ),
        pytest.param({"secretRef": {"name": "nope", "optional": True}}, {}, id="optional"),
        pytest.param({}, {}, id="of-nothing"),
    ],
)  # fmt: skip
def test_all_of_an_object_becomes_variables(source, want):
    assert resolve(env_from=[source]) == want


def test_an_object_that_is_not_optional_must_be_there():
    with pytest.raises(EnvironmentFault, match=r'^configmap "nope" not found$'):
        resolve(env_from=[{"configMapRef": {"name": "nope"}}])


def test_own_variables_win_over_those_of_objects_and_may_use_them():
    env_from = [{"configMapRef": {"name": "settings"}}]
    found = resolve(var("B", "$(color)!"), env_from=env_from)
    assert (found["color"], found["B"]) == ("red", "red!")
    assert resolve(var("color", "blue"), env_from=env_from)["color"] == "blue"
