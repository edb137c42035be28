"""The serving kinds as kubectl and kn meet them, without controllers: the test writes statuses."""

from __future__ import annotations

import json

import pytest

CODE = "data:text/x-python,def%20handle(request):%20return%20%22one%22"
IMAGE = "hearth.dev/runtimes/python"

#: Knative's additionalPrinterColumns (config/core/300-resources).
COLUMNS = {
    "ksvc": "NAME URL LATESTCREATED LATESTREADY READY REASON",
    "cfg": "NAME LATESTCREATED LATESTREADY READY REASON",
    "rev": "NAME CONFIG NAME GENERATION READY REASON ACTUAL REPLICAS DESIRED REPLICAS",
    "rt": "NAME URL READY REASON",
    "dm": "NAME URL READY REASON",
}


def app(value="1", kind="Service"):
    container = {"image": IMAGE, "env": [{"name": "A", "value": value}]}
    template = {"metadata": {"annotations": {"hearth.dev/code": CODE}}}
    template["spec"] = {"containers": [container]}
    wire = {"apiVersion": "serving.knative.dev/v1", "kind": kind, "spec": {"template": template}}
    return json.dumps({**wire, "metadata": {"name": "hello", "namespace": "test"}})


def revision(name, generation):
    meta = {
        "name": name, "namespace": "test", "annotations": {"hearth.dev/code": CODE},
        "labels": {
            "serving.knative.dev/configuration": "hello",
            "serving.knative.dev/service": "hello",
            "serving.knative.dev/configurationGeneration": str(generation),
        },
    }  # fmt: skip
    spec = {"containers": [{"image": IMAGE}]}
    kind = {"apiVersion": "serving.knative.dev/v1", "kind": "Revision"}
    return json.dumps({**kind, "metadata": meta, "spec": spec})


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_are_knatives(tools, namespace, kind):
    tools.kubectl("create", "-f", "-", stdin=app())
    tools.kubectl("create", "-f", "-", stdin=app(kind="Configuration"))
    tools.kubectl("create", "-f", "-", stdin=revision("hello-00001", 1))
    others = (
        {"apiVersion": "serving.knative.dev/v1", "kind": "Route", "metadata": {"name": "hello"},
         "spec": {"traffic": [{"configurationName": "hello", "percent": 100}]}},
        {"apiVersion": "serving.knative.dev/v1beta1", "kind": "DomainMapping",
         "metadata": {"name": "shop.example.com"},
         "spec": {"ref": {"name": "hello", "kind": "Service",
                          "apiVersion": "serving.knative.dev/v1"}}},
    )  # fmt: skip
    for other in others:
        tools.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(other))
    [header, row] = tools.kubectl("get", "-n", namespace, kind).out.splitlines()
    assert " ".join(header.split()) == COLUMNS[kind]
    assert row
    everything = tools.kubectl("get", "-n", namespace, "ksvc,rt,cfg,rev", "-o", "name").out
    assert len(everything.split()) == 4


@pytest.mark.parametrize(
    "path",
    ["ksvc.spec.template.spec.containers", "ksvc.spec.traffic", "rev.spec", "rt.spec.traffic.tag",
     "cfg.spec.template", "ksvc.status.conditions", "rev.status.containerStatuses"],
)  # fmt: skip
def test_explain_knows_the_fields(tools, path):
    said = tools.kubectl("explain", path).out
    assert "FIELD" in said


def test_diff_shows_what_would_change_and_nothing_else(tools, namespace):
    tools.kubectl("apply", "-f", "-", stdin=app())
    assert tools.kubectl("diff", "-f", "-", stdin=app()).out == ""
    said = tools.kubectl("diff", "-f", "-", stdin=app("2"), fails=True)
    assert said.code == 1
    changed = [one[1:].strip() for one in said.out.splitlines() if one[:2] in ("- ", "+ ")]
    assert [one for one in changed if "value" in one] == ['value: "1"', 'value: "2"']


def test_wait_follows_conditions(tools, namespace):
    tools.kubectl("create", "-f", "-", stdin=app())
    late = ("wait", "-n", namespace, "ksvc/hello", "--for=condition=Ready", "--timeout=1s")
    assert "timed out" in tools.kubectl(*late, fails=True).err
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    tools.kubectl(
        "patch", "-n", namespace, "ksvc", "hello", "--subresource=status", "--type=merge",
        "-p", json.dumps(ready),
    )  # fmt: skip
    assert "condition met" in tools.kubectl(*late).out


def test_server_side_apply_and_apply_share_a_service(tools, namespace):
    tools.kubectl("apply", "--server-side", "-f", "-", stdin=app())
    tools.kubectl("apply", "--server-side", "-f", "-", stdin=app("2"))
    get = ("get", "-n", namespace, "ksvc", "hello", "-o", "json", "--show-managed-fields")
    wire = json.loads(tools.kubectl(*get).out)
    assert wire["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] == "2"
    assert "kubectl" in [one["manager"] for one in wire["metadata"]["managedFields"]]


@pytest.mark.parametrize(
    ("command", "api"),
    [
        (("source", "ping", "list"), "Sources"),
        (("source", "list"), ""),
        (("broker", "list"), "Eventing"),
        (("broker", "create", "b"), "Eventing"),
        (("trigger", "list"), "Eventing"),
        (("eventtype", "list"), "Eventing"),
        (("channel", "list"), "Messaging"),
        (("subscription", "list"), "Messaging"),
    ],
)
def test_kn_says_that_eventing_is_not_there(tools, command, api):
    said = tools.kn(*command, fails=True).err
    assert f"no or newer Knative {api} API found on the backend" in said


def test_an_object_that_is_not_there_is_told_from_an_api_that_is_not(tools):
    assert (
        'services.serving.knative.dev "none" not found'
        in tools.kn("service", "describe", "none", fails=True).err
    )
    said = tools.kubectl("get", "--raw", "/apis/sources.knative.dev/v1", fails=True).err
    assert "could not find the requested resource" in said
