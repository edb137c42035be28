import pytest

from hearth.node.core.acceptance import codeless, is_warm, refusal, without_effect

GOOD = {"containers": [{"image": "hearth.dev/runtimes/python"}]}


def test_a_pod_of_a_known_runtime_is_accepted():
    assert refusal(GOOD) == ("", "")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param({"containers": [{"image": "nginx:1"}]}, "nginx:1: a process runs only",
                     id="image"),
        pytest.param({"containers": [{"image": "hearth.dev/runtimes/cobol"}]}, "no such runtime",
                     id="runtime"),
        pytest.param({"containers": GOOD["containers"] * 2}, "2 containers", id="containers"),
        pytest.param({**GOOD, "runtimeClassName": "kata"}, "runtimeClassName", id="class"),
        pytest.param({"containers": [{**GOOD["containers"][0], "lifecycle": {"preStop": {}}}]},
                     "lifecycle", id="hooks"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_named(spec, said):
    reason, message = refusal(spec)
    assert reason
    assert said in message


@pytest.mark.parametrize(
    ("meta", "warm", "said"),
    [
        pytest.param({"labels": {"hearth.dev/podpool": "python"}}, True, "", id="warm"),
        pytest.param({"annotations": {"hearth.dev/code": "data:,"}}, False, "", id="code"),
        pytest.param({}, False, "hearth.dev/code is missing", id="neither"),
    ],
)
def test_a_pod_is_warm_or_says_what_it_runs(meta, warm, said):
    assert is_warm({"metadata": meta}) == warm
    reason, message = codeless({"metadata": meta})
    assert (bool(reason), said in message) == (bool(said), True)


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        pytest.param(GOOD, [], id="plain"),
        pytest.param({**GOOD, "securityContext": {"runAsUser": 1, "fsGroup": 2}}, [], id="user"),
        pytest.param({**GOOD, "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
                     [], id="default-profile"),
        pytest.param({**GOOD, "hostAliases": [{}]}, ["hostAliases"], id="hosts"),
        pytest.param({**GOOD, "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}]},
                     ["a limit of ephemeral-storage or of an emptyDir on disk"], id="disk"),
        pytest.param(
            {"containers": [{"securityContext": {
                "readOnlyRootFilesystem": True, "capabilities": {"add": ["X"]},
                "seccompProfile": {"type": "Localhost"},
            }}]},
            ["securityContext.readOnlyRootFilesystem", "securityContext.capabilities.add",
             "securityContext.seccompProfile"], id="rights",
        ),
    ],
)  # fmt: skip
def test_what_a_process_does_not_get_is_said(spec, found):
    assert without_effect(spec, networks=False) == found
    assert without_effect(spec, networks=True) == [name for name in found if name != "hostAliases"]
