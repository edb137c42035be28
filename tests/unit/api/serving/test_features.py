"""What flags of ``config-features`` let a manifest say, and with which words they refuse."""

import pytest

from hearth.api.config import ServingConfig, read_features
from hearth.api.serving.defaults import default_service
from hearth.api.serving.notices import template_notices
from hearth.api.serving.validation import validate_service


def config(**flags):
    named = {name.replace("__", ".").replace("_", "-"): value for name, value in flags.items()}
    return ServingConfig(features=read_features(named))


def faults(spec, given, container=None):
    containers = spec.pop("containers", [{"image": "x", **(container or {})}])
    template = {"spec": {"containers": containers, **spec}}
    wire = {"metadata": {"name": "hello"}, "spec": {"template": template}}
    wire = default_service(wire, None, given)
    found = validate_service(wire, None, given)
    return "; ".join(fault.message for fault in found).replace("spec.template.spec.", "")


def volume(kind, **source):
    mount = {"name": "v", "mountPath": "/v", "readOnly": True}
    return {
        "volumes": [{"name": "v", kind: source}],
        "containers": [{"image": "x", "volumeMounts": [mount]}],
    }


TWO = {
    "containers": [
        {"image": "x", "ports": [{"containerPort": 80}]},
        {"image": "y", "readinessProbe": {"httpGet": {"port": 81}}},
    ]
}
#: A flag, what it is about, and what Knative says when it is off.
FLAGS = [
    ("podspec-affinity", {"affinity": {"podAffinity": {"a": 1}}},
     "must not set the field(s): affinity"),
    ("podspec-topologyspreadconstraints", {"topologySpreadConstraints": [{"maxSkew": 1}]},
     "must not set the field(s): topologySpreadConstraints"),
    ("podspec-hostaliases", {"hostAliases": [{"ip": "1.1.1.1"}]},
     "must not set the field(s): hostAliases"),
    ("podspec-nodeselector", {"nodeSelector": {"a": "b"}},
     "must not set the field(s): nodeSelector"),
    ("podspec-tolerations", {"tolerations": [{"key": "a"}]},
     "must not set the field(s): tolerations"),
    ("podspec-runtimeclassname", {"runtimeClassName": "kata"},
     "must not set the field(s): runtimeClassName"),
    ("podspec-securitycontext", {"securityContext": {"runAsUser": 1}},
     "must not set the field(s): securityContext; "
     "must not set the field(s): securityContext.runAsUser"),
    ("podspec-priorityclassname", {"priorityClassName": "high"},
     "must not set the field(s): priorityClassName"),
    ("podspec-schedulername", {"schedulerName": "mine"},
     "must not set the field(s): schedulerName"),
    ("podspec-dnspolicy", {"dnsPolicy": "Default"}, "must not set the field(s): dnsPolicy"),
    ("podspec-dnsconfig", {"dnsConfig": {"nameservers": ["1.1.1.1"]}},
     "must not set the field(s): dnsConfig"),
    ("podspec-shareprocessnamespace", {"shareProcessNamespace": True},
     "must not set the field(s): shareProcessNamespace"),
    ("podspec-hostipc", {"hostIPC": True}, "must not set the field(s): hostIPC"),
    ("podspec-hostpid", {"hostPID": True}, "must not set the field(s): hostPID"),
    ("podspec-hostnetwork", {"hostNetwork": True}, "must not set the field(s): hostNetwork"),
    ("podspec-fieldref",
     {"containers": [{"image": "x", "env": [
         {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}]},
     "must not set the field(s): containers[0].env[0].valueFrom.fieldRef"),
    ("podspec-init-containers", {"initContainers": [{"image": "i"}]},
     "pod spec support for init-containers is off, but found 1 init containers: initContainers; "
     "must not set the field(s): initContainers"),
    ("podspec-volumes-emptydir", volume("emptyDir"),
     "EmptyDir volume support is disabled, but found EmptyDir volume v: volumes[0]; "
     "must not set the field(s): volumes[0].emptyDir"),
    ("podspec-volumes-hostpath", volume("hostPath", path="/x"),
     "HostPath volume support is disabled, but found HostPath volume v: volumes[0]; "
     "must not set the field(s): volumes[0].hostPath"),
    ("podspec-volumes-csi", volume("csi", driver="d"),
     "CSI volume support is disabled, but found CSI volume v: volumes[0]; "
     "must not set the field(s): volumes[0].csi"),
    ("podspec-volumes-image", volume("image", reference="r"),
     "Image volume support is disabled, but found Image volume v: volumes[0]; "
     "must not set the field(s): volumes[0].image"),
    ("podspec-persistent-volume-claim", volume("persistentVolumeClaim", claimName="c"),
     "Persistent volume claim support is disabled, but found persistent volume claim c: "
     "volumes[0]; must not set the field(s): volumes[0].persistentVolumeClaim"),
    ("podspec-persistent-volume-write", volume("persistentVolumeClaim", claimName="c"),
     "Persistent volume write support is disabled, but found persistent volume claim c that is "
     "not read-only: volumes[0]"),
    ("containerspec-addcapabilities",
     {"containers": [{"image": "x", "securityContext": {"capabilities": {"add": ["NET_RAW"]}}}]},
     "must not set the field(s): containers[0].securityContext.capabilities.add"),
    ("multi-container", TWO, "multi-container is off, but found 2 containers: containers"),
    ("multi-container-probing", TWO,
     "must not set the field(s): containers[1].readinessProbe.httpGet, "
     "containers[1].readinessProbe.successThreshold"),
]  # fmt: skip


def written(flag, value):
    prefix = "" if flag.startswith("multi-") else "kubernetes."
    return ServingConfig(features=read_features({prefix + flag: value}))


def sorted_by_fault(text):
    return sorted(text.split("; "))


@pytest.mark.parametrize(("flag", "spec", "said"), FLAGS, ids=[flag for flag, _, _ in FLAGS])
def test_a_flag_decides_when_it_is_written_and_else_all_is_allowed(flag, spec, said):
    assert faults(dict(spec), ServingConfig()) == ""
    assert faults(dict(spec), written(flag, "Enabled")) == ""
    assert sorted_by_fault(faults(dict(spec), written(flag, "Disabled"))) == sorted_by_fault(said)


#: Flags for which ``Allowed`` is as good as ``Enabled`` in Knative.
ALLOWED_IS_ENOUGH = {
    flag for flag, _, said in FLAGS
    if said.startswith("must not set") and flag.startswith("podspec-")
}  # fmt: skip


@pytest.mark.parametrize(("flag", "spec"), [(flag, spec) for flag, spec, _ in FLAGS])
def test_allowed_means_what_it_means_in_knative(flag, spec):
    found = faults(dict(spec), written(flag, "Allowed"))
    assert (found == "") == (flag in ALLOWED_IS_ENOUGH), found


def test_mount_propagation_has_a_flag_and_two_values():
    def mounted(how):
        mount = {"name": "v", "mountPath": "/v", "mountPropagation": how}
        container = {"image": "x", "volumeMounts": [mount]}
        return {"volumes": [{"name": "v", "emptyDir": {}}], "containers": [container]}

    assert faults(mounted("HostToContainer"), ServingConfig()) == ""
    assert "should be set to None or HostToContainer" in faults(
        mounted("Bidirectional"), ServingConfig()
    )
    off = written("podspec-volumes-mount-propagation", "disabled")
    said = "Volume Mount Propagation support is disabled, but found volume mount v"
    assert said in faults(mounted("None"), off)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"restartPolicy": "Never"}, id="restartPolicy"),
        pytest.param({"terminationGracePeriodSeconds": 3}, id="grace"),
        pytest.param({"automountServiceAccountToken": True}, id="token"),
        pytest.param({"hostUsers": False}, id="hostUsers"),
        pytest.param({"securityContext": {"seLinuxOptions": {"type": "t"}}}, id="selinux"),
        pytest.param({"containers": [{"image": "x", "restartPolicy": "Always"}]}, id="sidecar"),
        pytest.param({"containers": [{"image": "x", "securityContext": {"privileged": True}}]},
                     id="privileged"),
    ],
)  # fmt: skip
def test_no_flag_lets_these_be_set(spec):
    assert "must not set the field(s)" in faults(spec, ServingConfig())


