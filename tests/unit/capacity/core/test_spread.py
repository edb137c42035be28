import pytest

from hearth.capacity.core.affinity import Placed
from hearth.capacity.core.spread import crowding, skewed
from tests.unit.capacity.core.world import node, pod

EU, US = (node(zone, labels={"zone": zone}) for zone in ("eu", "us"))


def spread(when="DoNotSchedule", **more):
    constraint = {
        "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": when,
        "labelSelector": {"matchLabels": {"app": "web"}}, **more,
    }  # fmt: skip
    return pod(labels={"app": "web", "v": "2"}, topologySpreadConstraints=[constraint])


def placed(*zones, **labels):
    labels = {"app": "web", **labels}
    return [Placed(pod(labels=labels), {"zone": zone}) for zone in zones]


@pytest.mark.parametrize(
    ("wanted", "there", "breaks"),
    [
        pytest.param(spread(), placed(), False, id="the-first"),
        pytest.param(spread(), placed("eu"), True, id="one-too-many"),
        pytest.param(spread(), placed("eu", "us"), False, id="even"),
        pytest.param(spread(maxSkew=2), placed("eu"), False, id="as-much-as-is-allowed"),
        pytest.param(spread(), placed("eu", app="db"), False, id="others-do-not-count"),
        pytest.param(spread("ScheduleAnyway"), placed("eu"), False, id="anyway"),
        pytest.param(spread(minDomains=3), placed("eu", "us"), True, id="too-few-parts"),
        pytest.param(spread(topologyKey="rack"), placed(), True, id="no-such-topology"),
        pytest.param(spread(matchLabelKeys=["v"]), placed("eu", v="1"), False,
                     id="of-one-revision"),
        pytest.param(spread(labelSelector=None), placed("eu"), False, id="without-a-selector"),
    ],
)  # fmt: skip
def test_a_node_must_not_have_more_than_the_skew_allows(wanted, there, breaks):
    assert skewed(wanted, EU, [EU, US], there) is breaks


def test_nodes_that_the_pod_may_not_be_on_do_not_count():
    wanted = spread()
    wanted["spec"]["nodeSelector"] = {"zone": "eu"}
    assert not skewed(wanted, EU, [EU, US], placed("eu"))


def test_those_that_schedule_anyway_tell_where_it_is_crowded():
    there = placed("eu", "eu", "us")
    wanted = spread("ScheduleAnyway")
    assert [crowding(wanted, each, [EU, US], there) for each in (EU, US)] == [2, 1]
