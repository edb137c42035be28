import pytest

from hearth.api.config import AutoscalerConfig
from hearth.controllers.revision.core.scale import Scale, scale_of

A = "autoscaling.knative.dev/"
DEADLINE = "serving.knative.dev/progress-deadline"


def revision(state="active", **annotations):
    labels = {"serving.knative.dev/routingState": state}
    named = {name if "/" in name else A + name: text for name, text in annotations.items()}
    return {"metadata": {"labels": labels, "annotations": named}}


@pytest.mark.parametrize(
    ("given", "want"),
    [
        pytest.param(revision(), Scale(1, 0, 600), id="defaults"),
        pytest.param(revision(**{"initial-scale": "0"}), Scale(0, 0, 600), id="zero"),
        pytest.param(revision(initialScale="3"), Scale(3, 0, 600), id="other-spelling"),
        pytest.param(revision(**{"min-scale": "4"}), Scale(1, 4, 600), id="floor"),
        pytest.param(revision("reserve", **{"min-scale": "4"}), Scale(1, 0, 600), id="unreachable"),
        pytest.param(revision(**{DEADLINE: "1m30s"}), Scale(1, 0, 90), id="deadline"),
        pytest.param(revision(**{DEADLINE: "soon", "min-scale": "-"}), Scale(1, 0, 600), id="bad"),
    ],
)
def test_the_bounds_are_the_annotations(given, want):
    assert scale_of(given, AutoscalerConfig()) == want


@pytest.mark.parametrize(
    ("scale", "before", "after", "first"),
    [
        pytest.param(Scale(1, 0, 1), 1, 1, 1, id="default"),
        pytest.param(Scale(0, 0, 1), 0, 1, 0, id="zero"),
        pytest.param(Scale(5, 2, 1), 5, 2, 5, id="initial-above-floor"),
        pytest.param(Scale(0, 3, 1), 3, 3, 3, id="floor-above-initial"),
    ],
)
def test_the_initial_scale_counts_until_the_revision_came_up(scale, before, after, first):
    assert scale.ready_threshold(initialized=False) == before
    assert scale.ready_threshold(initialized=True) == after
    assert scale.first == first
