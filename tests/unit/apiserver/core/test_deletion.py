"""A deletion removes at once, or says that the object is going."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hearth.api.resources import resource_for
from hearth.apiserver.core.deletion import FOREGROUND, ORPHAN, begin_deletion, is_finished

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PODS = resource_for("", "v1", "pods")
NAMESPACES = resource_for("", "v1", "namespaces")
CONFIG_MAPS = resource_for("", "v1", "configmaps")


def pod(node="n1", phase="Running", **meta):
    spec = {"terminationGracePeriodSeconds": 30, **({"nodeName": node} if node else {})}
    return {"metadata": {"name": "p", **meta}, "spec": spec, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("resource", "wire", "options"),
    [
        pytest.param(CONFIG_MAPS, {"metadata": {"name": "c"}}, {}, id="plain"),
        pytest.param(PODS, pod(node=""), {}, id="pod-without-a-node"),
        pytest.param(PODS, pod(phase="Failed"), {}, id="pod-that-ended"),
        pytest.param(PODS, pod(), {"gracePeriodSeconds": 0}, id="pod-by-its-node"),
    ],
)
def test_what_nobody_waits_for_goes_at_once(resource, wire, options):
    assert begin_deletion(resource, wire, options, NOW) is None


@pytest.mark.parametrize(
    ("options", "grace", "at"),
    [
        pytest.param({}, 30, "2026-01-01T00:00:30Z", id="its-own"),
        pytest.param({"gracePeriodSeconds": 5}, 5, "2026-01-01T00:00:05Z", id="asked-for"),
    ],
)
def test_a_pod_on_a_node_gets_its_grace_period(options, grace, at):
    meta = begin_deletion(PODS, pod(), options, NOW)["metadata"]
    assert (meta["deletionGracePeriodSeconds"], meta["deletionTimestamp"]) == (grace, at)


def test_a_second_deletion_may_only_hurry():
    going = begin_deletion(PODS, pod(), {"gracePeriodSeconds": 10}, NOW)
    assert begin_deletion(PODS, going, {"gracePeriodSeconds": 20}, NOW) == going
    hurried = begin_deletion(PODS, going, {"gracePeriodSeconds": 2}, NOW)
    assert hurried["metadata"]["deletionGracePeriodSeconds"] == 2


@pytest.mark.parametrize(
    ("policy", "finalizers"),
    [
        pytest.param("Foreground", ["mine", FOREGROUND], id="foreground"),
        pytest.param("Orphan", ["mine", ORPHAN], id="orphan"),
        pytest.param("Background", ["mine"], id="background"),
    ],
)
def test_finalizers_are_waited_for(policy, finalizers):
    wire = {"metadata": {"name": "c", "finalizers": ["mine"]}}
    going = begin_deletion(CONFIG_MAPS, wire, {"propagationPolicy": policy}, NOW)
    assert going["metadata"]["finalizers"] == finalizers
    assert going["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"
    assert not is_finished(CONFIG_MAPS, going)
    assert is_finished(CONFIG_MAPS, {"metadata": {**going["metadata"], "finalizers": []}})


def test_a_namespace_waits_until_it_is_empty():
    wire = {"metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}}
    going = begin_deletion(NAMESPACES, wire, {}, NOW)
    assert going["status"]["phase"] == "Terminating"
    assert not is_finished(NAMESPACES, going)
    assert is_finished(NAMESPACES, {**going, "spec": {"finalizers": []}})


def test_what_is_not_going_is_not_finished():
    assert not is_finished(CONFIG_MAPS, {"metadata": {"name": "c"}})
    assert not is_finished(PODS, begin_deletion(PODS, pod(), {}, NOW))
