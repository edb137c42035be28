"""What Envoy has counted of revisions' requests, in Prometheus' text format under Knative's names.

Envoy itself counts, and only revisions that were called; it is asked when somebody asks us. Its
histograms are in milliseconds, ours in seconds.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp

from hearth.kit.metrics import family, labels

log = logging.getLogger(__name__)

#: Labels of a revision by its cluster's name; None for one that is gone.
LabelsOf = Callable[[str], "dict[str, str] | None"]

_TIMEOUT_S = 5.0
_CLUSTER = r'envoy_cluster_name="([^"]+)"'
_CLASSES = re.compile(
    r'^envoy_cluster_upstream_rq_xx\{envoy_response_code_class="(\d)",' + _CLUSTER + r"\} (\d+)$",
    re.MULTILINE,
)
_TIMES = re.compile(
    r"^envoy_cluster_upstream_rq_time_(bucket|sum|count)\{"
    + _CLUSTER
    + r'(?:,le="([^"]+)")?\} ([\d.e+]+)$',
    re.MULTILINE,
)
_DURATION = "kn_serving_invocation_duration_seconds"


async def envoy_stats(admin: Path) -> str:
    """Envoy's figures of revisions, in its own words; empty while it is away."""
    query = {"filter": r"^cluster\..*upstream_rq_(.xx|time)$"}
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(admin))) as session,
            session.get(
                "http://envoy/stats/prometheus",
                params=query,
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
            ) as response,
        ):
            return await response.text()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        log.warning("envoy does not tell its figures", extra={"f": {"because": str(error)}})
        return ""


def as_ours(text: str, labels_of: LabelsOf) -> str:
    """Envoy's figures under our names."""
    requests = family(
        "hearth_requests_total",
        "counter",
        "Requests by class of their response, as clients saw them.",
        _requests(text, labels_of),
    )
    durations = "\n".join(_durations(text, labels_of))
    if not durations:
        return requests
    head = (
        f"# HELP {_DURATION} From the request's end to the response's, holds included.\n"
        f"# TYPE {_DURATION} histogram\n"
    )
    return f"{requests}{head}{durations}\n"


def _requests(text: str, labels_of: LabelsOf) -> Iterator[tuple[str, float]]:
    for digit, cluster, value in _CLASSES.findall(text):
        if (own := labels_of(cluster)) is not None:
            yield labels({**own, "response_code_class": f"{digit}xx"}), float(value)


def _durations(text: str, labels_of: LabelsOf) -> Iterator[str]:
    for part, cluster, bound, value in _TIMES.findall(text):
        if (own := labels_of(cluster)) is None:
            continue
        if part == "bucket":
            le = bound if bound == "+Inf" else f"{float(bound) / 1000:g}"
            yield f"{_DURATION}_bucket{labels({**own, 'le': le})} {value}"
        elif part == "sum":
            yield f"{_DURATION}_sum{labels(own)} {float(value) / 1000:g}"
        else:
            yield f"{_DURATION}_count{labels(own)} {value}"
