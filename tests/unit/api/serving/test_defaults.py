"""What ``config-defaults`` fills in, and the bounds that it sets."""

import pytest

from hearth.api.config import ServingConfig, read_defaults
from hearth.api.serving.defaults import default_configuration, default_revision, default_service
from hearth.api.serving.validation import validate_revision, validate_service


def config(**data):
    named = {name.replace("_", "-"): value for name, value in data.items()}
    return ServingConfig(defaults=read_defaults(named))


def service(*containers, name="hello", of_template=None, **spec):
    spec = {"containers": [{"image": "x", **c} for c in containers or ({},)], **spec}
    template = {"metadata": of_template or {}, "spec": spec}
    return {"metadata": {"name": name}, "spec": {"template": template}}


def filled(wire, given):
    return default_service(wire, None, given)["spec"]["template"]["spec"]


def test_limits_are_filled_in_when_they_are_not_said():
    given = config(
        revision_timeout_seconds="100", revision_idle_timeout_seconds="20",
        revision_response_start_timeout_seconds="50", container_concurrency="7",
        enable_service_links="true",
    )  # fmt: skip
    found = filled(service(), given)
    assert (found["timeoutSeconds"], found["idleTimeoutSeconds"]) == (100, 20)
    assert found["responseStartTimeoutSeconds"] == 50
    assert (found["containerConcurrency"], found["enableServiceLinks"]) == (7, True)
    said = {"timeoutSeconds": 90, "idleTimeoutSeconds": 0, "responseStartTimeoutSeconds": 1,
            "containerConcurrency": 0, "enableServiceLinks": False}  # fmt: skip
    assert said.items() <= filled(service(**said), given).items()


def test_a_default_that_would_not_be_shorter_than_the_request_is_left_out():
    given = config(revision_timeout_seconds="100", revision_idle_timeout_seconds="20")
    found = filled(service(timeoutSeconds=20), given)
    assert "idleTimeoutSeconds" not in found
    assert "responseStartTimeoutSeconds" not in found
    assert "enableServiceLinks" not in filled(service(), config(enable_service_links="default"))


def test_containers_get_resources_beside_their_own():
    given = config(revision_cpu_request="100m", revision_cpu_limit="1", revision_memory_limit="1Gi")
    own = {"requests": {"cpu": "50m", "memory": "1Mi"}}
    first, second = filled(
        service({"resources": own, "ports": [{"containerPort": 80}]}, {}), given
    )["containers"]
    assert first["resources"] == {
        "requests": {"cpu": "50m", "memory": "1Mi"}, "limits": {"cpu": "1", "memory": "1Gi"},
    }  # fmt: skip
    assert second["resources"]["requests"] == {"cpu": "100m"}
    assert filled(service(), config())["containers"][0]["resources"] == {}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        pytest.param(["", "", ""], ["hello-app-0", "hello-app-1", "hello-app-2"], id="several"),
        pytest.param([""], ["hello-app"], id="one"),
        pytest.param(["hello-app-0", "", ""], ["hello-app-0", "hello-app-1", "hello-app-2"],
                     id="taken"),
        pytest.param(["", "mine"], ["hello-app-0", "mine"], id="named"),
    ],
)  # fmt: skip
def test_containers_are_named_by_the_template(given, names):
    rules = config(container_name_template="{{.Name}}-app")
    containers = [{"name": name} if name else {} for name in given]
    found = filled(service(*containers), rules)["containers"]
    assert [one["name"] for one in found] == names


def test_a_lone_container_gives_way_to_an_init_container_of_that_name():
    inits = [{"image": "i", "name": "user-container"}]
    found = filled(service(initContainers=inits), config())
    assert found["containers"][0]["name"] == "user-container-0"
    assert (
        filled(service(initContainers=[{"image": "i"}]), config())["initContainers"][0]["name"]
        == "init-container"
    )


def test_a_template_that_keeps_its_revisions_name_is_left_alone():
    byo = service(of_template={"name": "hello-one"})
    given = config(revision_cpu_limit="1")
    before = default_service(byo, None, config())
    again = default_service(before, before, given)
    assert again == before
    assert validate_service(again, before, given) == []
    other = default_service(service(of_template={"name": "hello-two"}), before, given)
    assert other["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]


def test_a_revision_that_is_there_gets_no_new_defaults():
    revision = {"metadata": {"name": "hello-1"}, "spec": {"containers": [{"image": "x"}]}}
    before = default_revision(revision)
    given = config(revision_cpu_limit="1", max_revision_timeout_seconds="300")
    assert default_revision(before, before, given) == before
    assert validate_revision(before, before, given) == []


@pytest.mark.parametrize(
    ("spec", "given", "said"),
    [
        ({"timeoutSeconds": 601}, {}, "expected 0 <= 601 <= 600: spec.template."),
        ({"timeoutSeconds": 601}, {"max_revision_timeout_seconds": "700"}, ""),
        ({"timeoutSeconds": -1}, {}, "expected 0 <= -1 <= 600"),
        ({"containerConcurrency": 1001}, {}, "expected 0 <= 1001 <= 1000"),
        ({"containerConcurrency": 1001}, {"container_concurrency_max_limit": "2000"}, ""),
        ({"containerConcurrency": 0}, {"allow_container_concurrency_zero": "false"},
         "expected 1 <= 0 <= 1000: spec.template.spec.containerConcurrency"),
    ],
)  # fmt: skip
def test_bounds_are_the_clusters(spec, given, said):
    rules = config(**given)
    found = validate_service(default_service(service(**spec), None, rules), None, rules)
    assert said in "; ".join(fault.message for fault in found)
    assert bool(found) == bool(said)


def test_what_kubernetes_would_say_of_the_pod_is_said_early():
    resources = {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}
    wire = default_service(service({"name": "&Bad"}), None)
    [fault] = validate_service(wire, None)
    assert fault.field == "spec.template.spec.containers[0].name"
    assert fault.message.startswith(
        "validation callback failed: dry run failed with spec.containers[0].name: Invalid value: "
        '"&Bad": a lowercase RFC 1123 label must'
    )
    [fault] = validate_service(default_service(service({"resources": resources}), None), None)
    assert 'Invalid value: "2": must be less than or equal to cpu limit of 1' in fault.message


def test_configurations_are_filled_in_alike():
    wire = {"metadata": {"name": "c"}, "spec": service()["spec"]}
    given = config(revision_timeout_seconds="5")
    found = default_configuration(wire, None, given)["spec"]["template"]["spec"]
    assert found["timeoutSeconds"] == 5
