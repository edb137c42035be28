"""Revisions of the CPU and memory class, in virtual time."""

import asyncio

from hearth.api.kinds import HORIZONTAL_POD_AUTOSCALER, POD_METRICS, REVISION
from tests.unit.autoscaler.rig import make_ready, make_revision, run_story

HPA = {"class": "hpa.autoscaling.knative.dev", "target": "50"}


def prepare(*, replicas=1, request="100m", state="active", **options):
    def make(api):
        make_revision(api, replicas=replicas, state=state, **{**HPA, **options})
        revision = api.get(REVISION, "app")
        resources = {"requests": {"cpu": request}} if request else {}
        revision["spec"] = {"containers": [{"image": "x", "resources": resources}]}
        api.put(REVISION, revision)
        make_ready(api, "app", replicas)

    return make


def use(api, **cpus):
    """Say what each pod uses."""
    for name, cpu in cpus.items():
        meta = {"name": name.replace("_", "-"), "labels": {"serving.knative.dev/revision": "app"}}
        figures = [{"name": "user-container", "usage": {"cpu": cpu, "memory": "64Mi"}}]
        api.put(POD_METRICS, {"metadata": meta, "containers": figures})


def test_busy_pods_become_more_and_the_autoscaler_object_tells():
    async def story(rig):
        use(rig.api, app_0="120m")
        await asyncio.sleep(20)
        return rig.replicas(), rig.api.get(HORIZONTAL_POD_AUTOSCALER, "app"), rig.events()

    replicas, told, events = run_story(story, prepare())
    assert replicas == 3
    current = told["status"]["currentMetrics"][0]["resource"]["current"]
    assert (current["averageUtilization"], told["status"]["desiredReplicas"]) == (120, 3)
    assert told["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 50
    assert "scaled to 3: cpu at 120 % of the request, target 50 %" in events


def test_it_goes_down_after_five_minutes_and_never_to_zero():
    async def story(rig):
        use(rig.api, app_0="0", app_1="0", app_2="0")
        await asyncio.sleep(280)
        before = rig.replicas()
        await asyncio.sleep(60)
        return before, rig.replicas()

    # What was there at the start was recommended by nobody: Kubernetes goes down at once too.
    assert run_story(story, prepare(replicas=3)) == (1, 1)


def test_a_revision_without_a_route_goes_to_zero():
    async def story(rig):
        use(rig.api, app_0="90m")
        await asyncio.sleep(20)
        return rig.replicas()

    assert run_story(story, prepare(state="reserve")) == 0


def test_a_missing_request_is_told_and_nothing_changes():
    async def story(rig):
        use(rig.api, app_0="900m")
        await asyncio.sleep(50)
        told = rig.api.get(HORIZONTAL_POD_AUTOSCALER, "app")["status"]["conditions"]
        said = [event for event in rig.events() if "missing request" in event]
        active = next(one for one in told if one["type"] == "ScalingActive")
        return rig.replicas(), active["reason"], len(said)

    assert run_story(story, prepare(request="")) == (1, "FailedGetResourceMetric", 2)


def test_requests_do_not_scale_this_class():
    async def story(rig):
        use(rig.api, app_0="50m")
        await rig.load(30, in_flight=5000)
        return rig.replicas()

    assert run_story(story, prepare()) == 1


def test_a_new_revision_has_its_autoscaler_object_at_once():
    async def story(rig):
        await asyncio.sleep(3)  # in the middle of a round
        prepare()(rig.api)
        await asyncio.sleep(0.1)
        return rig.api.get(HORIZONTAL_POD_AUTOSCALER, "app")["spec"]["minReplicas"]

    assert run_story(story) == 1
