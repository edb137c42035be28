"""What kubectl shows of config maps, flags, warnings and Pod Security."""

import pytest

SYSTEM = ("-n", "knative-serving")
SERVICE = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: NAME, namespace: test}
spec:
  template:
    spec:
      SPEC
      containers: [{image: example.com/x, CONTAINER}]
"""
HARDENED = (
    "securityContext: {allowPrivilegeEscalation: false, runAsNonRoot: true, "
    "capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}"
)


def manifest(name, spec="", container=""):
    more = f", {container}" if container else ""
    return SERVICE.replace("NAME", name).replace("SPEC", spec).replace(", CONTAINER", more)


@pytest.fixture
def config(tools):
    """Changes a config map as users do; back to what it was after the test."""
    changed = {}

    def change(name, fails=False, **data):
        keys = {key.replace("__", ".").replace("_", "-"): value for key, value in data.items()}
        pairs = ", ".join(f'"{key}": "{value}"' for key, value in keys.items())
        patch = f'{{"data": {{{pairs}}}}}'
        done = tools.kubectl(
            "patch", "configmap", name, *SYSTEM, "--type", "merge", "-p", patch, fails=fails
        )
        if not fails:
            changed.setdefault(name, set()).update(keys)
        return done

    yield change
    for name, keys in changed.items():
        pairs = ", ".join(f'"{key}": null' for key in keys)
        tools.kubectl("patch", "configmap", name, *SYSTEM, "--type", "merge",
                      "-p", f'{{"data": {{{pairs}}}}}')  # fmt: skip


def test_the_config_maps_are_there_with_an_example(tools):
    names = tools.kubectl("get", "configmap", *SYSTEM, "-o", "name").out.split()
    kinds = ("autoscaler", "defaults", "deployment", "domain", "features", "gc", "network")
    assert {f"configmap/config-{kind}" for kind in kinds} <= set(names)
    shown = tools.kubectl("describe", "configmap", "config-defaults", *SYSTEM).out
    assert 'revision-timeout-seconds: "300"' in shown
    said = tools.kubectl(
        "patch", "configmap", "config-gc", *SYSTEM, "--type", "merge",
        "-p", '{"data": {"_example": "min-non-active-revisions: 1"}}', fails=True,
    ).err  # fmt: skip
    assert 'the update modifies a key in "_example"' in said


def test_what_is_not_understood_is_refused_and_what_has_no_effect_is_said(tools, config):
    said = config("config-defaults", fails=True, revision_timeout_seconds="601").err
    assert "revision-timeout-seconds (601) cannot be greater than" in said
    patch = '{"data": {"multi-containers": "x", "autodetect-http2": "enabled"}}'
    done = tools.kubectl("patch", "configmap", "config-features", *SYSTEM, "--type", "merge",
                         "-p", patch, "--dry-run=server", warns=True)  # fmt: skip
    assert "Warning: multi-containers is no key of config-features: it has no effect" in done.err
    assert "Warning: autodetect-http2 has no effect here: name the port h2c" in done.err


def test_a_flag_that_is_off_keeps_a_field_out(tools, namespace, config):
    chosen = manifest("chosen", "nodeSelector: {disk: fast}")
    tools.kubectl("apply", "-f", "-", stdin=chosen)
    config("config-features", kubernetes__podspec_nodeselector="disabled")
    said = tools.kubectl("apply", "-f", "-", stdin=chosen.replace("chosen", "other"), fails=True)
    assert "must not set the field(s): spec.template.spec.nodeSelector" in said.err


def test_defaults_are_filled_in_from_the_next_write_on(tools, namespace, config):
    config("config-defaults", revision_cpu_request="10m", container_concurrency="3")
    tools.kubectl("apply", "-f", "-", stdin=manifest("small"))
    path = (
        "{.spec.template.spec.containerConcurrency} {.spec.template.spec.containers[0].resources}"
    )
    shown = tools.kubectl("get", "ksvc", "small", "-n", "test", "-o", f"jsonpath={path}").out
    assert shown == '3 {"requests":{"cpu":"10m"}}'


def test_kubernetes_insecure_defaults_are_warned_of_unless_they_are_replaced(
    tools, namespace, config
):
    done = tools.kubectl("apply", "-f", "-", stdin=manifest("plain"))
    at = "spec.template.spec.containers[0].securityContext"
    said = "Kubernetes default value is insecure, Knative may default this to secure in a future"
    assert f"Warning: {said} release: {at}.allowPrivilegeEscalation, {at}.capab" in done.err
    done = tools.kubectl("apply", "-f", "-", stdin=manifest("hardened", "", HARDENED))
    assert "Warning" not in done.err
    config("config-features", secure_pod_defaults="Enabled")
    done = tools.kubectl("apply", "-f", "-", stdin=manifest("secure"))
    assert "Warning" not in done.err
    path = "jsonpath={.spec.template.spec.containers[0].securityContext.runAsNonRoot}"
    assert tools.kubectl("get", "ksvc", "secure", "-n", "test", "-o", path).out == "true"


def test_a_namespaces_level_is_told_as_kubernetes_tells_it(tools, namespace):
    label = ("label", "namespace", "test", "--overwrite")
    tools.kubectl(*label, "pod-security.kubernetes.io/warn=restricted")
    done = tools.kubectl("apply", "-f", "-", stdin=manifest("loose"), warns=True)
    assert 'Warning: would violate PodSecurity "restricted:latest": allowPrivilegeEsc' in done.err
    tools.kubectl(*label, "pod-security.kubernetes.io/enforce=baseline")
    host = manifest("host", "hostNetwork: true")
    said = tools.kubectl("apply", "-f", "-", stdin=host, fails=True).err
    assert 'is forbidden: violates PodSecurity "baseline:latest": host namespaces' in said
    run = ("run", "p", "-n", "test", "--image=x", "--restart=Never", "--privileged")
    said = tools.kubectl(*run, fails=True).err
    assert 'pods "p" is forbidden: violates PodSecurity "baseline:latest": privileged' in said
    tools.kubectl("label", "namespace", "test", "pod-security.kubernetes.io/enforce-")
    tools.kubectl(*run, warns=True)
    done = tools.kubectl(*label, "pod-security.kubernetes.io/enforce=baseline", warns=True)
    assert (
        'Warning: existing pods in namespace "test" violate the new PodSecurity enforce level '
        '"baseline:latest"\nWarning: p: privileged\n' in done.err
    )
    said = tools.kubectl(*label, "pod-security.kubernetes.io/enforce=strict", fails=True).err
    assert "must be one of privileged, baseline, restricted" in said
    tools.kubectl("label", "namespace", "test", "pod-security.kubernetes.io/enforce-",
                  "pod-security.kubernetes.io/warn-")  # fmt: skip


def test_a_dry_run_says_what_the_pod_would_meet(tools, namespace):
    tools.kubectl("create", "quota", "none", "-n", "test", "--hard=pods=0")
    apply = ("apply", "-f", "-")
    said = tools.kubectl(*apply, "--dry-run=server", stdin=manifest("dry"), fails=True).err
    assert "validation callback failed: dry run failed with pods" in said
    assert "exceeded quota: none" in said
    tools.kubectl(*apply, stdin=manifest("dry"))
    tools.kubectl("delete", "quota", "none", "-n", "test")