def test_what_is_set_to_nothing_is_not_set():
    spec = {"hostNetwork": False, "nodeName": "", "restartPolicy": None,
            "automountServiceAccountToken": False}  # fmt: skip
    assert faults(spec, written("podspec-hostnetwork", "disabled")) == ""


# Secure defaults


def secured(value, container=None, **spec):
    given = ServingConfig(features=read_features({"secure-pod-defaults": value}))
    template = {"spec": {"containers": [{"image": "x", **(container or {})}], **spec}}
    wire = default_service({"spec": {"template": template}}, None, given)
    return wire["spec"]["template"]["spec"]["containers"][0].get("securityContext")


RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "seccompProfile": {"type": "RuntimeDefault"},
    "capabilities": {"drop": ["ALL"]},
}


def test_containers_get_secure_defaults_when_it_is_switched_on():
    assert secured("disabled") is None
    assert secured("AllowRootBounded") == RESTRICTED
    assert secured("Enabled") == {**RESTRICTED, "runAsNonRoot": True}


def test_secure_defaults_leave_what_is_said():
    own = {"runAsNonRoot": False, "capabilities": {}, "allowPrivilegeEscalation": True,
           "seccompProfile": {"type": "Unconfined"}}  # fmt: skip
    assert secured("Enabled", {"securityContext": own}) == own
    of_pod = {"runAsNonRoot": False, "seccompProfile": {"type": "Unconfined"}}
    assert secured("Enabled", securityContext=of_pod) == {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip


def test_a_low_port_takes_a_capability():
    low = secured("Enabled", {"ports": [{"containerPort": 80}]})
    assert low["capabilities"] == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    high = secured("Enabled", {"ports": [{"containerPort": 8080}]})
    assert high["capabilities"] == {"drop": ["ALL"]}


def test_secure_defaults_are_let_through_what_forbids_the_rest():
    off = {"kubernetes.podspec-securitycontext": "disabled", "secure-pod-defaults": "enabled",
           "kubernetes.containerspec-addcapabilities": "disabled"}  # fmt: skip
    given = ServingConfig(features=read_features(off))
    opted_out = {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}
    assert faults(opted_out, given, {"ports": [{"containerPort": 80}]}) == ""
    local = {"securityContext": {"seccompProfile": {"type": "Localhost"}}}
    assert "securityContext.seccompProfile" in faults(local, given)


# Warnings


def test_insecure_defaults_of_kubernetes_are_named():
    wire = {"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}}
    at = "spec.template.spec.containers[0].securityContext"
    names = ("allowPrivilegeEscalation", "capabilities", "runAsNonRoot", "seccompProfile")
    paths = ", ".join(f"{at}.{name}" for name in names)
    said = "Kubernetes default value is insecure, Knative may default this to secure in a future"
    assert template_notices(wire) == [f"{said} release: {paths}"]
    secure = ServingConfig(features=read_features({"secure-pod-defaults": "AllowRootBounded"}))
    assert template_notices(wire, secure) == []


def test_what_is_said_for_the_pod_holds_for_its_containers():
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["all"]}}
    of_pod = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"containers": [{"image": "x", "securityContext": context}], "securityContext": of_pod}
    [said] = template_notices({"spec": {"template": {"spec": spec}}})
    assert said == (
        "invalid value: all: spec.template.spec.containers[0].securityContext.capabilities.drop: "
        "must be spelled as 'ALL'"
    )


def test_apps_of_code_are_not_warned_about_what_kubernetes_does_with_containers():
    spec = {"containers": [{"image": "hearth.dev/runtimes/python"}]}
    assert template_notices({"spec": {"template": {"spec": spec}}}) == []


def test_an_annotation_that_knative_gave_up_is_named():
    name = "queue.sidecar.serving.knative.dev/resource-percentage"
    template = {"metadata": {"annotations": {name: "10"}}, "spec": {}}
    [said] = template_notices({"spec": {"template": template}})
    assert said.startswith("Queue proxy resource percentage annotation is deprecated.")
    assert said.endswith(f": spec.template.metadata.annotations[{name}]")
