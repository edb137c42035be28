from pathlib import Path

import pytest
import yaml

from hearth.api.config.admission import READERS, config_map_notices, validate_config_map
from hearth.api.config.initial import CHECKSUM_ANNOTATION, checksum, initial_config_maps
from hearth.api.config.keys import KEYS
from hearth.api.meta import name_of

MAPS = {name_of(wire): wire for wire in initial_config_maps()}


def examples(name):
    return yaml.safe_load(MAPS[name]["data"]["_example"])


def test_a_platform_starts_with_knatives_config_maps():
    assert set(MAPS) == {
        "config-autoscaler", "config-defaults", "config-deployment", "config-domain",
        "config-features", "config-gc", "config-network", "config-observability",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(MAPS))
def test_an_example_means_nothing_and_could_be_copied(name):
    wire = MAPS[name]
    assert validate_config_map(wire, None) == []
    assert config_map_notices(wire) == []
    assert READERS[name](wire["data"]) == READERS[name]({})
    READERS[name](examples(name))


@pytest.mark.parametrize("name", ["config-autoscaler", "config-deployment", "config-gc",
                                  "config-network"])  # fmt: skip
def test_an_example_says_what_holds_without_it(name):
    assert READERS[name](examples(name)) == READERS[name]({})


def test_an_example_has_each_key_once():
    for name, keys in KEYS.items():
        assert list(examples(name)) == [key.name for key in keys]


@pytest.mark.parametrize(
    ("example", "want"),
    [("", "00000000"), ("  foo\n", "8c736521"), ("a\n\n\nb", checksum("a\r\nb\n")),
     ("a b", checksum("\n\na b  \n"))],
)  # fmt: skip
def test_a_checksum_is_knatives(example, want):
    assert checksum(example) == want


def test_an_edit_of_the_example_is_refused_in_knatives_words():
    wire = MAPS["config-gc"]
    data = {"_example": wire["data"]["_example"].replace("20", "30")}
    [fault] = validate_config_map({**wire, "data": data}, wire)
    assert 'the update modifies a key in "_example" which is probably not' in fault.message
    unsigned = {**wire["metadata"], "annotations": {}}
    assert validate_config_map({**wire, "metadata": unsigned, "data": data}, wire) == []
    other = {**wire["metadata"], "annotations": {CHECKSUM_ANNOTATION: "0"}}
    assert validate_config_map({**wire, "metadata": other, "data": {}}, wire) == []


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("config-features", {"multi-containers": "x"},
         ["multi-containers is no key of config-features: it has no effect"]),
        ("config-features", {"multi-container": "Enabled"}, []),
        ("config-deployment", {"queueSidecarImage": "x"},
         ["queueSidecarImage has no effect here: there is no queue-proxy"]),
        ("config-deployment", {"progressDeadline": "1s"}, []),
        ("config-domain", {"example.com": ""}, []),
        ("config-logging", {"a": "1", "b": "2"},
         ["config-logging has no effect here: how much is logged is a setting of each process"]),
        ("mine", {"a": "1"}, []),
        ("config-gc", {"nope": None}, []),
        ("config-gc", None, []),
    ],
)  # fmt: skip
def test_what_changes_nothing_is_said(name, data, said):
    wire = {"metadata": {"name": name, "namespace": "knative-serving"}, "data": data}
    assert config_map_notices(wire) == said
    elsewhere = {"metadata": {"name": name, "namespace": "default"}, "data": data}
    assert config_map_notices(elsewhere) == []


DOCUMENT = Path(__file__).parents[4] / "docs" / "configuration.md"


@pytest.mark.parametrize("name", sorted(KEYS))
def test_each_key_is_documented(name):
    text = DOCUMENT.read_text()
    section = text.partition(f"## {name}\n")[2].partition("\n## ")[0]
    missing = [key.name for key in KEYS[name] if f"`{key.name}`" not in section]
    assert missing == []
