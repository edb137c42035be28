"""What each level says of a pod; the words are Kubernetes' own (checked against its evaluator)."""

import pytest

from hearth.api.podsecurity import Level, existing_violations, violations

HARDENED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(*contexts, context=None, **spec):
    """A pod of one container for each security context; ``None`` has none."""
    containers = [
        {"name": f"c{number}", **({"securityContext": each} if each is not None else {})}
        for number, each in enumerate(contexts or (None,))
    ]
    of_pod = {} if context is None else {"securityContext": context}
    return {"containers": containers, **of_pod, **spec}


def hardened(**context):
    return pod({**HARDENED, **context})


def said(level, spec, annotations=None):
    return violations(level, spec, annotations or {})


BASELINE = [
    (pod({"privileged": True}),
     'privileged (container "c0" must not set securityContext.privileged=true)'),
    (pod(hostNetwork=True, hostIPC=True), "host namespaces (hostNetwork=true, hostIPC=true)"),
    (pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), 'hostPath volumes (volume "v")'),
    (pod({"capabilities": {"add": ["NET_RAW", "CHOWN"]}}),
     'non-default capabilities (container "c0" must not include "NET_RAW" in '
     "securityContext.capabilities.add)"),
    (pod({"seccompProfile": {"type": "Unconfined"}}),
     'seccompProfile (container "c0" must not set securityContext.seccompProfile.type to '
     '"Unconfined")'),
    (pod({"procMount": "Unmasked"}),
     'procMount (container "c0" must not set securityContext.procMount to "Unmasked")'),
    (pod({"seLinuxOptions": {"type": "x", "user": "u"}}, context={"seLinuxOptions": {"role": "r"}}),
     'seLinuxOptions (pod and container "c0" set forbidden securityContext.seLinuxOptions: '
     'type "x"; user may not be set; role may not be set)'),
    (pod(context={"sysctls": [{"name": "a"}, {"name": "net.ipv4.tcp_syncookies"}]}),
     "forbidden sysctls (a)"),
    (pod(context={"windowsOptions": {"hostProcess": True}}),
     "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)"),
    (pod({"appArmorProfile": {"type": "Unconfined"}}),
     'forbidden AppArmor profile (container "c0" must not set AppArmor profile type to '
     '"Unconfined")'),
    ({"containers": [{"name": "a", "ports": [{"hostPort": 80}, {"hostPort": 81}]}]},
     'hostPort (container "a" uses hostPorts 80, 81)'),
    ({"containers": [{"name": "a", "livenessProbe": {"httpGet": {"host": "h"}}}]},
     'probe or lifecycle host (container "a" uses probe or lifecycle host "h")'),
    ({"containers": [], "initContainers": [{"name": "i", "securityContext": {"privileged": True}}]},
     'privileged (container "i" must not set securityContext.privileged=true)'),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "words"), BASELINE)
def test_baseline_names_ways_out_of_the_pod(spec, words):
    assert said(Level("baseline"), spec) == words
    assert said(Level("privileged"), spec) == ""
    assert said(Level("restricted"), spec) != ""


def test_an_annotation_may_not_unconfine_a_container_either():
    annotations = {"container.apparmor.security.beta.kubernetes.io/c0": "unconfined"}
    assert said(Level("baseline"), pod(), annotations).startswith("forbidden AppArmor profile (")


def test_baseline_lets_an_ordinary_pod_pass_and_restricted_wants_it_hardened():
    assert said(Level("baseline"), pod()) == ""
    assert said(Level("restricted"), pod(None, None)) == (
        'allowPrivilegeEscalation != false (containers "c0", "c1" must set '
        "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (containers "
        '"c0", "c1" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod '
        'or containers "c0", "c1" must set securityContext.runAsNonRoot=true), seccompProfile (pod '
        'or containers "c0", "c1" must set securityContext.seccompProfile.type to '
        '"RuntimeDefault" or "Localhost")'
    )
    assert said(Level("restricted"), hardened()) == ""


RESTRICTED = [
    (hardened(runAsNonRoot=False),
     'runAsNonRoot != true (container "c0" must not set securityContext.runAsNonRoot=false)'),
    (hardened(runAsUser=0), 'runAsUser=0 (container "c0" must not set runAsUser=0)'),
    (hardened(capabilities={"drop": ["ALL"], "add": ["CHOWN"]}),
     'unrestricted capabilities (container "c0" must not include "CHOWN" in '
     "securityContext.capabilities.add)"),
    (hardened(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}), ""),
    ({**hardened(), "volumes": [{"name": "v", "nfs": {}}]},
     'restricted volume types (volume "v" uses restricted volume type "nfs")'),
    ({**hardened(), "volumes": [{"name": "v", "emptyDir": {}}]}, ""),
    (pod({"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
         context={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}), ""),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "words"), RESTRICTED)
def test_restricted_looks_closer(spec, words):
    assert said(Level("restricted"), spec) == words


def test_existing_pods_are_told_together_by_what_is_wrong_with_them():
    def named(name, **spec):
        return {"metadata": {"name": name}, "spec": pod(**spec)}

    pods = [named("c", hostPID=True), named("a", hostPID=True), named("b", hostPID=True),
            named("d"), {"metadata": {"name": "e"}, "spec": pod({"privileged": True})}]  # fmt: skip
    assert existing_violations(Level("baseline"), pods) == [
        "a (and 2 other pods): host namespaces", "e: privileged",
    ]  # fmt: skip
    [said] = existing_violations(Level("baseline"), pods[:2])
    assert said == "a (and 1 other pod): host namespaces"


def test_rules_are_those_of_the_version():
    asks = {"containers": [{"name": "a", "livenessProbe": {"httpGet": {"host": "h"}}}]}
    assert said(Level("baseline", "v1.33"), asks) == ""
    tuned = pod(context={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]})
    assert said(Level("baseline", "v1.31"), tuned) != ""
    assert said(Level("baseline", "v1.32"), tuned) == ""
    own_users = {**hardened(runAsUser=0), "hostUsers": False}
    assert said(Level("restricted", "v1.34"), own_users) != ""
    assert said(Level("restricted"), own_users) == ""
