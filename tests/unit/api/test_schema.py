from hearth.api.resources import RESOURCES, resource_for
from hearth.api.schema import check, openapi_schemas

SERVICE = resource_for("serving.knative.dev", "v1", "services")


def service(**container):
    spec = {"containers": [{"image": "x", **container}], "containerConcurrency": 5}
    return {"apiVersion": "serving.knative.dev/v1", "kind": "Service",
            "metadata": {"name": "a"}, "spec": {"template": {"spec": spec}}}  # fmt: skip


def test_a_good_object_has_no_faults():
    wire = service(
        env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        readinessProbe={"httpGet": {"port": "http", "path": "/"}},
        resources={"limits": {"cpu": 1, "memory": "64Mi"}},
    )
    assert check(wire, SERVICE.view) == ([], [])


def test_unknown_fields_are_named_by_their_path():
    wire = service(colour="red")
    wire["spec"]["template"]["spec"]["speed"] = 1
    assert check(wire, SERVICE.view)[1] == [
        "spec.template.spec.containers[0].colour",
        "spec.template.spec.speed",
    ]


def test_wrong_types_are_named_with_what_was_found_and_expected():
    wire = service(image=3, args="x", ports=[{"containerPort": "many"}])
    wire["metadata"]["labels"] = {"a": 1}
    wire["spec"]["template"]["spec"]["containerConcurrency"] = True
    faults = {fault.field: fault.message for fault in check(wire, SERVICE.view)[0]}
    at = "spec.template.spec.containers[0]"
    assert set(faults) == {"metadata.labels.a", "spec.template.spec.containerConcurrency",
                           f"{at}.image", f"{at}.args", f"{at}.ports[0].containerPort"}  # fmt: skip
    assert "3" in faults[f"{at}.image"]
    assert "string" in faults[f"{at}.image"]


def test_every_kind_can_be_described():
    schemas = openapi_schemas({r.kind.kind: r.view for r in RESOURCES})
    containers = schemas["Pod"]["properties"]["spec"]
    assert containers == {"allOf": [{"$ref": "#/components/schemas/hearth.PodSpec"}]}
    assert "containers" in schemas["hearth.PodSpec"]["properties"]
