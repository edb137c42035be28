"""Templates are tried as pods when that is asked for."""

from __future__ import annotations

import pytest

from hearth.api.errors import BadRequest, NotFound
from hearth.api.kinds import CONFIG_MAP, CONFIGURATION, NAMESPACE, RESOURCE_QUOTA, SERVICE
from tests.unit.apiserver.running import run

DRY_RUN = "features.knative.dev/podspec-dryrun"
SAID = "validation callback failed: dry run failed with .*exceeded quota: none.*: spec.template"


def service(name="hello", how=None):
    named = {DRY_RUN: how} if how else {}
    spec = {"template": {"spec": {"containers": [{"image": "x"}]}}}
    return {"metadata": {"name": name, "namespace": "default", "annotations": named}, "spec": spec}


async def no_pods(api):
    meta = {"name": "none", "namespace": "default"}
    await api.client.create(RESOURCE_QUOTA, {"metadata": meta, "spec": {"hard": {"pods": "0"}}})


async def flag(api, value):
    await api.client.create(NAMESPACE, {"metadata": {"name": "knative-serving"}})
    meta = {"name": "config-features", "namespace": "knative-serving"}
    data = {"kubernetes.podspec-dryrun": value}
    await api.client.create(CONFIG_MAP, {"metadata": meta, "data": data})


def test_a_dry_run_tries_the_pod_too(tmp_path):
    async def story(api):
        await api.client.create(SERVICE, service(), dry_run=True)
        await no_pods(api)
        with pytest.raises(BadRequest, match=SAID):
            await api.client.create(SERVICE, service(), dry_run=True)
        await api.client.create(SERVICE, service())

    run(tmp_path, story)


@pytest.mark.parametrize("how", ["enabled", "strict"])
def test_an_annotation_asks_for_it(tmp_path, how):
    async def story(api):
        await no_pods(api)
        with pytest.raises(BadRequest, match=SAID):
            await api.client.create(SERVICE, service(how=how))
        with pytest.raises(NotFound):
            await api.client.get(SERVICE, "default", "hello")
        with pytest.raises(BadRequest, match=SAID):
            await api.client.create(CONFIGURATION, service(how=how))
        await api.client.create(SERVICE, service("free", how="disabled"))

    run(tmp_path, story)


def test_what_was_annotated_before_is_tried_again(tmp_path):
    async def story(api):
        await api.client.create(SERVICE, service(how="enabled"))
        await no_pods(api)
        change = {"spec": {"template": {"spec": {"timeoutSeconds": 3}}}}
        with pytest.raises(BadRequest, match=SAID):
            await api.client.patch(SERVICE, "default", "hello", change)

    run(tmp_path, story)


def test_the_flag_decides_for_all(tmp_path):
    async def story(api):
        await no_pods(api)
        await flag(api, "Disabled")
        await api.client.create(SERVICE, service(how="enabled"))
        on = {"data": {"kubernetes.podspec-dryrun": "Enabled"}}
        await api.client.patch(CONFIG_MAP, "knative-serving", "config-features", on)
        with pytest.raises(BadRequest, match=SAID):
            await api.client.create(SERVICE, service("other"))
        await api.client_as("controller").create(SERVICE, service("ours"))

    run(tmp_path, story)
