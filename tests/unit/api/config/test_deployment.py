import pytest

from hearth.api.config import DeploymentConfig, read_deployment

CLASSES = """
"":
  selector: {plain: "yes"}
kata: {}
gvisor:
  selector: {careful: "very"}
runsc:
  selector: {careful: "very"}
"""


def test_without_data_knatives_defaults_hold():
    assert read_deployment({}) == DeploymentConfig()
    assert read_deployment({"_example": "nonsense"}).progress_deadline_s == 600
    assert DeploymentConfig().unresolved_registries == {"kind.local", "ko.local", "dev.local"}


def test_every_key_is_read_under_its_older_name_too():
    new = read_deployment(
        {"progress-deadline": "2m", "digest-resolution-timeout": "60s",
         "registries-skipping-tag-resolving": "a.example, b.example",
         "pod-is-always-schedulable": "true", "default-affinity-type": "none",
         "queue-sidecar-image": "x", "queue-sidecar-cpu-request": "100m"}
    )  # fmt: skip
    assert new == DeploymentConfig(
        progress_deadline_s=120, digest_timeout_s=60, always_schedulable=True, spreads=False,
        unresolved_registries=frozenset({"a.example", "b.example"}),
    )  # fmt: skip
    old = {"progressDeadline": "2m", "registriesSkippingTagResolving": "a.example"}
    assert read_deployment(old).progress_deadline_s == 120
    assert read_deployment(old).unresolved_registries == {"a.example"}
    assert read_deployment({**old, "progress-deadline": "3m"}).progress_deadline_s == 180


@pytest.mark.parametrize(
    ("labels", "name"),
    [({}, "kata"), ({"careful": "very"}, "gvisor"), ({"careful": "a bit"}, "kata"),
     ({"plain": "yes"}, None)],
)  # fmt: skip
def test_the_most_specific_runtime_class_is_chosen(labels, name):
    config = read_deployment({"runtime-class-name": CLASSES})
    assert config.runtime_class_of(labels) == name


def test_without_classes_there_is_none():
    assert read_deployment({"runtime-class-name": ""}).runtime_class_of({"a": "b"}) is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"progress-deadline": "0s"}, "progress-deadline cannot be a non-positive duration, was"),
        ({"progress-deadline": "-1s"}, "progress-deadline cannot be a non-positive duration"),
        ({"progress-deadline": "1500ms"}, "progress-deadline must be rounded to a whole second"),
        ({"progress-deadline": "soon"}, 'failed to parse "progress-deadline"'),
        ({"digest-resolution-timeout": "0"},
         "digest-resolution-timeout cannot be a non-positive duration"),
        ({"queue-sidecar-memory-limit": "lots"}, 'failed to parse "queue-sidecar-memory-limit"'),
        ({"queueSidecarCPURequest": "lots"}, 'failed to parse "queueSidecarCPURequest"'),
        ({"default-affinity-type": "all"}, 'unsupported default-affinity-type value: "all"'),
        ({"pod-is-always-schedulable": "often"}, "pod-is-always-schedulable"),
        ({"runtime-class-name": "gvisor"}, "runtime-class-name cannot be parsed"),
        ({"runtime-class-name": "a: ["}, "runtime-class-name cannot be parsed"),
        ({"runtime-class-name": "Under_Score: {}"}, "selector not valid DNSSubdomain"),
        ({"runtime-class-name": "a: {selector: {b: 1}}"}, "runtime-class-name a selector invalid"),
        ({"runtime-class-name": "a: {selector: {b: '-'}}"}, "selector invalid"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_in_knatives_words(data, said):
    with pytest.raises(ValueError, match=said):
        read_deployment(data)
