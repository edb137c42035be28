"""Envoy's own figures under our names."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from hearth.gateway.envoy_stats import as_ours

ENVOY = """\
# TYPE envoy_cluster_upstream_rq_xx counter
envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="root/default/a"} 12
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="root/default/a"} 3
envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="root/default/gone"} 9

# TYPE envoy_cluster_upstream_rq_time histogram
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="root/default/a",le="5"} 1
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="root/default/a",le="10000"} 15
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="root/default/a",le="+Inf"} 15
envoy_cluster_upstream_rq_time_sum{envoy_cluster_name="root/default/a"} 1234.5
envoy_cluster_upstream_rq_time_count{envoy_cluster_name="root/default/a"} 15
envoy_cluster_upstream_rq_time_count{envoy_cluster_name="root/default/gone"} 9
"""


def labels_of(cluster):
    return {"kn_revision_name": "a"} if cluster == "root/default/a" else None


def samples(text):
    return {
        (s.name, s.labels.get("response_code_class") or s.labels.get("le")): s.value
        for found in text_string_to_metric_families(text)
        for s in found.samples
        if s.labels["kn_revision_name"] == "a"
    }


def test_classes_are_counted_and_times_are_in_seconds():
    duration = "kn_serving_invocation_duration_seconds"
    assert samples(as_ours(ENVOY, labels_of)) == {
        ("hearth_requests_total", "2xx"): 12,
        ("hearth_requests_total", "5xx"): 3,
        (f"{duration}_bucket", "0.005"): 1,
        (f"{duration}_bucket", "10"): 15,
        (f"{duration}_bucket", "+Inf"): 15,
        (f"{duration}_sum", None): 1.2345,
        (f"{duration}_count", None): 15,
    }


def test_an_envoy_without_figures_has_none():
    assert as_ours("", labels_of) == ""
