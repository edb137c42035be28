import pytest

from hearth.api.podsecurity import Level, Policy, label_faults, policy_of

P = "pod-security.kubernetes.io/"


@pytest.mark.parametrize(
    ("labels", "enforce", "audit", "warn"),
    [
        pytest.param({}, "privileged:latest", "privileged:latest", "privileged:latest", id="none"),
        pytest.param({P + "enforce": "baseline"}, "baseline:latest", "privileged:latest",
                     "baseline:latest", id="who-enforces-warns"),
        pytest.param({P + "enforce": "restricted", P + "enforce-version": "v1.30"},
                     "restricted:v1.30", "privileged:latest", "restricted:v1.30", id="version"),
        pytest.param({P + "enforce": "baseline", P + "warn": "restricted", P + "audit": "baseline"},
                     "baseline:latest", "baseline:latest", "restricted:latest", id="each"),
        pytest.param({P + "enforce": "baseline", P + "warn": "privileged"}, "baseline:latest",
                     "privileged:latest", "privileged:latest", id="no-warning"),
        pytest.param({P + "enforce": "strict", P + "warn": "strict", P + "audit": "strict"},
                     "restricted:latest", "privileged:latest", "privileged:latest", id="unknown"),
        pytest.param({P + "enforce": "baseline", P + "enforce-version": "1.30"}, "baseline:latest",
                     "privileged:latest", "baseline:latest", id="unknown-version"),
    ],
)  # fmt: skip
def test_labels_make_a_policy(labels, enforce, audit, warn):
    policy = policy_of(labels)
    assert (str(policy.enforce), str(policy.audit), str(policy.warn)) == (enforce, audit, warn)


def test_a_namespace_without_labels_is_privileged():
    assert policy_of({"team": "a"}).is_privileged
    assert not policy_of({P + "warn": "baseline"}).is_privileged
    assert Policy().is_privileged


def test_rules_newer_than_ours_are_ours():
    assert Level("baseline", "v1.99").minor == Level("baseline").minor == 35
    assert Level("baseline", "v1.30").minor == 30
    assert Level("baseline", "v1.0").minor == 25


@pytest.mark.parametrize(
    ("now", "before", "stricter"),
    [
        (Level("baseline"), Level(), True), (Level("restricted"), Level("baseline"), True),
        (Level("baseline"), Level("restricted"), False), (Level(), Level("baseline"), False),
        (Level("baseline", "v1.30"), Level("baseline"), True),
        (Level("baseline", "v1.99"), Level("baseline"), False),
        (Level("privileged", "v1.30"), Level(), False),
    ],
)  # fmt: skip
def test_a_level_is_stricter_than_another(now, before, stricter):
    assert now.is_stricter_than(before) is stricter


def test_labels_that_are_not_known_are_named():
    labels = {P + "enforce": "strict", P + "warn-version": "1.3", P + "audit": "baseline"}
    assert [(fault.field, fault.message) for fault in label_faults(labels)] == [
        (f"metadata.labels[{P}enforce]",
         'Invalid value: "strict": must be one of privileged, baseline, restricted'),
        (f"metadata.labels[{P}warn-version]",
         'Invalid value: "1.3": must be "latest" or "v1.x"'),
    ]  # fmt: skip
    assert label_faults({P + "enforce": "restricted", P + "enforce-version": "latest"}) == []
