"""Namespaces get what their quotas and ranges allow, in Kubernetes' words."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hearth.apiserver.core.quotas import (
    beyond,
    excess,
    total,
    usage_of,
    with_defaults,
    written,
)


def pod(*containers, phase="Pending"):
    named = [{"name": f"c{n}", "resources": each} for n, each in enumerate(containers)]
    return {"spec": {"containers": named}, "status": {"phase": phase}}


def quota(**hard):
    named = {name.replace("__", "."): amount for name, amount in hard.items()}
    return {"metadata": {"name": "q"}, "spec": {"hard": named}}


def of(plural, wire, group=""):
    return {name: str(amount) for name, amount in usage_of(plural, group, wire).items() if amount}


def test_a_pod_uses_what_its_containers_ask_for_and_a_limit_is_a_request():
    found = of(
        "pods", pod({"requests": {"cpu": "100m"}}, {"limits": {"cpu": "1", "memory": "1Ki"}})
    )
    assert found == {
        "pods": "1", "count/pods": "1", "cpu": "1.100", "requests.cpu": "1.100",
        "limits.cpu": "1", "memory": "1024", "requests.memory": "1024", "limits.memory": "1024",
    }  # fmt: skip
    assert of("pods", pod({}, phase="Failed")) == {}


def test_other_objects_are_counted():
    assert of("secrets", {}) == {"secrets": "1", "count/secrets": "1"}
    assert of("services", {}, "serving.knative.dev") == {"count/services.serving.knative.dev": "1"}
    claim = {"spec": {"resources": {"requests": {"storage": "1Ki"}}}}
    assert of("persistentvolumeclaims", claim)["requests.storage"] == "1024"


@pytest.mark.parametrize(
    ("hard", "wanted", "used", "said"),
    [
        pytest.param(quota(pods="2"), pod({}), {"pods": 1}, "", id="fits"),
        pytest.param(
            quota(pods="2"), pod({}), {"pods": 2},
            "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2", id="pods",
        ),
        pytest.param(
            quota(limits__cpu="1", requests__memory="1Gi"),
            pod({"limits": {"cpu": "600m", "memory": "1Gi"}}), {"limits.cpu": Decimal("0.5")},
            "exceeded quota: q, requested: limits.cpu=600m, used: limits.cpu=500m, "
            "limited: limits.cpu=1", id="cpu",
        ),
        pytest.param(
            quota(requests__memory="1Gi"), pod({"requests": {"memory": "512Mi"}}),
            {"requests.memory": 2**30},
            "exceeded quota: q, requested: requests.memory=512Mi, used: requests.memory=1Gi, "
            "limited: requests.memory=1Gi", id="memory",
        ),
        pytest.param(
            quota(limits__cpu="1", memory="1Gi"), pod({}), {},
            "failed quota: q: must specify limits.cpu for: c0; memory for: c0", id="unsaid",
        ),
        pytest.param(quota(secrets="1"), pod({}), {"secrets": 5}, "", id="of-others"),
    ],
)  # fmt: skip
def test_quotas(hard, wanted, used, said):
    there = {name: Decimal(amount) for name, amount in used.items()}
    assert excess(hard, usage_of("pods", "", wanted), there, wanted["spec"]) == said


def test_sums_and_quantities():
    assert total([{"a": Decimal(1)}, {"a": Decimal(2), "b": Decimal(1)}]) == {"a": 3, "b": 1}
    assert written("cpu", Decimal("0.25")) == "250m"
    assert written("limits.cpu", Decimal(2)) == "2"
    assert written("memory", Decimal(1000)) == "1000"
    assert written("requests.storage", Decimal(3 * 2**40)) == "3Ti"
    assert written("pods", Decimal(0)) == "0"


def limits(**more):
    return {"spec": {"limits": [{"type": "Container", **more}]}}


def test_a_range_gives_what_a_container_does_not_say():
    each = limits(default={"cpu": "1", "memory": "1Gi"}, defaultRequest={"cpu": "100m"})
    silent, own = pod({})["spec"], {"limits": {"cpu": "2"}, "requests": {"memory": "1Mi"}}
    [found] = with_defaults({"spec": silent}, [each])["spec"]["containers"]
    assert found["resources"] == {
        "limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "1Gi"}
    }  # fmt: skip
    [found] = with_defaults(pod(own), [each])["spec"]["containers"]
    assert found["resources"]["limits"] == {"cpu": "2", "memory": "1Gi"}
    assert found["resources"]["requests"]["memory"] == "1Mi"
    assert with_defaults(pod({}), []) == pod({})
    assert silent["containers"][0]["resources"] == {}


@pytest.mark.parametrize(
    ("limit", "resources", "said"),
    [
        pytest.param({"max": {"cpu": "1"}}, {"limits": {"cpu": "1"}}, "", id="fits"),
        pytest.param(
            {"max": {"cpu": "1"}}, {"limits": {"cpu": "2"}},
            "maximum cpu usage per Container is 1, but limit is 2", id="max",
        ),
        pytest.param(
            {"max": {"cpu": "1"}}, {},
            "maximum cpu usage per Container is 1.  No limit is specified", id="no-limit",
        ),
        pytest.param(
            {"min": {"cpu": "1"}}, {"requests": {"cpu": "100m"}},
            "minimum cpu usage per Container is 1, but request is 100m", id="min",
        ),
        pytest.param(
            {"min": {"cpu": "1"}, "max": {"cpu": "2"}}, {},
            "[minimum cpu usage per Container is 1.  No request is specified, "
            "maximum cpu usage per Container is 2.  No limit is specified]", id="both",
        ),
    ],
)  # fmt: skip
def test_ranges(limit, resources, said):
    assert beyond(pod(resources), [limits(**limit)]) == said


def test_a_range_may_be_about_whole_pods():
    each = {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}}
    half = {"limits": {"cpu": "600m"}}
    assert beyond(pod(half), [each]) == ""
    assert "maximum cpu usage per Pod is 1, but limit is 1.2" in beyond(pod(half, half), [each])
