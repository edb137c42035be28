"""What is counted of cold starts and holds."""

from __future__ import annotations

import pytest

from hearth.api.activation import Activation, ActivationError, ActivationFailure
from hearth.gateway import instruments
from tests.unit.figures import growth, value
from tests.unit.gateway.test_activator import KEY, answer_to, run, until  # noqa: F401 - a fixture

COLD, HOLD = "hearth_cold_start_seconds_count", "hearth_hold_seconds_count"
IMAGE = Activation(
    "default/p", "10.0.0.1:8080", {"claimed": 0.1, "injected": 0.4, "listening": 0.5}, "image"
)


def counted(**outcomes):
    return {name: (COLD, {"source": name, "outcome": said}) for name, said in outcomes.items()}


@pytest.mark.parametrize("source", instruments.SOURCES)
@pytest.mark.parametrize("outcome", ["ok", "no_answer", "abandoned"])
def test_every_outcome_is_there_before_it_happens(source, outcome):
    assert value(COLD, source=source, outcome=outcome) >= 0


def test_a_cold_start_is_counted_once_however_many_wait_for_it(run):  # noqa: F811
    async def act(world):
        readers = [await world.check_held() for _ in range(3)]
        await world.autoscaler.answers.put(IMAGE)
        answers = [await answer_to(reader) for reader in readers]
        told = [answer["cold"] for answer in answers if "cold" in answer]
        assert [each.partition("/")[0] for each in told] == ["image"]
        before = value(COLD, source="image", outcome="ok")
        world.activator.take_log(f"..[{told[0]} 700000]..".encode())
        return value(COLD, source="image", outcome="ok") - before

    phase = "hearth_cold_start_phase_seconds_sum"
    phases = {n: (phase, {"phase": n, "source": "image"}) for n in ("claimed", "listening")}
    with growth(released=(HOLD, {"outcome": "released"}), **phases) as grown:
        assert run(act)[0] == 1
    assert grown == pytest.approx({"released": 3, "claimed": 0.1, "listening": 0.1})


def test_an_instance_that_never_answered_is_not_counted_as_one_that_did(run):  # noqa: F811
    async def act(world):
        world.activator.take_log(b"[pool/1000 -]")

    with growth(**counted(pool="no_answer")) as lost, growth(**counted(pool="ok")) as well:
        run(act)
    assert (lost, well) == ({"pool": 1}, {"pool": 0})


def test_an_instance_that_nobody_waits_for_any_more_is_abandoned(run):  # noqa: F811
    async def act(world):
        await world.check_held()
        world.writers[0].close()
        await until(lambda: world.activator.held == 0)
        await world.autoscaler.answers.put(IMAGE)
        await until(lambda: not world.activator._waiting)

    gone = (HOLD, {"outcome": "gone"})
    with growth(gone=gone, **counted(image="abandoned")) as grown:
        run(act)
    assert grown == {"gone": 1, "image": 1}


def test_a_pod_that_is_seen_first_does_not_hide_how_it_came_to_be(run):  # noqa: F811
    async def act(world):
        reader = await world.check_held(hearth_timing="1")
        world.activator.instance_appeared(KEY, IMAGE.address)
        await world.autoscaler.answers.put(IMAGE)
        return await answer_to(reader)

    answer = run(act)[0]
    assert (
        "claimed;dur=100.00, injected;dur=400.00, listening;dur=500.00" in answer["server-timing"]
    )
    assert answer["cold"].startswith("image/")


def test_failures_are_counted_by_reason(run):  # noqa: F811
    async def act(world):
        reader = await world.check_held()
        failure = ActivationFailure(503, "ExitedEarly", "it ended")
        await world.autoscaler.answers.put(ActivationError(failure))
        await answer_to(reader)

    reason = ("hearth_activation_failures_total", {"reason": "ExitedEarly"})
    with growth(reason=reason, held=(HOLD, {"outcome": "failed"}), **counted(none="failed")) as got:
        run(act)
    assert got == {"reason": 1, "held": 1, "none": 1}


def test_reasons_that_apps_think_up_are_bounded():
    for number in range(300):
        instruments.activation_failed(f"Reason{number}")
    assert value("hearth_activation_failures_total", reason="Other") >= 200


def test_no_more_than_is_held_is_counted_as_held(run):  # noqa: F811
    async def act(world):
        before = value("hearth_requests_held")
        reader = await world.check_held()
        during = value("hearth_requests_held")
        await world.autoscaler.answers.put(IMAGE)
        await answer_to(reader)
        return during - before, value("hearth_requests_held") - before

    assert run(act)[0] == (1, 0)
