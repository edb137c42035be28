"""``config-autoscaler`` has a say in what services may ask for."""

from __future__ import annotations

import pytest

from hearth.api.errors import Invalid
from hearth.api.kinds import CONFIG_MAP, NAMESPACE, REVISION, SERVICE
from tests.unit.apiserver.running import run

MAX = "autoscaling.knative.dev/max-scale"


def service(name, **annotations):
    named = {f"autoscaling.knative.dev/{k.replace('_', '-')}": v for k, v in annotations.items()}
    template = {"metadata": {"annotations": named}, "spec": {"containers": [{"image": "x"}]}}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": template},
    }


async def configured(api, **data):
    await api.client.create(NAMESPACE, {"metadata": {"name": "knative-serving"}})
    meta = {"name": "config-autoscaler", "namespace": "knative-serving"}
    await api.client.create(CONFIG_MAP, {"metadata": meta, "data": data})


def test_a_limit_holds_from_now_on(tmp_path):
    async def story(api):
        await api.client.create(SERVICE, service("before", max_scale="20"))
        await configured(api, **{"max-scale": "5", "max-scale-limit": "10"})
        with pytest.raises(Invalid, match="expected 1 <= 20 <= 10"):
            await api.client.create(SERVICE, service("after", max_scale="20"))
        await api.client.create(SERVICE, service("within", max_scale="10"))
        change = {"data": {"max-scale-limit": "30"}}
        await api.client.patch(CONFIG_MAP, "knative-serving", "config-autoscaler", change)
        await api.client.create(SERVICE, service("after", max_scale="20"))

    run(tmp_path, story)


def test_a_first_scale_of_zero_can_be_forbidden(tmp_path):
    async def story(api):
        await api.client.create(SERVICE, service("before", initial_scale="0"))
        await configured(api, **{"allow-zero-initial-scale": "false"})
        with pytest.raises(Invalid, match="=0 not allowed by cluster"):
            await api.client.create(SERVICE, service("after", initial_scale="0"))

    run(tmp_path, story)


def test_a_stricter_rule_stops_no_controller(tmp_path):
    async def story(api):
        controller = api.client_as("controller")
        meta = {"name": "r-1", "namespace": "default", "annotations": {MAX: "20"}}
        spec = {"containers": [{"image": "x"}]}
        await controller.create(REVISION, {"metadata": meta, "spec": spec})
        await configured(api, **{"max-scale": "5", "max-scale-limit": "10"})
        label = {"metadata": {"labels": {"serving.knative.dev/routingState": "active"}}}
        await controller.patch(REVISION, "default", "r-1", label)

    run(tmp_path, story)


def test_a_map_that_is_not_understood_is_refused(tmp_path):
    async def story(api):
        with pytest.raises(Invalid, match="validation failed: max-scale-up-rate = 1, must be"):
            await configured(api, **{"max-scale-up-rate": "1"})

    run(tmp_path, story)
