"""Config maps have a say in what services may ask for and get, from their next write on."""

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


async def write(api, name, **data):
    meta = {"name": name, "namespace": "knative-serving"}
    await api.client.create(CONFIG_MAP, {"metadata": meta, "data": data})


def limits_of(wire):
    return wire["spec"]["template"]["spec"]["containers"][0]["resources"].get("limits")


def test_defaults_are_the_maps_as_soon_as_it_is_written(tmp_path):
    async def story(api):
        await api.client.create(NAMESPACE, {"metadata": {"name": "knative-serving"}})
        before = await api.client.create(SERVICE, service("before"))
        assert before["spec"]["template"]["spec"]["timeoutSeconds"] == 300
        await write(
            api, "config-defaults",
            **{"revision-timeout-seconds": "20", "revision-cpu-limit": "2",
               "max-revision-timeout-seconds": "30"},
        )  # fmt: skip
        after = await api.client.create(SERVICE, service("after"))
        assert after["spec"]["template"]["spec"]["timeoutSeconds"] == 20
        assert limits_of(after) == {"cpu": "2"}
        too_long = service("long")
        too_long["spec"]["template"]["spec"]["timeoutSeconds"] = 31
        with pytest.raises(Invalid, match="expected 0 <= 31 <= 30"):
            await api.client.create(SERVICE, too_long)
        await api.client.delete(CONFIG_MAP, "knative-serving", "config-defaults")
        again = await api.client.create(SERVICE, service("again"))
        assert limits_of(again) is None, "without the map Knative's defaults hold"

    run(tmp_path, story)


def test_a_flag_holds_from_now_on(tmp_path):
    async def story(api):
        await api.client.create(NAMESPACE, {"metadata": {"name": "knative-serving"}})
        chosen = service("before")
        chosen["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "fast"}
        await api.client.create(SERVICE, chosen)
        await write(api, "config-features", **{"kubernetes.podspec-nodeselector": "disabled"})
        chosen["metadata"]["name"] = "after"
        said = r"must not set the field\(s\): spec.template.spec.nodeSelector"
        with pytest.raises(Invalid, match=said):
            await api.client.create(SERVICE, chosen)

    run(tmp_path, story)


def test_a_revision_may_be_as_its_template_was_allowed_to_be(tmp_path):
    async def story(api):
        await api.client.create(NAMESPACE, {"metadata": {"name": "knative-serving"}})
        await write(api, "config-defaults", **{"max-revision-timeout-seconds": "3600"})
        controller = api.client_as("controller")
        meta = {"name": "r-1", "namespace": "default"}
        spec = {"timeoutSeconds": 3000, "containers": [{"image": "x"}]}
        await controller.create(REVISION, {"metadata": meta, "spec": spec})

    run(tmp_path, story)


def test_a_map_that_is_not_understood_is_refused(tmp_path):
    async def story(api):
        with pytest.raises(Invalid, match="validation failed: max-scale-up-rate = 1, must be"):
            await configured(api, **{"max-scale-up-rate": "1"})

    run(tmp_path, story)
