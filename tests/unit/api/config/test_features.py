import pytest

from hearth.api.config import FeaturesConfig, read_features
from hearth.api.config.features import FLAGS, Flag, SecureDefaults


def test_without_data_nothing_is_written():
    assert read_features({}) == FeaturesConfig()
    assert read_features({"_example": "x", "multi-container": "perhaps"}) == FeaturesConfig()
    assert read_features({"secure-pod-defaults": "allowed"}) == FeaturesConfig()


@pytest.mark.parametrize("text", ["Enabled", "enabled", "ENABLED"])
def test_tag_headers_are_followed_when_they_are_switched_on(text):
    assert read_features({"tag-header-based-routing": text}).tag_header_based_routing
    assert not read_features({"tag-header-based-routing": "Allowed"}).tag_header_based_routing
    assert not FeaturesConfig().tag_header_based_routing


@pytest.mark.parametrize("key", sorted(FLAGS))
def test_each_flag_can_be_written(key):
    name = key.removeprefix("kubernetes.")
    for text, flag in (("Disabled", Flag.DISABLED), ("allowed", Flag.ALLOWED)):
        assert read_features({key: text}).written == {name: flag}
    assert read_features({key: "Disabled"}).is_disabled(name)
    assert not read_features({key: "Allowed"}).is_disabled(name)
    assert not read_features({key: "Allowed"}).is_enabled(name), "allowed is not enabled"
    assert read_features({}).is_enabled(name), "what is not written is allowed here"


@pytest.mark.parametrize(
    ("text", "found"),
    [("enabled", SecureDefaults.ENABLED), ("AllowRootBounded", SecureDefaults.ROOT_BOUNDED),
     ("Disabled", SecureDefaults.DISABLED), ("Allowed", SecureDefaults.DISABLED)],
)  # fmt: skip
def test_secure_defaults_have_values_of_their_own(text, found):
    assert read_features({"secure-pod-defaults": text}).secure_pod_defaults is found


def test_a_pods_flag_needs_its_prefix():
    assert read_features({"podspec-affinity": "disabled"}) == FeaturesConfig()
