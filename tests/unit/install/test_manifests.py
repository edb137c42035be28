"""What is installed: enough to run, and no more rights than that."""

from __future__ import annotations

import pytest

from hearth.api.meta import labels_of, name_of, namespace_of, spec_of
from hearth.install import Options, make_manifests
from hearth.install.applying import kind_of

OPTIONS = Options(tag="1", images="reg.test/h", gateways=3, domain="example.com")
ALL = make_manifests(OPTIONS)


def of(kind):
    return {name_of(wire): wire for wire in ALL if wire["kind"] == kind}


def containers():
    for deployment in of("Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        for container in pod["containers"]:
            yield pod, container


def rules(name):
    found = [w for w in ALL if w["kind"] in ("ClusterRole", "Role") and name_of(w).startswith(name)]
    return [(wire["kind"], rule) for wire in found for rule in wire["rules"]]


def test_every_object_is_of_a_known_kind_and_marked_as_ours():
    for wire in ALL:
        assert kind_of(wire)
        assert labels_of(wire)["app.kubernetes.io/part-of"] == "hearth"


def test_no_object_is_there_twice():
    places = [(wire["kind"], namespace_of(wire), name_of(wire)) for wire in ALL]
    assert len(places) == len(set(places))


def test_what_refuses_writes_comes_last_and_what_others_need_first():
    kinds = [wire["kind"] for wire in ALL]
    assert kinds[0] == "Namespace"
    assert kinds[-1] == "ValidatingWebhookConfiguration"
    assert kinds.index("CustomResourceDefinition") < kinds.index("Deployment")


def test_every_process_is_nobody_on_a_read_only_root():
    for pod, container in containers():
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["enableServiceLinks"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["readinessProbe"]
        assert container["livenessProbe"]


def test_services_select_the_pods_and_their_ports():
    pods = {}
    for deployment in of("Deployment").values():
        template = deployment["spec"]["template"]
        assert deployment["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
        pods[name_of(deployment)] = template["metadata"]["labels"]
    for service in of("Service").values():
        assert service["spec"]["selector"] in pods.values()


def test_options_are_heard():
    images = {container["image"] for _, container in containers()}
    assert images == {"reg.test/h/hearth:1", "reg.test/h/hearth-gateway:1"}
    assert spec_of(of("Deployment")["hearth-gateway"])["replicas"] == 3
    environment = [
        {one["name"]: one.get("value") for one in container["env"]} for _, container in containers()
    ]
    assert environment[0]["HEARTH_DOMAIN"] == "example.com"
    assert {one["HEARTH_SUBSTRATE"] for one in environment} == {"kubernetes"}


@pytest.mark.parametrize("account", ["hearth-controller", "hearth-gateway"])
def test_nobody_may_do_everything_or_give_rights(account):
    for _, rule in rules(account):
        assert "*" not in (*rule["verbs"], *rule["resources"], *rule["apiGroups"])
        assert "rbac.authorization.k8s.io" not in rule["apiGroups"]
        assert not {"pods/exec", "serviceaccounts/token", "nodes/proxy"} & set(rule["resources"])


def test_a_gateway_writes_nothing_but_its_lease():
    writes = [
        (kind, rule["resources"])
        for kind, rule in rules("hearth-gateway")
        if not set(rule["verbs"]) <= {"get", "list", "watch"}
    ]
    assert writes == [("Role", ["leases"])]


def test_the_controller_changes_no_webhook_but_its_own():
    [rule] = [r for _, r in rules("hearth-controller") if "admission" in r["apiGroups"][0]]
    assert (rule["verbs"], rule["resourceNames"]) == (["get", "patch"], ["hearth.dev"])


def test_webhooks_ask_about_knatives_kinds_and_its_config_maps_alone():
    mutating = of("MutatingWebhookConfiguration")["hearth.dev"]["webhooks"]
    validating = of("ValidatingWebhookConfiguration")["hearth.dev"]["webhooks"]
    for hook in (*mutating, *validating):
        assert hook["failurePolicy"] == "Fail"
        for rule in hook["rules"]:
            assert "hearth.dev" not in rule["apiGroups"]
            assert all("/" not in resource for resource in rule["resources"])
            if rule["apiGroups"] == [""]:
                selector = hook["namespaceSelector"]["matchLabels"]
                assert selector == {"kubernetes.io/metadata.name": "knative-serving"}
