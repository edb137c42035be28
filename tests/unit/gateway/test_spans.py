"""Spans of activations: whose they are, and how they lie in time."""

from __future__ import annotations

import pytest

from hearth.gateway.spans import Parent, activation, make_export

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = Parent(bytes.fromhex(TRACE), bytes.fromhex(SPAN))


@pytest.mark.parametrize(
    ("header", "parent"),
    [
        pytest.param(f"00-{TRACE}-{SPAN}-01", PARENT, id="sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-03", PARENT, id="sampled-and-more"),
        pytest.param(f"01-{TRACE}-{SPAN}-01-later", PARENT, id="a-later-version"),
        pytest.param(f"00-{TRACE}-{SPAN}-00", None, id="not-sampled"),
        pytest.param("", None, id="no-header"),
        pytest.param(f"00-{TRACE}-{SPAN}", None, id="no-flags"),
        pytest.param(f"00-{TRACE[:-1]}-{SPAN}-01", None, id="short"),
        pytest.param(f"00-{TRACE}-{SPAN}-zz", None, id="no-hex"),
    ],
)
def test_the_parent_is_what_the_header_says(header, parent):
    assert Parent.of(header) == parent


def test_phases_lie_within_the_hold_and_end_with_it():
    phases_s = {"claimed": 0.1, "injected": 0.4, "listening": 1.0}
    whole, *phases = activation(PARENT, 1.5, phases_s, {"a": "b"})
    assert (whole.trace_id, whole.parent_id) == (PARENT.trace_id, PARENT.span_id)
    assert whole.end_s - whole.begin_s == pytest.approx(1.5)
    assert [each.name for each in phases] == list(phases_s)
    assert {each.parent_id for each in phases} == {whole.span_id}
    took_s = [each.end_s - each.begin_s for each in phases]
    assert took_s == pytest.approx([0.1, 0.3, 0.6], abs=1e-6)
    assert phases[0].begin_s == pytest.approx(whole.begin_s + 0.5)
    assert phases[-1].end_s == pytest.approx(whole.end_s)
    assert len({each.span_id for each in (whole, *phases)}) == 4


def test_a_failure_is_said():
    [whole] = activation(PARENT, 0.1, {}, {}, "it does not start")
    [batch] = make_export([whole]).resource_spans
    [span] = batch.instrumentation_library_spans[0].spans
    assert (span.status.code, span.status.message) == (2, "it does not start")
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, SPAN)
    assert batch.resource.attributes[0].value.string_value == "hearth-gateway"
