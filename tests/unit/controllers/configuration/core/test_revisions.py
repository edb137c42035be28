import pytest

from hearth.controllers.configuration.core.revisions import (
    NameTaken,
    generation_label,
    is_ready,
    latest_created,
    latest_ready,
    named_revision,
)


def configuration(generation=3, named="", ready=""):
    template = {"metadata": {"name": named} if named else {}, "spec": {"image": "new"}}
    return {
        "metadata": {"name": "hello", "uid": "c", "generation": generation},
        "spec": {"template": template},
        "status": {"latestReadyRevisionName": ready} if ready else {},
    }


def revision(name, generation, ready="True", *, owner="c", image="old"):
    return {
        "metadata": {
            "name": name,
            "generation": 1,
            "labels": {"serving.knative.dev/configurationGeneration": str(generation)},
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "spec": {"image": image},
        "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": ready}]},
    }


MINE = revision("blue", 3)
SAME = revision("blue", 1, image="new")


@pytest.mark.parametrize(
    ("given", "found", "want"),
    [
        pytest.param(configuration(), MINE, None, id="template-has-no-name"),
        pytest.param(configuration(named="blue"), None, None, id="not-there"),
        pytest.param(configuration(named="blue"), MINE, MINE, id="this-generation"),
        pytest.param(configuration(named="blue"), SAME, SAME, id="says-the-same"),
        pytest.param(
            configuration(named="blue"), revision("blue", 1), NameTaken("blue"), id="says-other"
        ),
        pytest.param(
            configuration(named="blue"),
            revision("blue", 3, owner="z"),
            NameTaken("blue"),
            id="another's",
        ),
    ],
)
def test_a_named_revision_must_be_ours_and_say_the_same(given, found, want):
    assert named_revision(given, found) == want


def test_the_newest_made_is_that_of_the_present_generation():
    old, new = revision("a", 2), revision("b", 3)
    assert latest_created(configuration(), [old, new]) is new
    assert latest_created(configuration(4), [old, new]) is None


ONE, TWO, THREE = (revision(f"hello-{n}", n) for n in (1, 2, 3))
UNREADY = revision("hello-3", 3, "Unknown")


@pytest.mark.parametrize(
    ("given", "revisions", "created", "want"),
    [
        pytest.param(configuration(), [ONE, TWO, THREE], THREE, THREE, id="newest"),
        pytest.param(configuration(), [ONE, TWO, UNREADY], UNREADY, TWO, id="newest-not-ready"),
        pytest.param(configuration(), [UNREADY], UNREADY, None, id="none"),
        pytest.param(configuration(), [], THREE, THREE, id="just-made"),
        pytest.param(
            configuration(ready="hello-2"), [ONE, UNREADY, revision("hello-2", 2, "False")],
            UNREADY, None, id="never-older-than-what-is-known",
        ),
        pytest.param(
            configuration(ready="gone"), [ONE, UNREADY], UNREADY, ONE, id="known-was-deleted"
        ),
        pytest.param(
            configuration(named="blue", ready="hello-2"), [TWO, SAME], SAME, SAME,
            id="own-name-counts-as-newest",
        ),
    ],
)  # fmt: skip
def test_the_newest_that_is_ready(given, revisions, created, want):
    assert latest_ready(given, revisions, created) == want


def test_ready_must_have_been_said_of_the_present_generation():
    stale = revision("a", 1)
    stale["metadata"]["generation"] = 2
    assert (is_ready(ONE), is_ready(stale), is_ready(UNREADY)) == (True, False, False)


def test_a_generation_that_is_not_a_number_is_the_oldest():
    assert generation_label(revision("a", "x")) == 0
