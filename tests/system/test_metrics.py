"""``/metrics`` of a running platform, read as Prometheus reads it."""

from __future__ import annotations

import re
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.system.running import eventually, up


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with up(tmp_path_factory.mktemp("metrics") / "state", pool=2) as running:
        for name, flags in (("cold", []), ("limited", ["--concurrency", "1"]), ("warm", [])):
            running.hearth(
                "deploy", name, "--source", "examples/hello", "--initial-scale", "0", *flags
            )
        yield running


def scrape(running):
    """All samples: a list of labels and values by name."""
    with urllib.request.urlopen(running.ready["metrics"], timeout=10) as response:
        text = response.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def total(found, name, /, **labels):
    """The sum over samples that have those labels."""
    values = [v for of, v in found.get(name, ()) if labels.items() <= of.items()]
    assert values, f"{name}{labels}: no sample"
    return sum(values)


COLD = "hearth_cold_start_seconds_count"


@pytest.mark.parametrize("name", ["cold", "limited"])
def test_a_cold_start_is_told_in_its_header_and_counted_by_phase(running, name):
    """Also where requests always ask the activator, as those with a containerConcurrency."""
    before = scrape(running)
    answer = running.call(name, headers={"hearth-timing": "1"})
    assert answer.status == 200
    phases = dict(
        part.strip().split(";dur=") for part in answer.headers["server-timing"].split(",")
    )
    assert list(phases) == ["held", "claimed", "injected", "listening", "released"]
    assert 0 < float(phases["claimed"]) <= float(phases["injected"]) <= float(phases["listening"])
    assert float(phases["released"]) >= float(phases["listening"])

    def counted():
        now = scrape(running)
        grown = total(now, COLD, source="pool", outcome="ok") - total(
            before, COLD, source="pool", outcome="ok"
        )
        return now if grown == 1 else None

    now = eventually(counted, 10, "the cold start is counted")
    for phase in ("held", "claimed", "injected", "listening", "released", "first_byte"):
        of = {"phase": phase, "source": "pool"}
        metric = "hearth_cold_start_phase_seconds_count"
        assert total(now, metric, **of) - total(before, metric, **of) == 1
    assert total(now, "hearth_claims_total", outcome="claimed") >= 1
    revision = {"kn_service_name": name, "kn_revision_name": f"{name}-00001"}
    assert total(now, "kn_revision_pods_requested", **revision) == 1
    shown = eventually(
        lambda: (out := running.hearth("describe", name).stdout) and "COLD STARTS" in out and out,
        5,
        "describe shows it",
    )
    assert re.search(rf"{name}-00001 +p50 \d+ ms, p99 \d+ ms, the last 1", shown)
    assert re.search(r"cold starts:? +p50 \d+ ms", running.hearth("status").stdout)


def test_envoy_counts_requests_by_class_and_how_long_they_took(running):
    for path in ("/", "/", "/"):
        assert running.call("warm", path).status == 200
    revision = {"kn_revision_name": "warm-00001"}

    def counted():
        found = scrape(running)
        times = "kn_serving_invocation_duration_seconds_count"
        return times in found and total(found, times, **revision) >= 3 and found

    found = eventually(counted, 15, "Envoy has merged its histograms")
    assert total(found, "hearth_requests_total", response_code_class="2xx", **revision) >= 3
    bounds = [of["le"] for of, _ in found["kn_serving_invocation_duration_seconds_bucket"]]
    assert {"0.005", "0.1", "10", "+Inf"} <= set(bounds)


def test_what_nobody_calls_has_no_series(running):
    running.hearth("deploy", "quiet", "--source", "examples/hello", "--initial-scale", "0")
    found = scrape(running)
    named = [of for samples in found.values() for of, _ in samples if "kn_service_name" in of]
    assert "quiet" not in {of["kn_service_name"] for of in named}


def test_every_component_tells_of_itself(running):
    found = scrape(running)
    assert total(found, "apiserver_request_total", verb="PATCH", code="200") > 0
    assert total(found, "hearth_store_commits_total", outcome="ok") > 0
    assert total(found, "hearth_store_commits_total", outcome="failed") == 0
    assert total(found, "kn_workqueue_adds_total", name="route") > 0
    assert total(found, "kn_workqueue_process_duration_seconds_count", name="route") > 0
    assert total(found, "hearth_pool_pods", pool="python", state="warm") >= 0
    assert total(found, "hearth_node_pods", phase="Running") >= 1
    assert total(found, "hearth_xds_rejected_total") == 0
    assert total(found, "process_resident_memory_bytes") > 0


def test_an_app_that_does_not_start_is_counted_by_reason(running, tmp_path):
    (tmp_path / "app.py").write_text("raise RuntimeError('no')\n")
    running.hearth(
        "deploy", "broken", "--source", str(tmp_path), "--initial-scale", "0", "--no-wait",
        check=False,
    )  # fmt: skip
    eventually(lambda: running.call("broken").status == 503, 20, "it is refused")
    found = scrape(running)
    reasons = {of["reason"]: v for of, v in found["hearth_activation_failures_total"] if v}
    assert sum(reasons.values()) >= 1, reasons
    assert total(found, COLD, outcome="failed") >= 1
