"""An autoscaler's figures for Prometheus."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hearth.api.kinds import POOLED_REPLICA_SET
from hearth.api.observability import cold_starts_of
from tests.unit.autoscaler.rig import run_story
from tests.unit.autoscaler.test_autoscaler import REQUEST, with_app


def figures(text):
    return {
        sample.name: sample.value
        for found in text_string_to_metric_families(text)
        for sample in found.samples
    }


def test_a_revision_at_zero_that_nobody_calls_has_none():
    async def story(rig):
        await asyncio.sleep(120)
        return await rig.autoscaler.metrics()

    assert run_story(story, with_app()) == ""


def test_a_revision_with_pods_has_knatives_figures():
    async def story(rig):
        await rig.autoscaler.activate(REQUEST)
        await rig.load(70, in_flight=7)
        return figures(await rig.autoscaler.metrics())

    found = run_story(story, with_app())
    assert found["kn_revision_pods_requested"] == found["kn_revision_pods_desired"] == 1
    assert found["kn_revision_concurrency_target"] == 70
    assert found["kn_revision_concurrency_stable"] == pytest.approx(7, abs=0.1)
    assert found["kn_revision_concurrency_panic"] == pytest.approx(7, abs=0.1)
    assert found["kn_revision_panic_mode"] == 0
    assert "kn_revision_capacity_excess" in found
    assert not any("_rps_" in name for name in found)


def test_requests_per_second_have_names_of_their_own():
    async def story(rig):
        await rig.autoscaler.activate(REQUEST)
        await rig.load(70, in_flight=0, requests=30)
        return figures(await rig.autoscaler.metrics())

    found = run_story(story, with_app(metric="rps"))
    assert found["kn_revision_rps_stable_per_second"] > 0
    assert found["kn_revision_rps_target_per_second"] == 140
    assert not any("_concurrency_" in name for name in found)


def test_what_a_figure_is_about_is_in_knatives_labels():
    async def story(rig):
        await rig.autoscaler.activate(REQUEST)
        return await rig.autoscaler.metrics()

    [first, *_] = text_string_to_metric_families(run_story(story, with_app()))
    assert set(first.samples[0].labels) == {
        "k8s_namespace_name",
        "kn_service_name",
        "kn_configuration_name",
        "kn_revision_name",
    }
    assert first.samples[0].labels["kn_revision_name"] == "app"


def test_how_long_cold_starts_took_is_noted_with_the_scale():
    async def story(rig):
        await rig.autoscaler.activate(REQUEST)
        await asyncio.sleep(1)
        return rig.api.get(POOLED_REPLICA_SET, "app")

    replica_set = run_story(story, with_app())
    assert cold_starts_of(replica_set) == (20,)


@pytest.mark.parametrize(
    ("noted", "want"),
    [
        pytest.param("12,7", (12, 7), id="two"),
        pytest.param("1,x,3", (1, 3), id="what-is-no-number-is-left-out"),
        pytest.param("", (), id="none"),
    ],
)
def test_what_is_noted_is_read(noted, want):
    wire = {"metadata": {"annotations": {"hearth.dev/cold-starts": noted}}}
    assert cold_starts_of(wire) == want
    assert cold_starts_of({}) == ()
