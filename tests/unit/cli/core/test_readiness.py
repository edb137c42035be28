import pytest

from hearth.cli.core.readiness import Outlook, Phase, news, outlook_of


def wire(*conditions, observed=2):
    return {
        "metadata": {"generation": 2},
        "status": {"observedGeneration": observed, "conditions": list(conditions)},
    }


def condition(kind, status, reason="", message=""):
    return {"type": kind, "status": status, "reason": reason, "message": message}


@pytest.mark.parametrize(
    ("seen", "phase", "said"),
    [
        pytest.param(wire(condition("Ready", "True")), Phase.READY, "no reason given", id="ready"),
        pytest.param(wire(condition("Ready", "False", "Why", "so")), Phase.FAILED, "Why: so",
                     id="failed"),
        pytest.param(wire(condition("Ready", "Unknown", "Why")), Phase.WAITING, "Why",
                     id="unknown"),
        pytest.param(wire(), Phase.WAITING, "no reason given", id="no-condition"),
        pytest.param(wire(condition("Ready", "True"), observed=1), Phase.WAITING,
                     "the controller has not seen it yet", id="of-an-older-generation"),
    ],
)  # fmt: skip
def test_outlook(seen, phase, said):
    outlook = outlook_of(seen)
    assert (outlook.phase, str(outlook)) == (phase, said)
    assert isinstance(outlook, Outlook)


def test_only_conditions_that_changed_are_news():
    was = wire(condition("A", "Unknown"), condition("B", "True"), condition("Ready", "Unknown"))
    now = wire(
        condition("A", "False", "Bad", "thing"),
        condition("B", "True"),
        condition("C", "Unknown", "Soon"),
        condition("D", "True"),
        condition("Ready", "False"),
    )
    assert news(was, now) == ["A: no: Bad: thing", "C: not yet: Soon", "D: yes"]
    assert news(now, now) == []
