import pytest

from hearth.autoscaler.core.machine import (
    MEBIBYTE,
    MachineSpec,
    MachineState,
    NoFigures,
    PodFigure,
    decide_by_machine,
    measure,
)

CPU = MachineSpec("cpu", target=50, low=1, high=0)
MEMORY = MachineSpec("memory", target=100, low=1, high=0)


def cpu(*used, request=0.1, ready=True):
    return [PodFigure(each, request, ready) for each in used]


def memory(*mebibytes):
    return [PodFigure(each * MEBIBYTE, 0) for each in mebibytes]


def decided(spec, pods, *, replicas=None, was=None, at=1000.0):
    return decide_by_machine(spec, at, replicas or len(pods), pods, was or MachineState())


@pytest.mark.parametrize(
    ("spec", "pods", "replicas", "want"),
    [
        pytest.param(CPU, cpu(0.05), 1, 1, id="on-target"),
        pytest.param(CPU, cpu(0.0545), 1, 1, id="within-the-tolerance"),
        pytest.param(CPU, cpu(0.1), 1, 2, id="twice-the-target"),
        pytest.param(CPU, cpu(0.1, 0.05), 2, 3, id="all-pods-together"),
        pytest.param(CPU, cpu(1.0), 1, 5, id="four-pods-more-at-most"),
        pytest.param(CPU, cpu(*[1.0] * 8), 8, 16, id="or-the-double"),
        pytest.param(CPU, cpu(0.01, 0.01, 0.01, 0.01), 4, 1, id="down"),
        pytest.param(MachineSpec("cpu", 50, 2, 0), cpu(0.0, 0.0, 0.0), 3, 2, id="minimum"),
        pytest.param(MachineSpec("cpu", 50, 1, 3), cpu(*[1.0] * 3), 3, 3, id="maximum"),
        pytest.param(CPU, cpu(0.1, 0.1) + cpu(None), 3, 4, id="no-figures-are-idle-going-up"),
        pytest.param(CPU, cpu(0.02, 0.02) + cpu(None), 3, 3, id="and-busy-going-down"),
        pytest.param(CPU, cpu(0.1) + cpu(0.9, ready=False), 2, 2, id="a-start-is-no-load"),
        pytest.param(MEMORY, memory(150, 150), 2, 3, id="memory-up"),
        pytest.param(MEMORY, memory(20, 20, 20), 3, 1, id="memory-down"),
        pytest.param(MEMORY, memory(105), 1, 1, id="memory-within-the-tolerance"),
    ],
)
def test_the_ratio_decides(spec, pods, replicas, want):
    assert decided(spec, pods, replicas=replicas)[0].replicas == want


def test_down_only_to_the_highest_of_five_minutes():
    _, state = decided(CPU, cpu(*[0.05] * 6), replicas=6, at=0)
    answer, state = decided(CPU, cpu(*[0.01] * 6), replicas=6, was=state, at=200)
    assert answer.replicas == 6
    assert "not for long enough" in answer.reason
    answer, _ = decided(CPU, cpu(*[0.01] * 6), replicas=6, was=state, at=301)
    assert answer.replicas == 2


def test_a_window_holds_in_both_ways():
    spec = MachineSpec("cpu", 50, 1, 0, up_window_s=20, down_window_s=20)
    _, state = decided(spec, cpu(0.05), at=0)
    answer, state = decided(spec, cpu(0.2), was=state, at=15)
    assert answer.replicas == 1
    answer, _ = decided(spec, cpu(0.2), was=state, at=30)
    assert answer.replicas == 4


@pytest.mark.parametrize(
    ("spec", "pods", "said"),
    [
        pytest.param(CPU, [], "no metrics returned", id="no-pods"),
        pytest.param(CPU, cpu(None), "no metrics returned", id="no-figures"),
        pytest.param(CPU, cpu(0.1, request=0), "missing request for cpu", id="no-request"),
        pytest.param(MachineSpec("queue", 1, 1, 0), cpu(1), "is not measured here", id="custom"),
    ],
)
def test_what_cannot_be_decided_says_why(spec, pods, said):
    with pytest.raises(NoFigures, match=said):
        decided(spec, pods, replicas=1)


def test_memory_needs_no_request():
    assert measure(MEMORY, memory(10, 30)).average == 20 * MEBIBYTE


def test_the_reason_names_figure_and_target():
    assert decided(CPU, cpu(0.1))[0].reason == "cpu at 100 % of the request, target 50 %"
    assert "memory at 150.0 MiB per pod" in decided(MEMORY, memory(150))[0].reason
