import pytest

from hearth.capacity.core.taints import reluctance, untolerated
from tests.unit.capacity.core.world import node, pod

GPU = {"key": "gpu", "value": "a100", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("toleration", "said"),
    [
        pytest.param({"key": "gpu", "value": "a100"}, "", id="equal"),
        pytest.param({"key": "gpu", "value": "a100", "effect": "NoSchedule"}, "", id="effect"),
        pytest.param({"key": "gpu", "operator": "Exists"}, "", id="exists"),
        pytest.param({"operator": "Exists"}, "", id="everything"),
        pytest.param({"key": "gpu", "value": "t4"}, "{gpu: a100}", id="another-value"),
        pytest.param({"key": "cpu", "operator": "Exists"}, "{gpu: a100}", id="another-key"),
        pytest.param({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, "{gpu: a100}",
                     id="another-effect"),
        pytest.param({"value": "a100"}, "{gpu: a100}", id="a-value-without-a-key"),
    ],
)  # fmt: skip
def test_a_toleration_must_match_the_taint(toleration, said):
    assert untolerated(pod(tolerations=[toleration]), node("a", taints=[GPU])) == said


@pytest.mark.parametrize(
    ("taint", "said", "rather_not"),
    [
        pytest.param({"key": "k", "effect": "NoExecute"}, "{k: }", 0, id="no-execute"),
        pytest.param({"key": "k", "effect": "PreferNoSchedule"}, "", 1, id="prefer"),
    ],
)
def test_effects(taint, said, rather_not):
    given = node("a", taints=[taint])
    assert (untolerated(pod(), given), reluctance(pod(), given)) == (said, rather_not)
    tolerant = pod(tolerations=[{"operator": "Exists"}])
    assert (untolerated(tolerant, given), reluctance(tolerant, given)) == ("", 0)
