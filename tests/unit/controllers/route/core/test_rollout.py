"""Tables are Knative's (pkg/reconciler/route/traffic/rollout_test.go), as percents by revision."""

import pytest

from hearth.controllers.route.core.rollout import (
    Rollout,
    Share,
    Steps,
    advance,
    read,
    timed,
    written,
)

KEY = ("", "hello")
S = 1_000_000_000
NOW = 200_620_092_020 + 1982


def of(*shares, steps=Steps()):  # noqa: B008 - frozen
    made = tuple(Share(name, percent) for name, percent in shares)
    return Rollout(KEY, sum(share.percent for share in made), made, steps)


def shares(rollout):
    return [(share.revision, share.percent) for share in rollout.shares]


@pytest.mark.parametrize(
    ("goal", "was", "want"),
    [
        pytest.param([("b", 100)], None, [("b", 100)], id="nothing-before"),
        pytest.param([("b", 100)], [], [("b", 100)], id="no-revision-before"),
        pytest.param([("a", 100)], [("a", 100)], [("a", 100)], id="the-same"),
        pytest.param([("b", 100)], [("a", 100)], [("a", 99), ("b", 1)], id="begins"),
        pytest.param([("b", 70)], [("a", 70)], [("a", 69), ("b", 1)], id="of-less-than-all"),
        pytest.param([("c", 33)], [("a", 11), ("b", 31)], [("a", 2), ("b", 30), ("c", 1)],
                     id="with-less"),
        pytest.param([("c", 75)], [("a", 11), ("b", 14)], [("a", 11), ("b", 63), ("c", 1)],
                     id="with-more"),
        pytest.param([("c", 100)], [("a", 95), ("b", 5)], [("a", 95), ("b", 4), ("c", 1)],
                     id="the-newest-gives"),
        pytest.param([("c", 100)], [("a", 99), ("b", 1)], [("a", 99), ("c", 1)],
                     id="fast-after-another"),
        pytest.param([("b", 1)], [("a", 1)], [("b", 1)], id="one-percent-at-once"),
        pytest.param([("b", 0)], [("a", 100)], [("b", 0)], id="no-traffic"),
    ],
)  # fmt: skip
def test_a_rollout_begins_with_one_percent(goal, was, want):
    before = None if was is None else of(*was)
    now = advance(of(*goal), before, NOW)
    assert shares(now) == want
    assert now.steps == (Steps(started_ns=NOW) if len(want) > 1 else Steps())
    assert now.percent == goal[0][1]


@pytest.mark.parametrize(
    ("percent", "was", "want"),
    [
        pytest.param(90, [("a", 30), ("z", 60)], [("a", 20), ("z", 70)], id="one-older"),
        pytest.param(90, [("a", 22), ("b", 5), ("c", 3), ("z", 60)], [("a", 20), ("z", 70)],
                     id="some-go"),
        pytest.param(15, [("a", 5), ("b", 1), ("c", 1), ("z", 8)], [("z", 15)], id="the-last"),
        pytest.param(15, [("a", 5), ("z", 10)], [("z", 15)], id="less-left-than-a-step"),
        pytest.param(15, [("a", 40), ("b", 10), ("z", 10)], [("z", 15)], id="shrunk-meanwhile"),
        pytest.param(60, [("a", 30), ("z", 10)], [("a", 20), ("z", 40)], id="grown-meanwhile"),
    ],
)  # fmt: skip
def test_a_step_takes_from_the_newest_of_the_older_ones(percent, was, want):
    steps = Steps(started_ns=1, next_ns=1984, every_ns=55, percent=10)
    now = advance(of(("z", percent)), of(*was, steps=steps), 1988)
    assert shares(now) == want
    again = Steps(started_ns=1, next_ns=1988 + 55, every_ns=55, percent=10)
    assert now.steps == (again if len(want) > 1 else Steps())


def test_it_does_not_step_before_its_time_nor_before_the_gateways_have_the_first_percent():
    soon = Steps(started_ns=1, next_ns=1984, every_ns=55, percent=10)
    for steps in (soon, Steps(started_ns=1)):
        was = of(("a", 95), ("b", 5), steps=steps)
        assert advance(of(("b", 100)), was, 1983) == was


@pytest.mark.parametrize(
    ("percent", "started_ns", "every_ns", "step"),
    [
        pytest.param(100, 200_620_092_020, 1_202_020_202, 1, id="under-a-second"),
        pytest.param(100, 198_219_841_988, 3 * S, 3, id="three-seconds"),
        pytest.param(75, 198_219_841_988, 3 * S, 2, id="rounded-up"),
        pytest.param(50, 198_219_841_988, 3 * S, 1, id="half-the-traffic"),
        pytest.param(13, 14_921_812, S, 12, id="longer-than-all-of-it"),
    ],
)
def test_steps_are_as_long_as_the_gateways_took_for_the_first(percent, started_ns, every_ns, step):
    begun = of(("a", percent - 1), ("b", 1), steps=Steps(started_ns=started_ns))
    now = timed(begun, NOW, 120)
    assert now.steps == Steps(started_ns, NOW + every_ns, every_ns, step)
    assert timed(now, NOW + S, 120) == now


def test_what_has_not_begun_gets_no_steps():
    still = of(("a", 100))
    assert timed(still, NOW, 120) == still


def test_it_is_written_as_knative_writes_it():
    going = of(("a", 96), ("b", 4), steps=Steps(1, 2, 3, 4))
    other = Rollout(("blue", "hello"), 10, (Share("c", 10),))
    text = written([other, going])
    assert text == (
        '{"configurations":[{"configurationName":"hello","percent":100,"revisions":'
        '[{"revisionName":"a","percent":96},{"revisionName":"b","percent":4}],"stepParams":'
        '{"starttime":1,"nextStepTime":2,"stepDuration":3,"stepSize":4}},'
        '{"configurationName":"hello","tag":"blue","percent":10,'
        '"revisions":[{"revisionName":"c","percent":10}],"stepParams":{}}]}'
    )
    assert read(text) == {going.key: going, other.key: other}
    assert written([]) == ""


@pytest.mark.parametrize(
    "text",
    [
        "", "no json", "{}", '{"configurations": 3}',
        written([of(("a", 101))]),
        written([of(("a", 10), steps=Steps(percent=11))]),
        written([of(("a", 10), steps=Steps(percent=-1))]),
        written([Rollout(KEY, 10, (Share("a", 5), Share("b", 6)))]),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_no_rollout(text):
    assert read(text) == {}
