"""Hosts in any case: an Envoy filter that writes them in lower case.

A Route is found by its host as a scope's key, which is exact (docs/decisions/0007); hosts are the
same in any case (RFC 9110, 4.2.3). So a host with capitals is written without, and looked up again.
Others are not touched: they cost one match.
"""

from __future__ import annotations

from typing import Any

from hearth.gateway.translate import TYPES

_SCRIPT = """
function envoy_on_request(handle)
  local headers = handle:headers()
  headers:replace(":authority", string.lower(headers:get(":authority")))
  handle:clearRouteCache()
end
"""


def _message(kind: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"{TYPES}.{kind}", **fields}


_HOST = {
    "name": "host",
    "typed_config": _message(
        "type.matcher.v3.HttpRequestHeaderMatchInput", header_name=":authority"
    ),
}
_SKIP = {
    "name": "skip",
    "typed_config": _message("extensions.filters.common.matcher.action.v3.SkipFilter"),
}
_NO_CAPITALS = {"safe_regex": {"google_re2": {}, "regex": "[^A-Z]*"}}
_MATCHER = {
    "predicate": {"single_predicate": {"input": _HOST, "value_match": _NO_CAPITALS}},
    "on_match": {"action": _SKIP},
}

LOWER_HOST = {
    "name": "lower host",
    "typed_config": _message(
        "extensions.common.matching.v3.ExtensionWithMatcher",
        xds_matcher={"matcher_list": {"matchers": [_MATCHER]}},
        extension_config={
            "name": "envoy.filters.http.lua",
            "typed_config": _message(
                "extensions.filters.http.lua.v3.Lua",
                default_source_code={"inline_string": _SCRIPT},
            ),
        },
    ),
}
