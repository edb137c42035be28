"""Templates of the request log: what is understood, what it makes, what is refused."""

from __future__ import annotations

import json

import pytest

from hearth.api.config.request_log import (
    DEFAULT_TEMPLATE,
    FIELDS,
    Field,
    Line,
    parse_request_log,
)

VALUES = {name: name for name in FIELDS} | {"Response.Code": "200", "Response.Latency": "0.25"}


def value_of(field):
    return f"header {field.header}" if field.header else VALUES[field.name]


def test_knatives_own_template_makes_json():
    structure = parse_request_log(DEFAULT_TEMPLATE).structure
    assert structure is not None
    request = structure["httpRequest"]
    assert request["status"] == Field("Response.Code")
    assert request["latency"] == Line((Field("Response.Latency"), "s"))
    assert request["requestUrl"] == Line((Field("Request.RequestURI", js=True),))
    assert list(structure) == ["httpRequest", "traceId"]


@pytest.mark.parametrize("name", sorted(FIELDS - {"Request.Header"}))
def test_every_field_can_be_named(name):
    assert parse_request_log(f"a {{{{.{name}}}}} b").parts == ("a ", Field(name), " b")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("{{ .TraceID }}\n", (Field("TraceID"),), id="spaces-and-the-last-newline"),
        pytest.param(
            '{{.Request.Header.Get "X-User"}}', (Field("Request.Header", "X-User"),), id="header"
        ),
        pytest.param(
            "{{.Request.Header.Get `X-User`}}",
            (Field("Request.Header", "X-User"),),
            id="raw",
        ),
        pytest.param("a {{/* why */}}b", ("a ", "b"), id="comment"),
        pytest.param("a \n{{- .TraceID -}}\n b", ("a", Field("TraceID"), "b"), id="trimmed"),
        pytest.param("no fields", ("no fields",), id="text-alone"),
        pytest.param("", (), id="nothing"),
    ],
)
def test_actions(text, parts):
    assert parse_request_log(text).parts == parts


@pytest.mark.parametrize(
    ("action", "field"),
    [
        pytest.param("js .Request.Host", Field("Request.Host", js=True), id="function"),
        pytest.param(".Request.Host | js", Field("Request.Host", js=True), id="pipe"),
        pytest.param(
            'js (.Request.Header.Get "A")', Field("Request.Header", "A", js=True), id="of-a-header"
        ),
    ],
)
def test_js_is_understood_in_json(action, field):
    text = '{"a": "{{' + action + '}}"}'
    assert parse_request_log(text).structure == {"a": Line((field,))}


def test_json_of_every_kind():
    template = parse_request_log(
        '{"n": 1, "t": true, "nil": null, "list": ["x{{.TraceID}}", {{.Response.Code}}], "e": "",'
        ' "q": "a \\" {{.Request.Host}}", "bare": {{.Response.Latency}}}'
    )
    assert template.structure == {
        "n": 1,
        "t": True,
        "nil": None,
        "list": [Line(("x", Field("TraceID"))), Field("Response.Code")],
        "e": Line(()),
        "q": Line(('a " ', Field("Request.Host"))),
        "bare": Field("Response.Latency"),
    }


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{{.Request.Method}} {{.Response.Code}}", id="text"),
        pytest.param('["{{.TraceID}}"]', id="a-list"),
        pytest.param('{"{{.TraceID}}": 1}', id="a-field-as-a-key"),
        pytest.param('{"a": [{"{{.TraceID}}": 1}]}', id="a-field-as-a-key-within"),
        pytest.param('{"a": "{{.TraceID}}"', id="unclosed"),
    ],
)
def test_what_is_not_one_json_object_is_text(text):
    assert parse_request_log(text).structure is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("{{if .TraceID}}x{{end}}", "{{if .TraceID}} cannot be had", id="condition"),
        pytest.param("{{range .Request.Header}}{{end}}", "cannot be had", id="loop"),
        pytest.param('{{printf "%s" .TraceID}}', "cannot be had", id="function"),
        pytest.param("{{.Request}}", "cannot be had", id="a-whole-request"),
        pytest.param("{{.Request.TLS}}", "expected .Request.ContentLength", id="another-field"),
        pytest.param("{{.Request.Header}}", "cannot be had", id="all-headers"),
        pytest.param('{{.Request.Header.Get "a b"}}', "no name of a header", id="header-name"),
        pytest.param("{{}/* a comment */}}", "cannot be had", id="knatives-own-bad-one"),
        pytest.param("a {{.TraceID", "unclosed action", id="unclosed"),
        pytest.param("{{.TraceID}} {{", "unclosed action", id="unclosed-at-the-end"),
        pytest.param("{{js .TraceID}} text", "one JSON object", id="js-outside-of-json"),
        pytest.param("\ue000", "private character", id="private-characters"),
    ],
)
def test_what_cannot_be_expressed_is_refused(text, said):
    with pytest.raises(ValueError, match=said.replace("{", r"\{").replace("}", r"\}")):
        parse_request_log(text)


def test_a_rendered_line_is_json_whatever_is_in_it():
    template = parse_request_log('{"a": "{{js .Request.UserAgent}}", "c": {{.Response.Code}}}')
    line = template.render(lambda f: 'a"}\\x' if f.name == "Request.UserAgent" else "200")
    assert json.loads(line) == {"a": 'a"}\\x', "c": 200}


def test_a_rendered_line_of_text_is_as_it_comes():
    template = parse_request_log('{{.Request.Method}} "{{.Request.Header.Get "A"}}"')
    assert template.render(value_of) == 'Request.Method "header A"'
