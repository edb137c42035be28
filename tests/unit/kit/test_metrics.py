"""Figures in Prometheus' text format."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from hearth.kit.metrics import family, labels


def test_a_family_is_read_as_it_was_meant():
    name = 'a "quoted" \\ name\nof two lines'
    text = family("hearth_things", "gauge", "Things.", [(labels({"name": name, "b": "1"}), 2.5)])
    [found] = text_string_to_metric_families(text)
    assert (found.name, found.type, found.documentation) == ("hearth_things", "gauge", "Things.")
    [sample] = found.samples
    assert (sample.labels, sample.value) == ({"name": name, "b": "1"}, 2.5)


def test_a_family_without_samples_is_not_there():
    assert family("hearth_things", "gauge", "Things.", []) == ""


def test_large_counts_keep_every_digit():
    [found] = text_string_to_metric_families(
        family("hearth_things_total", "counter", "Things.", [("", 123456789012)])
    )
    assert found.samples[0].value == 123456789012
